"""Outcomes on their way to the store: what comes while a call is under way goes together with the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from mailgate.ipc.calls import Ended, Record
from mailgate.ipc.line import StoreLine
from mailgate.model.errors import MailgateError, UserError
from mailgate.records import log
from mailgate.relay.kept_outcomes import KeptOutcomes

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds between tries while the store does not take them
MOST_AT_ONCE = 512

_logger = log.get(__name__)


class Outcomes:
    """Kept until the store has taken them, whatever hinders it: the next hop has the message, and without its outcome
    it would be sent once more. While it takes none nothing new is begun (`is_stuck`), so what is kept here is bounded
    by what was under way. `resumed` is called when it takes them again. `kept` has them meanwhile, should this
    process end."""

    def __init__(
        self,
        store: StoreLine,
        holder: str,
        resumed: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        kept: KeptOutcomes | None = None,
    ) -> None:
        self._store = store
        self._holder = holder
        self._resumed = resumed
        self._kept = kept
        self._sleep = sleep
        self._waiting: deque[Ended] = deque()
        self._at_once = MOST_AT_ONCE
        self._task: asyncio.Task[None] | None = None
        self._restored: set[tuple[int, int]] = set()
        self.is_stuck = False

    def __len__(self) -> int:
        return len(self._waiting)

    def restore(self) -> None:
        """What the process before this one could not hand over comes first: nothing is begun until it is recorded."""
        if self._kept is not None and (found := self._kept.load()):
            _logger.info("outcomes of before the restart are recorded first", waiting=len(found))
            self.is_stuck = True
            self._restored = set(map(_row, found))
            self.add(found)

    def add(self, ended: Sequence[Ended]) -> None:
        self._waiting += ended
        if self.is_stuck:
            self._keep()
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._tell())

    async def flush(self) -> None:
        """Returns once everything is durable."""
        if self._task is not None:
            await self._task

    async def _tell(self) -> None:
        wait = FIRST_WAIT
        while self._waiting:
            group = tuple(self._waiting[at] for at in range(min(self._at_once, len(self._waiting))))
            try:
                await self._store.call(Record(self._holder, group))
            except UserError as error:
                self._refused(group, error)
                continue
            except MailgateError as error:
                self._not_taken(group, error)
                await self._sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            self._settled(group)
            self._at_once, wait = min(2 * self._at_once, MOST_AT_ONCE), FIRST_WAIT

    def _refused(self, group: tuple[Ended, ...], error: UserError) -> None:
        """For good. Of several it is found out which one it is."""
        if len(group) > 1:
            self._at_once = len(group) // 2
            return
        _logger.error("an outcome was refused", message=group[0].message, n=group[0].n, reason=str(error))
        self._settled(group)

    def _not_taken(self, group: tuple[Ended, ...], error: MailgateError) -> None:
        """For now. Ever smaller groups, and each alone in its turn, so that one that fails does not keep the others."""
        if not self.is_stuck:
            _logger.error("outcomes can't be recorded; nothing new is sent meanwhile", reason=str(error))
            self.is_stuck = True
            self._keep()
        self._at_once = max(1, len(group) // 2)
        if len(group) == 1:
            self._waiting.rotate(-1)

    def _settled(self, group: tuple[Ended, ...]) -> None:
        for ended in group:
            self._waiting.popleft()
            self._restored.discard(_row(ended))
        if self._kept is not None and not self._kept.is_empty:
            self._keep()
        if self.is_stuck and not self._restored:  # a lease would hand those out again
            self.is_stuck = False
            _logger.info("outcomes are recorded again", waiting=len(self._waiting))
            self._resumed()

    def _keep(self) -> None:
        if self._kept is not None:
            self._kept.keep(self._waiting)


def _row(ended: Ended) -> tuple[int, int]:
    return ended.message, ended.n
