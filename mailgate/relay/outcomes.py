"""Outcomes on their way to the store: what comes while a call is under way goes together with the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailgate.ipc.calls import Ended, Record
from mailgate.ipc.line import StoreLine
from mailgate.model.errors import MailgateError, UnavailableError
from mailgate.records import log

RETRY_SECONDS = 0.2
MOST_AT_ONCE = 512

_logger = log.get(__name__)


class Outcomes:
    """While the store is away they are kept and told later: the next hop has the message, whoever holds the lease."""

    def __init__(self, store: StoreLine, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._waiting: list[Ended] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, ended: Sequence[Ended]) -> None:
        self._waiting += ended
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._tell())

    async def flush(self) -> None:
        """Returns once everything is durable."""
        if self._task is not None:
            await self._task

    async def _tell(self) -> None:
        while self._waiting:
            group = tuple(self._waiting[:MOST_AT_ONCE])
            try:
                await self._store.call(Record(self._holder, group))
            except UnavailableError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except MailgateError as error:
                _logger.error("outcomes could not be recorded; their leases run out", reason=str(error))
            del self._waiting[: len(group)]
