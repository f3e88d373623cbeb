"""Whose turn is it? A few places for many who want one: inspectors, lookups, callouts.

Tenants take turns, within a tenant its clients' networks; what counts is the time that each has had, not the number of
turns. Users who have logged in go first as long as they hold less than half of the places. One party holds half of the
places at most while another waits, and for what may take long (`is_long`) in any case: a turn can't be taken back.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailgate.model.errors import MailgateError


@dataclass(frozen=True, slots=True)
class Share:
    """Whose share something is taken from. `tenant` may be empty where nobody knows it; `is_own`: of a user who has
    logged in, or a tenant's own server."""

    tenant: str = ""
    network: str = ""
    is_own: bool = False

    @property
    def party(self) -> str:
        """Who has a limit as a whole: strangers by network, the others by tenant."""
        return f"tenant {self.tenant}" if self.is_own else self.network


NOBODYS = Share()


class Presence:
    """Of a client who waits: `leave` calls `on_leave`, which who makes it wait sets meanwhile."""

    __slots__ = ("is_gone", "on_leave")

    def __init__(self) -> None:
        self.is_gone = False
        self.on_leave: Callable[[], None] | None = None

    def leave(self) -> None:
        self.is_gone = True
        if self.on_leave is not None:
            self.on_leave()


class GoneError(MailgateError):
    """The client left before its turn had come."""


class NoTurnError(MailgateError):
    """`was_full`: too many wait already, and this party has the most; else it has waited too long."""

    def __init__(self, text: str, was_full: bool) -> None:
        super().__init__(text)
        self.was_full = was_full


@dataclass(eq=False, slots=True)
class _Waiter:
    share: Share
    seconds: float
    is_long: bool
    number: int
    turn: asyncio.Future[None]


class _Account:
    """Time that was had, by key. Who comes anew begins with what the one served last had: nobody saves up."""

    def __init__(self) -> None:
        self._had: dict[object, float] = {}
        self._active: Counter[object] = Counter()
        self._floor = 0.0

    def enter(self, key: object) -> None:
        self._active[key] += 1
        self._had[key] = max(self._had.get(key, 0.0), self._floor)

    def leave(self, key: object) -> None:
        self._active[key] -= 1
        if not self._active[key]:
            del self._active[key], self._had[key]

    def begin(self, key: object, seconds: float) -> None:
        self._floor = max(self._floor, self._had[key])
        self._had[key] += seconds

    def correct(self, key: object, seconds: float) -> None:
        self._had[key] += seconds

    def had(self, key: object) -> float:
        return self._had[key]


class Turns:
    """`places` at the same time, `most_waiting` waiting, each for `patience` seconds at most. `clock` in seconds."""

    def __init__(
        self, places: int, most_waiting: int, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._places = places
        self._half = max(1, places // 2)
        self._most_waiting = most_waiting
        self._patience = patience
        self._clock = clock
        self._waiting: dict[Share, deque[_Waiter]] = {}
        self._number = 0
        self._tenants, self._networks = _Account(), _Account()
        self._running: Counter[str] = Counter()  # by party
        self._long: Counter[str] = Counter()
        self._free = places
        self._own = self._strange_long = 0
        self._was_own = False
        self.waiting = 0

    @asynccontextmanager
    async def turn(
        self, share: Share, seconds: float = 1.0, is_long: bool = False, presence: Presence | None = None
    ) -> AsyncIterator[None]:
        """`seconds`: how long it will probably take. NoTurnError; GoneError."""
        self._number += 1
        waiter = _Waiter(share, seconds, is_long, self._number, asyncio.get_running_loop().create_future())
        self._tenants.enter((share.tenant, share.is_own))
        self._networks.enter(share)
        try:
            await self._wait(waiter, presence or Presence())
            began = self._clock()
            try:
                yield
            finally:
                self._stop(waiter, self._clock() - began)
        finally:
            self._tenants.leave((share.tenant, share.is_own))
            self._networks.leave(share)
            self._hand_out()

    async def _wait(self, waiter: _Waiter, presence: Presence) -> None:
        if presence.is_gone:
            raise GoneError("the client went away before the inspection")
        if not self.waiting and self._may_begin(waiter, False):
            self._start(waiter)
            return
        if self.waiting >= self._most_waiting:
            self._turn_away(waiter.share.party)
        self._waiting.setdefault(waiter.share, deque()).append(waiter)
        self.waiting += 1
        self._hand_out()
        presence.on_leave = functools.partial(self._dismiss, waiter)
        try:
            async with asyncio.timeout(self._patience):
                await waiter.turn
        except BaseException as error:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._stop(waiter, 0.0)
            else:
                self._forget(waiter)
            if isinstance(error, TimeoutError):
                raise NoTurnError("waited too long for a turn", False) from None
            raise
        finally:
            presence.on_leave = None

    def _dismiss(self, waiter: _Waiter) -> None:
        if not waiter.turn.done():
            waiter.turn.set_exception(GoneError("the client went away before the inspection"))

    def _turn_away(self, newcomer: str) -> None:
        """The newest of those who have queued most makes room; NoTurnError where that is the newcomer."""
        queued: Counter[str] = Counter()
        for share, waiters in self._waiting.items():
            queued[share.party] += len(waiters)
        greediest, most = queued.most_common(1)[0]
        if most <= queued[newcomer] + 1:
            raise NoTurnError("too many wait for a turn", True)
        last = max((waiters[-1] for share, waiters in self._waiting.items() if share.party == greediest), key=_number)
        self._forget(last)
        last.turn.set_exception(NoTurnError("too many wait for a turn", True))

    def _forget(self, waiter: _Waiter) -> None:
        """Waits no more; nothing happens where it does not."""
        waiters = self._waiting.get(waiter.share)
        if waiters is None or waiter not in waiters:
            return
        waiters.remove(waiter)
        self.waiting -= 1
        if not waiters:
            del self._waiting[waiter.share]

    def _hand_out(self) -> None:
        while self._free and self._waiting:
            waiter = self._next()
            if waiter is None:
                return
            self._forget(waiter)
            if not waiter.turn.done():
                self._start(waiter)
                waiter.turn.set_result(None)

    def _next(self) -> _Waiter | None:
        parties = {share.party for share in self._waiting}
        able = [
            waiters[0]
            for share, waiters in self._waiting.items()
            if self._may_begin(waiters[0], len(parties - {share.party}) > 0)
        ]
        return min(able, key=self._rank, default=None)

    def _may_begin(self, waiter: _Waiter, others_wait: bool) -> bool:
        party = waiter.share.party
        if not self._free or (others_wait and self._running[party] >= self._half):
            return False
        if not waiter.is_long:
            return True
        is_one_left = waiter.share.is_own or self._strange_long < max(1, self._places - 1)
        return self._long[party] < self._half and is_one_left

    def _rank(self, waiter: _Waiter) -> tuple[bool, float, float, int]:
        """Lowest first."""
        share = waiter.share
        goes_first = share.is_own and self._own < self._half and not (self._places == 1 and self._was_own)
        tenant = self._tenants.had((share.tenant, share.is_own))
        return not goes_first, tenant, self._networks.had(share), waiter.number

    def _start(self, waiter: _Waiter) -> None:
        share = waiter.share
        self._free -= 1
        self._running[share.party] += 1
        self._long[share.party] += waiter.is_long
        self._own += share.is_own
        self._strange_long += waiter.is_long and not share.is_own
        self._was_own = share.is_own
        self._tenants.begin((share.tenant, share.is_own), waiter.seconds)
        self._networks.begin(share, waiter.seconds)

    def _stop(self, waiter: _Waiter, took: float) -> None:
        share = waiter.share
        self._free += 1
        for counter, count in ((self._running, 1), (self._long, int(waiter.is_long))):
            counter[share.party] -= count
            if not counter[share.party]:
                del counter[share.party]
        self._own -= share.is_own
        self._strange_long -= waiter.is_long and not share.is_own
        self._tenants.correct((share.tenant, share.is_own), took - waiter.seconds)
        self._networks.correct(share, took - waiter.seconds)


def _number(waiter: _Waiter) -> int:
    return waiter.number
