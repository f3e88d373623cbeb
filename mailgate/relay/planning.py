"""From a destination to the hosts that take its mail, and for each host what it must prove: MX, addresses, DANE,
MTA-STS, the policy."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailgate.model.dns import Answer, Resolver, Tlsa
from mailgate.model.level import TransportLevel
from mailgate.model.outcome import Outcome, State
from mailgate.relay.mail import Mail
from mailgate.relay.opening import Login, Target
from mailgate.relay.routing import Smarthost, Way
from mailgate.relay.transfer import Fault, FaultKind
from mailgate.route import addresses, mx
from mailgate.route.addresses import Addresses
from mailgate.route.mx import MxHost, host_of
from mailgate.transport import dane
from mailgate.transport.dane import Standing
from mailgate.transport.floor import Demand, Floor, highest
from mailgate.transport.mta_sts import Mode, StsPolicy

FindPolicy = Callable[[str], Awaitable[StsPolicy | None]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the message itself asks of the transport (RFC 8689): `demand` is what REQUIRETLS comes to, `waives_tls`:
    the demands of the receiver's side do not count. `is_tls_report`: its session is not told in the next report, or
    each would bring about another."""

    demand: Demand | None = None
    waives_tls: bool = False
    is_tls_report: bool = False


def wishes_of(mail: Mail) -> Wishes:
    """A notice about mail with REQUIRETLS goes on without the other side's promise (RFC 8689 section 5), but not in
    plaintext: it holds the header of that mail."""
    if not mail.envelope.requiretls:
        return Wishes(waives_tls=mail.waives_tls, is_tls_report=mail.is_tls_report)
    if mail.must_require_tls:
        return Wishes(Demand(TransportLevel.AUTHENTICATED, "REQUIRETLS, asked for by the sender"))
    return Wishes(Demand(TransportLevel.ENCRYPTED, "REQUIRETLS of the mail that the notice is about"))


@dataclass(frozen=True, slots=True)
class Plan:
    """The hosts in their order. `sts` is the domain's MTA-STS policy, None where there is none or where it does not
    count."""

    destination: str
    way: Way
    hosts: tuple[MxHost, ...]
    wishes: Wishes
    sts: StsPolicy | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`hostname` is our own name; `is_ours` tells the addresses on which we would meet ourselves; `allows_private`:
    hosts that DNS names may have any address (closed networks)."""

    hostname: str
    port: int
    is_ours: Callable[[str], bool]
    allows_private: bool = False

    def allows(self, address: str) -> bool:
        """Whether DNS may lead to `address`."""
        return not addresses.refusal(address, self.allows_private, lambda each: False)


class Planner:
    def __init__(self, resolver: Resolver, sts_policy: FindPolicy, around: Surroundings) -> None:
        self._resolver = resolver
        self._sts_policy = sts_policy
        self._around = around

    async def plan(self, destination: str, way: Way, wishes: Wishes) -> Plan | Outcome:
        """The hosts; or how the attempt ends without any."""
        if way.smarthost is not None:
            return Plan(destination, way, (host_of(way.smarthost.host),), wishes)
        if destination.startswith("["):
            address = destination[1:-1].removeprefix("IPv6:")
            return Plan(destination, way, (MxHost(address, is_literal=True),), wishes)
        answer, policy = await asyncio.gather(self._resolver.mx(destination), self._sts_policy(destination))
        hosts = mx.select(destination, answer, lambda name: name == self._around.hostname, random.shuffle)
        if isinstance(hosts, Outcome):
            return hosts
        if policy is None or policy.mode is Mode.NONE or wishes.waives_tls:
            return Plan(destination, way, hosts, wishes)
        if policy.mode is Mode.ENFORCE:
            allowed = tuple(host for host in hosts if policy.allows(host.name))
            if not allowed:
                names = ", ".join(host.name for host in hosts)
                text = f"the MTA-STS policy of {destination} allows none of its mail hosts ({names})"
                return Outcome(State.QUEUED, text, 0, "4.7.5")
            hosts = allowed
        return Plan(destination, way, hosts, wishes, policy)

    async def target(self, plan: Plan, host: MxHost) -> Target | Fault:
        """How this host is to be spoken to; a Fault where it can't be."""
        allows_private = plan.way.allows_private or self._around.allows_private
        found = await addresses.find(self._resolver, host, allows_private, self._is_ours(plan))
        if not found.found:
            return _no_address(host, found)
        port = plan.way.smarthost.port if plan.way.smarthost is not None else self._around.port
        standing, proof = await self._dane(plan, host, found, port)
        if standing is Standing.FAILED:
            return Fault(FaultKind.UNREACHABLE, "DNS", f"the TLSA records of {host.name} can't be looked up")
        floor = highest(self._demands(plan, host, standing))
        login = _login(plan.way.smarthost)
        if isinstance(login, Fault):
            return login
        return Target(
            host=host.name,
            addresses=found.found,
            port=port,
            floor=floor,
            dane=proof,
            webpki=_webpki(plan, host, floor),
            login=login,
            source=plan.way.source,
            is_lmtp=plan.way.smarthost is not None and plan.way.smarthost.is_lmtp,
            checks=_checks(plan, host, standing),
        )

    def _is_ours(self, plan: Plan) -> Callable[[str], bool]:
        return (lambda address: False) if plan.way.smarthost is not None else self._around.is_ours

    async def _dane(self, plan: Plan, host: MxHost, found: Addresses, port: int) -> tuple[Standing, dane.Dane | None]:
        """TLSA records count only where DNSSEC has secured all that led to them (RFC 7672 section 2.2); those of the
        name after CNAMEs go first (section 2.2.3)."""
        if not host.is_secure or not found.is_secure or host.is_literal:
            return Standing.NONE, None
        for base in dict.fromkeys((found.name, host.name)):
            answer: Answer[Tlsa] = await self._resolver.tlsa(dane.owner(base, port))
            standing, records = dane.standing(answer)
            if standing is Standing.USABLE:
                return standing, dane.Dane(base, records, tuple(dict.fromkeys((base, host.name, plan.destination))))
            if standing is not Standing.NONE:
                return standing, None
        return Standing.NONE, None

    def _demands(self, plan: Plan, host: MxHost, standing: Standing) -> list[Demand]:
        demands = list(plan.way.demands)
        if plan.wishes.demand is not None:
            demands.append(plan.wishes.demand)
        if plan.wishes.waives_tls:
            return demands
        if standing is Standing.USABLE:
            demands.append(Demand(TransportLevel.AUTHENTICATED, f"DANE for {host.name}"))
        elif standing is Standing.UNUSABLE:
            demands.append(Demand(TransportLevel.ENCRYPTED, f"DANE for {host.name}, whose records can't be used"))
        if plan.sts is not None and plan.sts.mode is Mode.ENFORCE:
            demands.append(Demand(TransportLevel.AUTHENTICATED, f"the MTA-STS policy of {plan.destination}"))
        return demands


def _no_address(host: MxHost, found: Addresses) -> Fault:
    if found.failure:
        return Fault(FaultKind.UNREACHABLE, "DNS", f"the addresses can't be looked up: {found.failure}")
    if found.refused:
        return Fault(FaultKind.REFUSED_ADDRESS, "DNS", f"no usable address: {'; '.join(found.refused)}")
    return Fault(FaultKind.NO_ADDRESS, "DNS", "DNS knows no address of this host")


def _login(smarthost: Smarthost | None) -> Login | Fault | None:
    if smarthost is None or not smarthost.username:
        return None
    try:
        lines = Path(smarthost.password_file).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return Fault(FaultKind.LOCAL, "AUTH", f"the password file of the route can't be read: {error}")
    return Login(smarthost.username, lines[0] if lines else "")


def _webpki(plan: Plan, host: MxHost, floor: Floor) -> str:
    """By what a certificate for the host's name proves that it is the right host; empty where it proves nothing, or
    where nobody asks for it."""
    if plan.sts is not None:
        return f"MTA-STS {plan.sts.mode}"
    if floor.level is not TransportLevel.AUTHENTICATED or host.is_literal:
        return ""
    if plan.way.smarthost is not None:
        return "named by the policy"
    if host.is_secure:
        return "named by DNSSEC"
    is_of_domain = host.name == plan.destination or host.name.endswith(f".{plan.destination}")
    return "a name of the domain itself" if is_of_domain else ""


def _checks(plan: Plan, host: MxHost, standing: Standing) -> dict[str, Any]:
    return {
        "preference": host.preference,
        "mx_secure": host.is_secure,
        "dane": standing.value,
        "mta_sts": plan.sts.mode.value if plan.sts is not None else "none",
    }
