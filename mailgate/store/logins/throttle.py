"""Back-off after failed logins, by client address (/64 for IPv6), by account, and for the very same login again. Pure:
times are given."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from mailgate.tenancy.logins.failed_logins import Failures

MOST_KEYS = 100_000


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
BY_REPEAT = Limits(free=10)


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
        self._records: OrderedDict[bytes, Failures] = OrderedDict()
        self._changed: dict[bytes, Failures | None] = {}

    def restore(self, records: Mapping[bytes, Failures]) -> None:
        """What was kept before a restart, the oldest first."""
        self._records = OrderedDict(records)

    def take_changes(self) -> dict[bytes, Failures | None]:
        """What has changed since the last call; None for what was forgiven."""
        taken, self._changed = self._changed, {}
        return taken

    def wait(self, key: bytes, now: float) -> float:
        """Seconds until the next try is listened to; 0 for at once."""
        record = self._records.get(key)
        return 0.0 if record is None else max(0.0, record.blocked_until - now)

    def failed(self, key: bytes, now: float) -> int:
        """How many failures in a row this was."""
        limits = self._limits
        record = self._records.get(key)
        if record is None or now - record.last_at > limits.memory:
            record = Failures(0, now, 0.0)
        count, blocked_until = record.count + 1, record.blocked_until
        if count > limits.free:
            doublings = min(count - limits.free - 1, 32)
            blocked_until = now + min(limits.first * 2.0**doublings, limits.longest)
        self._records[key] = self._changed[key] = Failures(count, now, blocked_until)
        self._records.move_to_end(key)
        while len(self._records) > MOST_KEYS:
            dropped, _ = self._records.popitem(last=False)
            self._changed[dropped] = None
        return count

    def succeeded(self, key: bytes) -> None:
        if self._records.pop(key, None) is not None:
            self._changed[key] = None

    def __len__(self) -> int:
        return len(self._records)
