"""A store that runs in the test's own event loop, reached through its real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailgate.ipc.calls import Admin, Answer, Commit, Hello, NewEntry, Push, Request, Resolve, Resolved, Result
from mailgate.ipc.frames import Calls, connect
from mailgate.model.envelope import MailboxId
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.process import StoreProcess

NOBODY = MailboxId("")
PASSWORD = "correct horse battery staple"


def add_people(settings: Settings) -> None:
    """Tenant acme with the mailbox bob@acme.example."""
    offline.run_alone(settings, "tenant.add", {"name": "acme", "domains": ["acme.example"]})
    user = {"tenant": "acme", "login": "bob@acme.example", "password": PASSWORD}
    offline.run_alone(settings, "user.add", user)


def listen(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    path.unlink(missing_ok=True)
    bound.bind(str(path))
    bound.listen(100)
    return bound


@dataclass
class Store:
    """A connection of role `role`; `pushed` collects what came without being asked for."""

    settings: Settings
    process: StoreProcess
    calls: Calls
    pushed: list[Push] = field(default_factory=list)
    mailbox: MailboxId = NOBODY

    async def call(self, request: Request) -> Answer:
        return await self.calls.call(request)

    async def admin(self, command: str, **arguments: Any) -> Any:
        answer = await self.call(Admin(command, arguments))
        assert isinstance(answer, Result)
        return answer.value

    async def commit(self, *entries: NewEntry) -> Answer:
        return await self.call(Commit(entries))

    @property
    def maildir(self) -> Path:
        return self.settings.data_dir / "tenants" / self.mailbox.partition("-")[0] / "mail" / self.mailbox

    def delivered(self) -> list[bytes]:
        return sorted(path.read_bytes() for path in (self.maildir / "new").iterdir())

    async def until_delivered(self, count: int) -> list[bytes]:
        await until(lambda: len(self.delivered()) >= count)
        return self.delivered()


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Waits until `condition()` (or what it awaits) is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(settings: Settings, role: str = "edge", **options: Any) -> AsyncIterator[Store]:
    """The store from its start to its end in good order."""
    process = StoreProcess(settings, listen(settings.store_path), listen(settings.admin_path), **options)
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(process.run(ready.set, stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        await task
    pushed: list[Push] = []
    calls = await connect(settings.store_path, pushed.append, lambda: None)
    store = Store(settings, process, calls, pushed)
    await store.call(Hello(role))
    found = await store.call(Resolve("bob", "acme.example"))
    assert isinstance(found, Resolved)
    store.mailbox = found.mailboxes[0] if found.mailboxes else NOBODY
    try:
        yield store
    finally:
        calls.close()
        stop.set()
        await task
