"""Back-off after failures of one kind of key. Pure: times are given.

A try is reserved before it is judged and settled after it: many at once are not more than many one by one."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from mailgate.tenancy.logins.failed_logins import Failures

MOST_KEYS = 50_000  # some 400 octets each


@dataclass(frozen=True, slots=True)
class Limits:
    """The failure `free` and each one after it block for twice as long, from `first` up to `longest` seconds; a record
    is forgotten `memory` seconds after its last failure."""

    free: int
    first: float = 1.0
    longest: float = 900.0
    memory: float = 3600.0


class Throttle:
    """Failures by key, `MOST_KEYS` at most: the key that failed longest ago is dropped first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: OrderedDict[bytes, Failures] = OrderedDict()
        self._under_way: Counter[bytes] = Counter()
        self._changed: dict[bytes, Failures | None] = {}

    def restore(self, records: Mapping[bytes, Failures]) -> None:
        """What was kept before a restart, the oldest first."""
        self._records = OrderedDict(list(records.items())[-MOST_KEYS:])

    def take_changes(self) -> dict[bytes, Failures | None]:
        """What has changed since the last call; None for what was forgiven."""
        taken, self._changed = self._changed, {}
        return taken

    def wait(self, key: bytes, now: float) -> float:
        """Seconds until the next try is listened to; 0 for at once. Tries under way count as failures."""
        limits, record = self._limits, self._record(key, now)
        blocked = 0.0 if record is None else min(max(0.0, record.blocked_until - now), limits.longest)
        under_way = self._under_way.get(key, 0)
        if under_way and self.count(key, now) + under_way >= limits.free:
            return max(blocked, limits.first)
        return blocked

    def reserve(self, key: bytes) -> None:
        """A try is under way; `settle` comes after it, whatever came of it."""
        self._under_way[key] += 1

    def settle(self, key: bytes) -> None:
        self._under_way[key] -= 1
        if self._under_way[key] <= 0:
            del self._under_way[key]

    def failed(self, key: bytes, now: float) -> int:
        """How many failures in a row this was."""
        limits, record = self._limits, self._record(key, now)
        count, blocked_until = (0, 0.0) if record is None else (record.count, record.blocked_until)
        count += 1
        if count >= limits.free:
            doublings = min(count - limits.free, 32)
            blocked_until = now + min(limits.first * 2.0**doublings, limits.longest)
        self._records[key] = self._changed[key] = Failures(count, now, blocked_until)
        self._records.move_to_end(key)
        while len(self._records) > MOST_KEYS:
            dropped, _ = self._records.popitem(last=False)
            self._changed[dropped] = None
        while len(self._changed) > 2 * MOST_KEYS:  # nobody writes them down: the disk is slow
            del self._changed[next(iter(self._changed))]
        return count

    def count(self, key: bytes, now: float) -> int:
        """Failures in a row so far."""
        record = self._record(key, now)
        return 0 if record is None else record.count

    def forgive(self, key: bytes) -> None:
        if self._records.pop(key, None) is not None:
            self._changed[key] = None

    def forgive_all(self, prefix: bytes) -> None:
        """Every key that begins so."""
        for key in [key for key in self._records if key.startswith(prefix)]:
            self.forgive(key)

    def forgive_everybody(self) -> None:
        for key in list(self._records):
            self.forgive(key)

    def __len__(self) -> int:
        return len(self._records)

    def _record(self, key: bytes, now: float) -> Failures | None:
        record = self._records.get(key)
        return None if record is None or now - record.last_at > self._limits.memory else record
