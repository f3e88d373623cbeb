"""Recipients that were refused for good: who guesses addresses gets slower answers, then none, be it over many
connections.

A sender whose list has some dead addresses among good ones is no guesser: good recipients count against refused ones,
on one connection each address once, over time when a message was kept for them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from mailgate.edge.limits import neighbourhood_of, network_of

TARPIT_FROM = 5  # more refused than good; each further one waits longer
TARPIT_STEP = 0.1  # seconds
TARPIT_MOST = 5.0
NEIGHBOURS = 4  # times what one address may, all of its network may
REMEMBERED = 10_000  # addresses and networks
_HOUR = 3600.0


class ConnectionGuesses:
    """Of one connection."""

    def __init__(self) -> None:
        self._refused = 0
        self._good: set[str] = set()

    @property
    def excess(self) -> int:
        """By how many the refused outnumber the good."""
        return self._refused - len(self._good)

    def good(self, address: str) -> None:
        self._good.add(address)

    def refused(self) -> None:
        self._refused += 1

    @property
    def delay(self) -> float:
        """Seconds that the next refusal waits."""
        return min(TARPIT_MOST, max(0, self.excess - TARPIT_FROM) * TARPIT_STEP)


class Guesses:
    """Of all connections of one edge: for each address, and for its network, how many more were refused than kept mail
    for; it fades within the hour. `clock` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # at which time, how many

    def refused(self, address: str, per_hour: int) -> None:
        self._change(address, 1, per_hour)

    def kept(self, address: str, recipients: int, per_hour: int) -> None:
        self._change(address, -recipients, per_hour)

    def is_over(self, address: str, per_hour: int) -> bool:
        return any(self._level(key, most) > most - 1 for key, most in _keys(address, per_hour))

    def _change(self, address: str, by: int, per_hour: int) -> None:
        for key, most in _keys(address, per_hour):
            level = max(0.0, min(self._level(key, most) + by, float(most)))
            self._levels.pop(key, None)
            if level:
                self._levels[key] = (self._clock(), level)
        while len(self._levels) > self._remembered:
            self._levels.popitem(last=False)

    def _level(self, key: str, most: int) -> float:
        since, level = self._levels.get(key, (0.0, 0.0))
        return max(0.0, level - (self._clock() - since) * most / _HOUR)


def _keys(address: str, per_hour: int) -> tuple[tuple[str, int], tuple[str, int]]:
    return (network_of(address), per_hour), (neighbourhood_of(address), per_hour * NEIGHBOURS)
