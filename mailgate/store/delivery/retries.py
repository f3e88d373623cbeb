"""Takes up local recipients that are due: deferred ones, released ones, what a crash left over, what did not fit into
memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from mailgate.ipc.frames import StorageFullError
from mailgate.spool.queue import Attempt, Route, SpoolStore
from mailgate.store.delivery.local import Delivery
from mailgate.store.keeping.writer import Writer

LEASE_SECONDS = 900.0
GROUP = 256
LONGEST_WAIT = 60.0


class Retries:
    """Runs in the event loop. `holder` is this start of the store; `changed` is set when something may be due earlier
    than was thought."""

    def __init__(
        self, writer: Writer, delivery: Delivery, holder: str, clock: Callable[[], float], changed: asyncio.Event
    ) -> None:
        self._writer = writer
        self._delivery = delivery
        self._holder = holder
        self._clock = clock
        self._changed = changed

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            wait = await self._take_up()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def _take_up(self) -> float:
        """Leases one group; seconds until the next one."""
        if not self._delivery.has_room:
            return 1.0
        now = self._clock()

        def lease(spool: SpoolStore) -> tuple[list[Attempt], float | None]:
            attempts = spool.lease(Route.LOCAL, self._holder, GROUP, now, LEASE_SECONDS)
            return attempts, spool.next_due(Route.LOCAL)

        try:
            attempts, due = await self._writer.do(lease, durable=False)
        except StorageFullError:
            return LONGEST_WAIT
        if attempts:
            self._delivery.submit(attempts)
        return LONGEST_WAIT if due is None else min(max(due - now, 0.0), LONGEST_WAIT)
