"""Limits of the edge (RFC 5321 section 4.5.3, section 7.8), and what counts as one client or one network."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Seconds and counts for one session. Those an administrator may set come from policies (see `edge.process`).
    `submission_reserve` is in percent of `connections`."""

    connections: int = 1000
    submission_reserve: int = 25
    connections_per_address: int = 100
    connections_per_network: int = 200
    connections_per_tenant: int = 500
    messages: int = 1000
    commands: int = 10_000
    idle_seconds: float = 300.0
    session_seconds: float = 3600.0
    data_bytes_per_second: int = 100
    auth_failures: int = 5
    unknown_recipients: int = 20
    unknown_recipients_per_hour: int = 200
    errors: int = 20
    idle_commands: int = 100
    received_hops: int = 50
    header_bytes: int = 256 << 10
    header_fields: int = 1000
    reply_seconds: float = 60.0


@functools.lru_cache(4096)
def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one."""
    ip = _parsed(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip) if ip is not None else address


@functools.lru_cache(4096)
def neighbourhood_of(address: str) -> str:
    """The network that one party may hold as a whole, so that its addresses share: a /24, or the /48 of an IPv6 one."""
    ip = _parsed(address)
    if ip is None:
        return address
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
