"""The one thread in which the directory of tenants is asked: its databases have one connection each."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from mailgate.model.envelope import MailboxId, TenantName
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people.mail_access import MailAccess, MailboxPlace

T = TypeVar("T")


class Ask(Protocol):
    """Runs a question to the directory in its thread."""

    async def __call__(self, question: Callable[[Directory], T]) -> T: ...


class DirectoryThread:
    """From outside of `executor`, `directory` answers only what lies in memory: which tenants there are."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.executor = ThreadPoolExecutor(1, "directory")

    async def ask(self, question: Callable[[Directory], T]) -> T:
        """From the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, question, self.directory)

    async def mail_access(self, login: str) -> MailAccess:
        return await self.ask(lambda directory: directory.mail_access(login))

    async def mailbox_place(self, address: str) -> MailboxPlace:
        return await self.ask(lambda directory: directory.mailbox_place(address))

    def ask_blocking(self, question: Callable[[Directory], T]) -> T:
        """From other threads; on behalf of the same as there."""
        context = contextvars.copy_context()
        return self.executor.submit(context.run, question, self.directory).result()

    def address_of(self, mailbox: MailboxId) -> str:
        """Blocking; empty where the mailbox is switched off, or gone."""
        return self.ask_blocking(lambda directory: directory.mailbox_address(mailbox))

    def note_deed(self, tenant: TenantName, action: str, object: str, facts: dict[str, Any]) -> None:
        """Blocking; see `Directory.note_deed`."""
        self.ask_blocking(lambda directory: directory.note_deed(tenant, action, object, facts))

    def close(self) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)
