"""Which hosts take mail for a domain, from what DNS says (RFC 5321 section 5.1, RFC 7505). Pure."""

from __future__ import annotations

import functools
import ipaddress
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailgate.model.address import AddressError, parse_domain
from mailgate.model.dns import Answer, Mx, Status
from mailgate.model.outcome import Outcome, State

MOST_HOSTS = 16
"""However many MX records there are, no more hosts than these are looked at."""


@dataclass(frozen=True, slots=True)
class MxHost:
    """`is_secure`: DNSSEC says that this host serves the domain. `is_literal`: `name` is an IP address, or the path of
    a Unix socket."""

    name: str
    preference: int = 0
    is_secure: bool = False
    is_literal: bool = False


def is_socket(name: str) -> bool:
    """Whether `name` is the path of a Unix socket; no host and no address begins like one."""
    return name.startswith("/")


@functools.lru_cache(4_096)  # asked for every message that goes by a smarthost
def host_of(name: str) -> MxHost:
    """A host that a person named: by name, by address or by the path of its socket."""
    if is_socket(name):
        return MxHost(name, is_literal=True)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return MxHost(name)
    return MxHost(name, is_literal=True)


def select(
    domain: str,
    answer: Answer[Mx],
    is_ours: Callable[[str], bool],
    shuffle: Callable[[list[MxHost]], None],
) -> tuple[MxHost, ...] | Outcome:
    """Hosts in the order in which they are tried, at most MOST_HOSTS; or how the attempt ends without any. `is_ours`
    tells our own host names; what is not preferred to ourselves would lead back here."""
    match answer.status:
        case Status.FAILED | Status.BOGUS:
            return Outcome(State.QUEUED, f"the mail hosts of {domain} can't be looked up: {answer.reason}", 0, "4.4.3")
        case Status.NXDOMAIN:
            return Outcome(State.BOUNCED, f"the domain {domain} does not exist", 0, "5.1.2")
        case Status.NO_DATA:
            hosts = [MxHost(domain, 0, answer.is_secure)]
        case _:
            named = [record for record in answer.records if record.host]
            if not named:
                return Outcome(State.BOUNCED, f"the domain {domain} says that it takes no mail (null MX)", 0, "5.1.10")
            hosts = [MxHost(mx.host, mx.preference, answer.is_secure) for mx in named if _is_host_name(mx.host)]
            if not hosts:
                return Outcome(State.BOUNCED, f"the mail hosts of {domain} have no valid names", 0, "5.4.4")
    ours = min((host.preference for host in hosts if is_ours(host.name)), default=None)
    if ours is not None:
        hosts = [host for host in hosts if host.preference < ours]
        if not hosts:
            return Outcome(State.BOUNCED, f"mail for {domain} would loop back to this gateway", 0, "5.4.6")
    return tuple(_in_order(hosts, shuffle))


def _is_host_name(name: str) -> bool:
    try:
        parse_domain(name)
    except AddressError:
        return False
    return True


def _in_order(hosts: Sequence[MxHost], shuffle: Callable[[list[MxHost]], None]) -> list[MxHost]:
    """By preference, by chance among equals; a host that is named twice counts once."""
    ordered: dict[str, MxHost] = {}
    for _, group in itertools.groupby(sorted(hosts, key=_preference), key=_preference):
        equals = list(group)
        shuffle(equals)
        for host in equals:
            ordered.setdefault(host.name, host)
            if len(ordered) == MOST_HOSTS:
                return list(ordered.values())
    return list(ordered.values())


def _preference(host: MxHost) -> int:
    return host.preference
