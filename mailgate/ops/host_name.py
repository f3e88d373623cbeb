"""Is MAILGATE_HOSTNAME a name with which other servers take mail? They look at its form, whether it has an address, and
whether that address leads back to it (RFC 5321 section 4.1.4, RFC 1912 section 2.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import dns.exception
import dns.resolver
import dns.reversename

from mailgate.ops.checks import Check, fail, ok, warn
from mailgate.settings import Listen

_NOT_PUBLIC = frozenset(
    {"corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "onion"}
    | {"private", "workgroup"}
)
_SET_IT = "set MAILGATE_HOSTNAME to the public name of this machine, as in its address's reverse DNS entry (PTR)"


def fault_of(name: str) -> str:
    """What keeps others from taking mail of a server with this name, by its form alone; empty where nothing does."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        pass
    else:
        return "is an address, not a name"
    labels = name.lower().rstrip(".").split(".")
    if len(labels) == 1:
        return "has no dot: it is a name inside of a machine or container, not in the DNS"
    if labels[-1] in _NOT_PUBLIC or labels[-2:] == ["home", "arpa"]:
        return f"ends in .{'.'.join(labels[-2:]) if labels[-1] == 'arpa' else labels[-1]}, which is in no public DNS"
    if labels[-1].isdigit():
        return "ends in a number, which no top-level domain is"
    return ""


def host_name(name: str, resolver: str, seconds: float) -> Check:
    """Fails where no large receiver takes mail; warns where many don't. A resolver that does not answer is another
    check's matter."""
    told = f"read; the host is {name}"
    if fault := fault_of(name):
        return fail("settings", f"{told}, which {fault}: others refuse mail from it", _SET_IT)
    try:
        where = Listen.parse(resolver)
        asked = dns.resolver.Resolver(configure=False)
        asked.nameservers, asked.port, asked.lifetime = [where.host], where.port, seconds
        addresses = [address for kind in ("A", "AAAA") for address in _answers(asked, name, kind)]
        if not addresses:
            return warn("settings", f"{told}, which has no address in the DNS: many refuse mail from it", _SET_IT)
        astray = [address for address in addresses if not _leads_back(asked, address, name)]
    except (dns.exception.DNSException, OSError, ValueError):
        return ok("settings", told)
    if astray:
        text = f"{told}; the reverse DNS entry of {', '.join(astray)} does not lead back to it"
        return warn("settings", text, "have it set by whoever gives you the address; " + _SET_IT)
    return ok("settings", f"{told}, and its addresses lead back to it")


def _answers(resolver: dns.resolver.Resolver, name: str, kind: str) -> Iterable[str]:
    try:
        return [str(each) for each in resolver.resolve(name, kind, search=False)]
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []


def _leads_back(resolver: dns.resolver.Resolver, address: str, name: str) -> bool:
    found = _answers(resolver, str(dns.reversename.from_address(address)), "PTR")
    return any(each.rstrip(".").lower() == name for each in found)
