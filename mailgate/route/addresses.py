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
_BROADCAST = ipaddress.ip_address("255.255.255.255")


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
    return f"{address} is this gateway itself" if is_ours(address) else _unfit(address, allows_private)


@functools.lru_cache(4_096)  # the same few hosts are met by every message
def _unfit(address: str, allows_private: bool) -> str:
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified or ip.is_multicast or ip == _BROADCAST:
        return f"{address} is no host's address"
    plain = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped else ip
    if plain.is_global or allows_private:
        return ""
    return f"{address} is a {'loopback' if plain.is_loopback else 'private or reserved'} address"


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
