"""What counts as one client, and as its neighbourhood, when logins fail. Pure."""

from __future__ import annotations

import ipaddress


def network_of(address: str) -> str:
    """An IPv4 address or the /64 of an IPv6 one; what is neither counts as itself."""
    return _within(address, 32, 64)


def neighbourhood_of(address: str) -> str:
    """The /24 of an IPv4 address, the /48 of an IPv6 one; what is neither counts as itself."""
    return _within(address, 24, 48)


def _within(address: str, bits4: int, bits6: int) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(parsed) >> 128 - bits6 << 128 - bits6, bits6)))
        parsed = parsed.ipv4_mapped
    if bits4 == 32:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed) >> 32 - bits4 << 32 - bits4, bits4)))
