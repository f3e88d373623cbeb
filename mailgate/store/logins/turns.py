"""Whose login is looked at next: neighbourhoods take turns, within each its networks, within each the logins as they
came. One network has one turn at a time, so no flood from there keeps others waiting for longer than a few hashes."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailgate.tenancy.logins.networks import neighbourhood_of, network_of

AT_ONCE = 4  # more than there are threads for hashes: some only look something up
OF_NETWORK, OF_NEIGHBOURHOOD = 1, 2
MOST_WAITING, MOST_OF_NETWORK = 4_000, 250
MOST_OCTETS = 8 << 20  # of what waits


class CrowdedError(Exception):
    """Too many wait already, most of them from where this one comes from."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    network: str
    neighbourhood: str
    octets: int
    granted: asyncio.Future[None]


class Turns:
    """Lives in the event loop."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = at_once
        self._busy: Counter[str] = Counter()
        self._queues: OrderedDict[str, OrderedDict[str, deque[_Waiter]]] = OrderedDict()
        self._of_neighbourhood: Counter[str] = Counter()
        self._waiting = 0
        self._octets = 0

    @asynccontextmanager
    async def take(self, address: str, octets: int) -> AsyncIterator[None]:
        """Waits for a turn of the client at `address`, whose question has this size. Raises CrowdedError."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(network_of(address), neighbourhood_of(address), octets, granted)
        self._enqueue(waiter)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._remove(waiter)
            elif granted.exception() is None:
                self._release(waiter)
            raise
        try:
            yield
        finally:
            self._release(waiter)

    def _enqueue(self, waiter: _Waiter) -> None:
        queue = self._queues.setdefault(waiter.neighbourhood, OrderedDict()).setdefault(waiter.network, deque())
        queue.append(waiter)
        self._of_neighbourhood[waiter.neighbourhood] += 1
        self._waiting += 1
        self._octets += waiter.octets
        if len(queue) > MOST_OF_NETWORK:
            self._turn_away(waiter)
        while self._waiting > MOST_WAITING or self._octets > MOST_OCTETS:
            greediest = max(self._queues, key=self._of_neighbourhood.__getitem__)
            self._turn_away(max(self._queues[greediest].values(), key=len)[-1])

    def _turn_away(self, waiter: _Waiter) -> None:
        self._remove(waiter)
        waiter.granted.set_exception(CrowdedError())

    def _remove(self, waiter: _Waiter) -> None:
        """Nothing where it waits no more."""
        networks = self._queues.get(waiter.neighbourhood)
        if networks is None or waiter not in networks.get(waiter.network, ()):
            return
        networks[waiter.network].remove(waiter)
        if not networks[waiter.network]:
            del networks[waiter.network]
        if not networks:
            del self._queues[waiter.neighbourhood]
        self._of_neighbourhood[waiter.neighbourhood] -= 1
        if not self._of_neighbourhood[waiter.neighbourhood]:
            del self._of_neighbourhood[waiter.neighbourhood]
        self._waiting -= 1
        self._octets -= waiter.octets

    def _grant(self) -> None:
        while self._free and (waiter := self._next()) is not None:
            self._remove(waiter)
            if waiter.granted.cancelled():
                continue
            self._come_last(waiter)
            self._free -= 1
            self._busy[waiter.network] += 1
            self._busy[_block(waiter)] += 1
            waiter.granted.set_result(None)

    def _come_last(self, waiter: _Waiter) -> None:
        """Where it comes from has had a turn."""
        if (networks := self._queues.get(waiter.neighbourhood)) is not None:
            self._queues.move_to_end(waiter.neighbourhood)
            if waiter.network in networks:
                networks.move_to_end(waiter.network)

    def _next(self) -> _Waiter | None:
        """At most as many are passed over as have a turn."""
        for networks in self._queues.values():
            for queue in networks.values():
                waiter = queue[0]
                if self._busy[_block(waiter)] >= OF_NEIGHBOURHOOD:
                    break
                if self._busy[waiter.network] < OF_NETWORK:
                    return waiter
        return None

    def _release(self, waiter: _Waiter) -> None:
        self._come_last(waiter)
        self._free += 1
        for name in (waiter.network, _block(waiter)):
            self._busy[name] -= 1
            if not self._busy[name]:
                del self._busy[name]
        self._grant()


def _block(waiter: _Waiter) -> str:
    """A neighbourhood that is no network by its name may be called like its one network."""
    return f"around {waiter.neighbourhood}"
