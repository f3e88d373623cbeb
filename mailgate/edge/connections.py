"""The connections of one edge process, and who gets one when there are no more.

MX may not use what is reserved for submission. When all are taken, a newcomer is let in at the cost of somebody who
keeps us waiting: first whoever has many connections and idles for long. Who has logged in stays, and a tenant's own
server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mailgate.edge.limits import SessionLimits
from mailgate.edge.shedding import Reason, Shedding

K = TypeVar("K")

LOOK_SECONDS = 0.1  # between two looks at all seats: while full, newcomers must not cost a look each
MOST_VICTIMS = 64  # found by one look
PATIENCE = 2.0  # seconds for each connection that the newcomer's network has: whoever has most waits longest for a seat


@dataclass(eq=False, slots=True)
class Seat:
    """A connection as the table sees it. `address`: `network_of`, `network`: `neighbourhood_of` the client; `waits`
    tells for how many seconds we have waited for it, 0 where it must not be ended; `end` ends it."""

    is_submission: bool
    address: str
    network: str
    waits: Callable[[], float]
    end: Callable[[], None]
    tenant: str = ""


class Connections:
    """`clock` in seconds, monotonic."""

    def __init__(self, shedding: Shedding, clock: Callable[[], float] = time.monotonic) -> None:
        self._shedding = shedding
        self._clock = clock
        self._seats: set[Seat] = set()
        self._mx = 0
        self._by_address: Counter[tuple[bool, str]] = Counter()
        self._by_network: Counter[tuple[bool, str]] = Counter()
        self._by_tenant: Counter[str] = Counter()
        self._victims: list[Seat] = []
        self._looked = float("-inf")

    @property
    def total(self) -> int:
        return len(self._seats)

    def enter(self, seat: Seat, limits: SessionLimits) -> bool:
        """False: one too many, not counted. MX and submission of one address are counted apart, so that what a network
        does on one of them does not keep its users from the other."""
        kind = seat.is_submission
        if self._by_address[kind, seat.address] >= limits.connections_per_address:
            return self._refused(Reason.ADDRESS, seat.address)
        most = max(limits.connections_per_network, limits.connections_per_address)
        if self._by_network[kind, seat.network] >= most:
            return self._refused(Reason.NETWORK, seat.network)
        if self._is_full(seat, limits) and not self._make_room(seat, limits):
            return self._refused(Reason.FULL, seat.network)
        self._seats.add(seat)
        self._mx += not kind
        self._by_address[kind, seat.address] += 1
        self._by_network[kind, seat.network] += 1
        return True

    def log_in(self, seat: Seat, tenant: str, limits: SessionLimits) -> bool:
        """From now on nobody makes room at its cost. False: the tenant has too many already."""
        if self._by_tenant[tenant] >= limits.connections_per_tenant:
            return self._refused(Reason.TENANT, tenant)
        if seat in self._seats:
            seat.tenant = tenant
            self._by_tenant[tenant] += 1
        return True

    def leave(self, seat: Seat) -> None:
        """Nothing happens where it has left already."""
        if seat not in self._seats:
            return
        self._seats.remove(seat)
        self._mx -= not seat.is_submission
        _less(self._by_address, (seat.is_submission, seat.address))
        _less(self._by_network, (seat.is_submission, seat.network))
        if seat.tenant:
            _less(self._by_tenant, seat.tenant)

    def _refused(self, reason: Reason, whose: str) -> bool:
        self._shedding.tell(reason, whose)
        return False

    def _is_full(self, seat: Seat, limits: SessionLimits) -> bool:
        return len(self._seats) >= limits.connections or (not seat.is_submission and self._is_mx_full(limits))

    def _is_mx_full(self, limits: SessionLimits) -> bool:
        return self._mx >= max(1, limits.connections - limits.connections * limits.submission_reserve // 100)

    def _make_room(self, newcomer: Seat, limits: SessionLimits) -> bool:
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._victims = sorted((seat for seat in self._seats if self._burden(seat)), key=self._burden)
            self._victims = self._victims[-MOST_VICTIMS:]
        must_be_mx = not newcomer.is_submission and self._is_mx_full(limits)
        own = self._held(newcomer)
        for seat in reversed(self._victims):
            waits = seat.waits() if seat in self._seats and not seat.tenant else 0.0
            is_for_it = waits > 0 and not (must_be_mx and seat.is_submission)
            if is_for_it and self._burden(seat) > own * PATIENCE:
                self._victims.remove(seat)
                self.leave(seat)
                self._shedding.tell(Reason.MADE_ROOM, seat.network)
                seat.end()
                return True
        return False

    def _held(self, seat: Seat) -> int:
        return self._by_network[False, seat.network] + self._by_network[True, seat.network]

    def _burden(self, seat: Seat) -> float:
        """How much it takes from others: the connections of its network times the seconds that this one idles."""
        return 0.0 if seat.tenant else self._held(seat) * seat.waits()


def _less(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
