"""Full mailboxes are found at RCPT: what lies in one is compared with its quota, the own or the policy's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import msgspec

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import TenantName
from mailgate.store.delivery.usage import Usage
from mailgate.tenancy.directory import Directory


class Quotas:
    """`default` gives the quota in bytes that a tenant's policy has, None for none. What was accepted and is not
    delivered yet does not count: a mailbox may go over its quota by what is on the way, and by its last message."""

    def __init__(
        self, directory: Directory, directory_thread: Executor, default: Callable[[TenantName], int | None]
    ) -> None:
        self._directory = directory
        self._directory_thread = directory_thread
        self._default = default
        self._usage = Usage()
        self._thread = ThreadPoolExecutor(1, "quota")

    async def judge(self, found: Resolved) -> Resolved:
        """`found` leads to mailboxes; `full` instead where every one of them is. UnavailableError where the tenant's
        database can't be read."""
        loop = asyncio.get_running_loop()
        own = await loop.run_in_executor(self._directory_thread, self._directory.recipients.quotas_of, found)
        default = self._default(found.tenant)
        limits = [default if quota is None else quota for quota in own]
        if not any(limits):
            return found
        return await self._judge(found, limits)

    async def judge_against(self, found: Resolved, limit: int) -> Resolved:
        """The same against `limit` bytes, whatever their quotas."""
        return await self._judge(found, [limit] * len(found.mailboxes))

    async def _judge(self, found: Resolved, limits: Sequence[int | None]) -> Resolved:
        loop = asyncio.get_running_loop()
        is_full = await loop.run_in_executor(self._thread, self._are_full, found, limits)
        return msgspec.structs.replace(found, kind="full" if is_full else found.kind, is_limited=True)

    def _are_full(self, found: Resolved, limits: Sequence[int | None]) -> bool:
        return all(
            limit and self._usage.of(self._directory.maildir(mailbox)) >= limit
            for mailbox, limit in zip(found.mailboxes, limits, strict=True)
        )

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
