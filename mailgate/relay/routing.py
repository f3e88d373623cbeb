"""Which way the policy sends mail for a domain, and what it demands of the transport. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mailgate.model.level import TransportLevel
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.schema import InboundProtocol, RouteRule
from mailgate.policy.values import names_domain
from mailgate.settings import Listen
from mailgate.transport.floor import Demand


@dataclass(frozen=True, slots=True)
class Smarthost:
    """A host that takes the mail whatever DNS says: a provider's, or a tenant's own server; `host` may be the path of a
    Unix socket."""

    host: str
    port: int
    username: str = ""
    password_file: str = ""
    is_lmtp: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """`lane`: what shares one limit of connections. Without a `smarthost` DNS names the hosts. `demands` of the policy;
    `source`: our own address to use, empty for any."""

    lane: str
    smarthost: Smarthost | None
    allows_private: bool
    demands: tuple[Demand, ...]
    source: str


def way(policy: EffectivePolicy, destination: str) -> Way:
    """`destination`: a domain as A-labels in lower case, or an address literal."""
    demands = [Demand(policy.transport.minimum, "the transport minimum of the policy")]
    demands += (
        Demand(wanted.level, f"the transport class of {pattern} in the policy")
        for pattern, wanted in policy.transport.classes.items()
        if names_domain((pattern,), destination)
    )
    source = policy.transport.egress_address
    rule = next((rule for rule in policy.routes if names_domain(rule.domains, destination)), None)
    if rule is None:
        return Way(_lane(destination, source), None, False, tuple(demands), source)
    if rule.minimum is not None:
        demands.append(Demand(rule.minimum, f"the route of {', '.join(rule.domains)} in the policy"))
    smarthost = _smarthost(rule)
    if smarthost is None:
        return Way(_lane(destination, source), None, rule.private_addresses, tuple(demands), source)
    if smarthost.username:
        demands.append(Demand(TransportLevel.ENCRYPTED, "the login at the smarthost"))
    lane = _lane(f"{smarthost.host}:{smarthost.port} {smarthost.username}", source)
    return Way(lane, smarthost, True, tuple(demands), source)


def inbound_way(policy: EffectivePolicy, destination: str) -> Way | None:
    """The way to the server of the tenant that has the domain; None where its mail stays here."""
    rule = policy.inbound_route(destination)
    if rule is None:
        return None
    listen = rule.endpoint
    server = Smarthost(listen.host, listen.port, is_lmtp=rule.protocol is InboundProtocol.LMTP)
    demand = Demand(rule.minimum, f"the inbound route of {', '.join(rule.domains)} in the policy")
    source = policy.transport.egress_address
    return Way(_lane(f"{rule.protocol.value} {rule.server}", source), server, True, (demand,), source)


def _lane(name: str, source: str) -> str:
    return f"{name} from {source}" if source else name


def _smarthost(rule: RouteRule) -> Smarthost | None:
    if rule.smarthost is None:
        return None
    listen = Listen.parse(rule.smarthost)
    return Smarthost(listen.host, listen.port, rule.username, rule.password_file)
