"""Does the client's address have a name that leads back to it (RFC 8601 section 3)?"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mailgate.senderauth.dns import LookupFailed, Resolver, is_name, records
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.spf_macro import Ip

MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class IprevResult:
    """`outcome` is PASS, FAIL, PERMERROR (no name at all) or TEMPERROR; `name` the host name on PASS."""

    outcome: Outcome
    name: str = ""


async def check(resolver: Resolver, ip: Ip) -> IprevResult:
    try:
        names = await records(resolver.ptr(ip.reverse_pointer))
        if not names:
            return IprevResult(Outcome.PERMERROR)
        lookup = resolver.a if ip.version == 4 else resolver.aaaa
        for name in filter(is_name, names[:MOST_NAMES]):
            if any(ipaddress.ip_address(address) == ip for address in await records(lookup(name))):
                return IprevResult(Outcome.PASS, name.lower())
    except LookupFailed:
        return IprevResult(Outcome.TEMPERROR)
    return IprevResult(Outcome.FAIL)
