"""The addresses of a host: both families, interleaved, without those that no mail host on the internet can have."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from mailgate.model.dns import Resolver, Status
from mailgate.route.mx import MxHost, is_socket

MOST_ADDRESSES = 8
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_BROADCAST = ipaddress.ip_address("255.255.255.255")

# What the IANA registries of special-purpose addresses (RFC 6890, as of 2025) do not call globally reachable, and what
# they do but where no mail host is: anycast of protocols (192.0.0.0/24, AS112, AMT) and the relays of 6to4 (RFC 7526).
_NOT_GLOBAL_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
# Only 2000::/3 is handed out to hosts (RFC 4291 section 2.4); in it are Teredo, ORCHID, benchmarking and their like
# (2001::/23), and two ranges for documentation.
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20", "2620:4f:8000::/48")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: how networks without IPv4 reach it
_6TO4 = ipaddress.IPv6Network("2002::/16")
_TEREDO = ipaddress.IPv6Network("2001::/32")
_LOW_96 = ipaddress.IPv6Network("::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214 section 6.1: the upper half of the interface identifier


@dataclass(frozen=True, slots=True)
class Addresses:
    """In the order in which they are tried; the path of a Unix socket is one too. `refused` says why addresses were
    left out, `failure` why the lookup failed (mail waits); `is_secure`: validated by DNSSEC. `name` is the host's after
    CNAMEs."""

    found: tuple[str, ...]
    refused: tuple[str, ...] = ()
    failure: str = ""
    is_secure: bool = False
    name: str = ""


def refusal(address: str, allows_private: bool, is_ours: Callable[[str], bool]) -> str:
    """Why nobody may be led to `address` by DNS alone; empty where it is fine."""
    if any(map(is_ours, _forms(address))):
        return f"{address} is this gateway itself"
    return _unfit(address, allows_private)


@functools.lru_cache(4_096)
def _forms(address: str) -> tuple[str, ...]:
    return (address, *map(str, embedded(ipaddress.ip_address(address))))


@functools.lru_cache(4_096)  # the same few hosts are met by every message
def _unfit(address: str, allows_private: bool) -> str:
    ip = ipaddress.ip_address(address)
    reached = (ip, *embedded(ip))
    if any(each.is_unspecified or each.is_multicast or each == _BROADCAST for each in reached):
        return f"{address} is no host's address"
    if allows_private or all(map(_is_global, _judged(ip, reached))):
        return ""
    return (
        f"{address} is a {'loopback' if any(each.is_loopback for each in reached) else 'private or reserved'} address"
    )


def embedded(ip: Ip) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses to which packets for `ip` may be led: by translation (NAT64), by tunnels (6to4, Teredo,
    ISATAP, automatic ones), or because it is only another way to write one (`::ffff:192.0.2.1`)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ()
    value = int(ip)
    found: list[int] = []
    if ip.ipv4_mapped is not None or ip in _NAT64 or (ip in _LOW_96 and value > 1):
        found.append(value & 0xFFFFFFFF)
    elif ip in _6TO4:
        found.append(value >> 80 & 0xFFFFFFFF)
    elif ip in _TEREDO:  # RFC 4380 section 4: the server, and the client with all bits turned
        found += (value >> 64 & 0xFFFFFFFF, value & 0xFFFFFFFF ^ 0xFFFFFFFF)
    elif ip in _LOCAL_NAT64:  # RFC 6052 section 2.2: at bit 48 around the octet u, or at the end
        both = ((value >> 64 & 0xFFFF) << 16 | value >> 40 & 0xFFFF, value & 0xFFFFFFFF)
        found += (each for each in both if each)
    if value >> 32 & 0xFFFFFFFF in _ISATAP:
        found.append(value & 0xFFFFFFFF)
    return tuple(map(ipaddress.IPv4Address, found))


def _judged(ip: Ip, reached: tuple[Ip, ...]) -> tuple[Ip, ...]:
    """Of what is only another form of an IPv4 address that one counts alone."""
    is_another_form = isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped is not None or ip in _NAT64)
    return reached[1:] if is_another_form else reached


def _is_global(ip: Ip) -> bool:
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _NOT_GLOBAL_4)
    return ip in _GLOBAL_6 and not any(ip in network for network in _NOT_GLOBAL_6)


async def find(resolver: Resolver, host: MxHost, allows_private: bool, is_ours: Callable[[str], bool]) -> Addresses:
    """IPv6 and IPv4 are asked for at the same time; one family is enough."""
    if is_socket(host.name):
        return Addresses((host.name,), name=host.name)
    if host.is_literal:
        listed: list[str] = [host.name]
        failure, is_secure, name = "", False, host.name
    else:
        six, four = await asyncio.gather(resolver.aaaa(host.name), resolver.a(host.name))
        pairs = itertools.zip_longest(six.records, four.records)
        listed = [address for pair in pairs for address in pair if address is not None]
        failure = next((f"{answer.reason}" for answer in (four, six) if not answer.is_known), "")
        is_secure = four.is_secure and six.is_secure
        name = next((answer.name for answer in (four, six) if answer.status is Status.FOUND), host.name)
    reasons = {address: refusal(address, allows_private, is_ours) for address in listed}
    found = tuple(address for address, reason in reasons.items() if not reason)[:MOST_ADDRESSES]
    return Addresses(found, tuple(filter(None, reasons.values())), "" if found else failure, is_secure, name)
