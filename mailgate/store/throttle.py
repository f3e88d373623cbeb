"""Back-off after failed logins, by client address (/64 for IPv6) and by account. Pure: times are given."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

MOST_KEYS = 100_000


@dataclass(slots=True)
class _Record:
    failures: int
    last_at: float
    blocked_until: float


@dataclass(frozen=True, slots=True)
class Limits:
    """After `free` failures each further one blocks for twice as long, from `first` up to `longest` seconds; a record
    is forgotten `memory` seconds after its last failure."""

    free: int
    first: float = 1.0
    longest: float = 900.0
    memory: float = 3600.0


BY_ADDRESS = Limits(free=10)
BY_ACCOUNT = Limits(free=10)


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address or the /64 of an IPv6 one; what is neither counts as itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


class Throttle:
    """Failures of one kind of key, `MOST_KEYS` at most: the key that failed longest ago is dropped first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until the next try is listened to; 0 for at once."""
        record = self._records.get(key)
        return 0.0 if record is None else max(0.0, record.blocked_until - now)

    def failed(self, key: str, now: float) -> None:
        limits = self._limits
        record = self._records.get(key)
        if record is None or now - record.last_at > limits.memory:
            record = self._records[key] = _Record(0, now, 0.0)
        record.failures += 1
        record.last_at = now
        if record.failures > limits.free:
            doublings = min(record.failures - limits.free - 1, 32)
            record.blocked_until = now + min(limits.first * 2.0**doublings, limits.longest)
        self._records.move_to_end(key)
        while len(self._records) > MOST_KEYS:
            self._records.popitem(last=False)

    def succeeded(self, key: str) -> None:
        self._records.pop(key, None)

    def __len__(self) -> int:
        return len(self._records)
