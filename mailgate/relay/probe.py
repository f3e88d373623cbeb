"""What would happen now to mail for a domain: each host is spoken to as the relay would, and no mail is sent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailgate.model.dns import Resolver
from mailgate.model.level import TransportLevel
from mailgate.model.outcome import Outcome
from mailgate.policy.effective import EffectivePolicy
from mailgate.relay.opening import Opener, OpenError
from mailgate.relay.planning import Plan, Planner, Wishes
from mailgate.relay.process import surroundings
from mailgate.relay.routing import way
from mailgate.relay.timeouts import Timeouts
from mailgate.relay.transfer import Fault
from mailgate.route.mx import MxHost
from mailgate.route.resolver import DnsResolver
from mailgate.settings import Settings
from mailgate.transport.memory import HostMemory
from mailgate.transport.sts_cache import StsCache

PATIENCE = Timeouts(connect=10, greeting=20, hello=20, tls=20, auth=20)


@dataclass(frozen=True, slots=True)
class ProbedHost:
    """`error` is empty where mail could leave; `facts` as in the record of an attempt."""

    host: str
    preference: int
    error: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> str:
        return "" if self.error else str(self.facts.get("level", TransportLevel.PLAINTEXT.value))


@dataclass(frozen=True, slots=True)
class Probed:
    """`outcome` tells how mail would end where there are no hosts; `mta_sts` is the mode of the domain's policy."""

    domain: str
    route: str
    mta_sts: str
    hosts: tuple[ProbedHost, ...]
    outcome: str = ""


async def probe(
    settings: Settings,
    policy: EffectivePolicy,
    domain: str,
    resolver: Resolver | None = None,
    timeouts: Timeouts = PATIENCE,
) -> Probed:
    """`domain` as A-labels in lower case, or an address literal."""
    names = resolver or DnsResolver(settings.resolver, settings.resolver_trusted, time.monotonic)
    folder: Path = settings.data_dir / "transport" / "mta-sts"
    around = surroundings(settings)
    planner = Planner(names, StsCache(names, folder, time.time, around.allows).policy, around)
    opener = Opener(settings.hostname, HostMemory(time.monotonic), timeouts, time.time)
    chosen = way(policy, domain)
    route = f"{chosen.smarthost.host}:{chosen.smarthost.port}" if chosen.smarthost is not None else "MX"
    plan = await planner.plan(domain, chosen, Wishes())
    if isinstance(plan, Outcome):
        return Probed(domain, route, "", (), f"{plan.state.value}: {plan.text}")
    mode = plan.sts.mode.value if plan.sts is not None else "none"
    hosts = [await _host(planner, opener, plan, host) for host in plan.hosts]
    return Probed(domain, route, mode, tuple(hosts))


async def _host(planner: Planner, opener: Opener, plan: Plan, host: MxHost) -> ProbedHost:
    target = await planner.target(plan, host)
    if isinstance(target, Fault):
        return ProbedHost(host.name, host.preference, target.text)
    if target.lacks_proof:
        text = f"nothing could prove that this is the right host; {target.floor.words} is a must"
        return ProbedHost(host.name, host.preference, text, target.checks)
    try:
        session = await opener.open(target)
    except OpenError as error:
        return ProbedHost(host.name, host.preference, error.fault.text, error.facts.values)
    facts = {"address": session.facts.address, **session.facts.values}
    await session.quit()
    return ProbedHost(host.name, host.preference, "", facts)
