"""Tells senders that mail of theirs still waits: what is held, after some hours; what is in quarantine, before it
expires there. That it came to quarantine they were told when it did (`spool.owing`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from mailgate.model.outcome import State
from mailgate.spool.coverage import DAY
from mailgate.spool.listing import FIRST, Key
from mailgate.spool.queue import WithheldRow
from mailgate.store.surroundings import Surroundings

LOOK_SECONDS = 300.0
REMIND_DAYS = 3.0  # before the end; less where all of it is shorter
STEP = 500
SENT = " sent unusually much: "
"""Within the reason for which the mail of an account is held that may be in the wrong hands: its owner is not told."""

_log = logging.getLogger(__name__)


class Withheld:
    """Runs in the event loop. `owes`: a sender is to be told something."""

    def __init__(self, around: Surroundings, owes: Callable[[], None]) -> None:
        self._around = around
        self._owes = owes

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                _log.exception("senders could not be told of mail that waits; it is tried again")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Puts on record what is to be told now."""
        loop, around, now = asyncio.get_running_loop(), self._around, self._around.clock()
        for state in (State.HELD, State.QUARANTINED):
            after: Key = FIRST
            while rows := await loop.run_in_executor(around.thread, around.listing.withheld, state, now, after, STEP):
                after = (rows[-1].message, rows[-1].n)
                due = self._due(rows, now)
                if due:
                    await around.writer.do(lambda spool, due=due: spool.remind(due, now))  # type: ignore[misc]
                    self._owes()

    def _due(self, rows: Sequence[WithheldRow], now: float) -> list[WithheldRow]:
        return [row for row in rows if SENT not in row.reason and now >= self._reminded_at(row)]

    def _reminded_at(self, row: WithheldRow) -> float:
        if row.state is State.HELD:
            return 0.0
        days = self._around.policy().for_tenant(row.tenant).retention.quarantine_days
        return row.received_at + (days - min(REMIND_DAYS, days / 2)) * DAY
