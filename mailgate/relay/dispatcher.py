"""Whose turn it is: work waits in lanes, one for each next hop; a lane has as many attempts under way as its window
allows, which grows with success and shrinks with trouble; within a lane tenants take turns. Pure."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

FIRST_WINDOW = 4
LARGEST_WINDOW = 20
MOST_ATTEMPTS = 500
MOST_WAITING = 2_000
MOST_BYTES = 256 << 20
WAITING_PER_SLOT = 16
WAITING_IN_TROUBLE = 40
MOST_WINDOWS = 20_000


class Job(Protocol):
    """One message on its way to one lane. `size` is what it holds in memory, in bytes."""

    @property
    def lane(self) -> str: ...

    @property
    def tenant(self) -> str: ...

    @property
    def destination(self) -> str: ...

    @property
    def size(self) -> int: ...


J = TypeVar("J", bound=Job)


class Result(enum.Enum):
    """What an attempt says about its lane. BUSY: too many connections; TROUBLE: a dialogue broke off; DEAD: no host
    could be talked to at all."""

    GOOD = "good"
    BUSY = "busy"
    TROUBLE = "trouble"
    DEAD = "dead"


@dataclass(slots=True)
class _Lane(Generic[J]):
    name: str
    window: float = FIRST_WINDOW
    running: int = 0
    is_in_trouble: bool = False
    is_listed: bool = False
    was_full: bool = False
    tenants: deque[str] = field(default_factory=deque)
    waiting: dict[str, deque[J]] = field(default_factory=dict)
    destinations: dict[str, int] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return sum(map(len, self.waiting.values()))

    @property
    def is_full(self) -> bool:
        most = (
            WAITING_IN_TROUBLE if self.is_in_trouble else max(WAITING_IN_TROUBLE, int(self.window) * WAITING_PER_SLOT)
        )
        return self.length >= most

    def add(self, job: J) -> None:
        if job.tenant not in self.waiting:
            self.waiting[job.tenant] = deque()
            self.tenants.append(job.tenant)
        self.waiting[job.tenant].append(job)

    def take(self) -> J:
        tenant = self.tenants.popleft()
        job = self.waiting[tenant].popleft()
        if self.waiting[tenant]:
            self.tenants.append(tenant)
        else:
            del self.waiting[tenant]
        return job


class Dispatcher(Generic[J]):
    """`add` what was leased, start what `next` hands out, tell `finished` how it went."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane[J]] = {}
        self._windows: dict[str, float] = {}
        self._ready: deque[_Lane[J]] = deque()
        self._running = 0
        self._waiting = 0
        self._bytes = 0
        self._in_trouble: dict[str, _Lane[J]] = {}

    @property
    def is_idle(self) -> bool:
        return not self._running and not self._waiting

    @property
    def room(self) -> int:
        """How many more recipients had better be leased now. What waits behind a host in trouble takes no room from the
        others; its lane is bounded by itself."""
        if self._bytes >= MOST_BYTES:
            return 0
        stuck = sum(lane.length for lane in self._in_trouble.values())
        return max(0, MOST_WAITING - (self._waiting - stuck))

    def full(self) -> tuple[str, ...]:
        """Destinations that have enough waiting here; `has_eased` tells when that changes."""
        for lane in self._lanes.values():
            lane.was_full = lane.is_full
        return tuple(name for lane in self._lanes.values() if lane.was_full for name in lane.destinations)

    def has_eased(self, name: str) -> bool:
        """Whether a lane takes more, which was full when `full` was asked."""
        lane = self._lanes.get(name)
        return lane is None or (lane.was_full and not lane.is_full)

    def add(self, job: J) -> None:
        lane = self._lanes.get(job.lane)
        if lane is None:
            lane = self._lanes[job.lane] = _Lane(job.lane, self._windows.get(job.lane, FIRST_WINDOW))
        lane.add(job)
        lane.destinations[job.destination] = lane.destinations.get(job.destination, 0) + 1
        self._waiting += 1
        self._bytes += job.size
        self._list(lane)

    def next(self) -> J | None:
        """The next job to attempt, lanes in turn; None while nothing may start."""
        while self._ready and self._running < MOST_ATTEMPTS:
            lane = self._ready.popleft()
            lane.is_listed = False
            if not lane.waiting or lane.running >= int(lane.window):
                continue
            job = lane.take()
            lane.running += 1
            self._running += 1
            self._waiting -= 1
            self._list(lane)
            return job
        return None

    def finished(self, job: J, result: Result) -> None:
        lane = self._lanes[job.lane]
        lane.running -= 1
        self._running -= 1
        self._leave(lane, job)
        if result is Result.GOOD:
            lane.is_in_trouble = False
            self._in_trouble.pop(lane.name, None)
            lane.window = min(lane.window + 1, LARGEST_WINDOW)
        elif result is Result.BUSY:
            # as many as are open now is what the host takes
            lane.window = max(1.0, min(lane.window / 2, float(lane.running)))
        else:
            lane.is_in_trouble = True
            self._in_trouble[lane.name] = lane
            lane.window = max(1.0, lane.window / 2)
        self._list(lane)
        self._drop_if_empty(lane)

    def give_up(self, name: str) -> Iterator[J]:
        """All that waits in a lane, taken out: what it would meet is known already. Nothing while another attempt is
        under way, which may have more luck."""
        lane = self._lanes.get(name)
        if lane is not None and lane.running:
            return
        while lane is not None and lane.waiting:
            job = lane.take()
            self._waiting -= 1
            self._leave(lane, job)
            yield job
        if lane is not None:
            self._drop_if_empty(lane)

    def _leave(self, lane: _Lane[J], job: J) -> None:
        self._bytes -= job.size
        lane.destinations[job.destination] -= 1
        if not lane.destinations[job.destination]:
            del lane.destinations[job.destination]

    def _list(self, lane: _Lane[J]) -> None:
        if not lane.is_listed and lane.waiting and lane.running < int(lane.window):
            lane.is_listed = True
            self._ready.append(lane)

    def _drop_if_empty(self, lane: _Lane[J]) -> None:
        """Of a lane that is idle only the window is remembered."""
        if not lane.running and not lane.waiting:
            del self._lanes[lane.name]
            self._in_trouble.pop(lane.name, None)
            if len(self._windows) >= MOST_WINDOWS:
                self._windows.clear()
            self._windows[lane.name] = lane.window
