"""Limits of the edge, and who has used up what (RFC 5321 section 4.5.3, section 7.8)."""

from __future__ import annotations

import functools
import ipaddress
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Seconds and counts for one session. Those an administrator may set come from policies (see `edge.process`)."""

    connections: int = 1000
    connections_per_address: int = 100
    messages: int = 1000
    commands: int = 10_000
    idle_seconds: float = 300.0
    session_seconds: float = 3600.0
    data_bytes_per_second: int = 100
    auth_failures: int = 5
    errors: int = 20
    idle_commands: int = 100
    received_hops: int = 50
    header_bytes: int = 256 << 10
    header_fields: int = 1000
    reply_seconds: float = 60.0


@functools.lru_cache(4096)
def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


class Connections:
    """Open connections in all and for each client network."""

    def __init__(self) -> None:
        self._by_network: Counter[str] = Counter()
        self.total = 0

    def enter(self, network: str, limits: SessionLimits) -> bool:
        """False: one too many, not counted."""
        if self.total >= limits.connections or self._by_network[network] >= limits.connections_per_address:
            return False
        self.total += 1
        self._by_network[network] += 1
        return True

    def leave(self, network: str) -> None:
        self.total -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]
