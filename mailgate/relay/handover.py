"""Mail for domains that are hosted here never leaves by DNS: it is handed to our own MX, where the receiving tenant's
policy decides on it like on any other mail; what is the receiving tenant's already goes to that tenant's own server."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from mailgate.ipc.calls import Resolve, Resolved
from mailgate.ipc.line import StoreLine
from mailgate.model.outcome import Outcome, State
from mailgate.relay.job import Job
from mailgate.relay.planning import Plan, Wishes
from mailgate.relay.routing import Smarthost, Way
from mailgate.route.mx import MxHost
from mailgate.settings import Listen

FOREIGN_SECONDS = 60.0
MOST_DOMAINS = 50_000


class Handover:
    """`listeners` are our own for MX; `clock` in seconds."""

    def __init__(self, store: StoreLine, listeners: Sequence[Listen], clock: Callable[[], float]) -> None:
        self._store = store
        self._listeners = listeners
        self._clock = clock
        self._foreign: dict[str, float] = {}

    def forget(self) -> None:
        """Domains have come or gone."""
        self._foreign.clear()

    async def plan(self, job: Job) -> Plan | Outcome | Way:
        """The plan to reach ourselves; the job's own way for a domain that is not hosted here, its inbound one for a
        domain of its tenant that has a server of its own. UnavailableError without the store."""
        domain = job.destination
        if self._foreign.get(domain, 0.0) > self._clock():
            return job.way
        local = job.mail.recipients[0].forward_path.rpartition("@")[0]
        found = await self._store.call(Resolve(local, domain))
        if isinstance(found, Resolved) and found.kind == "foreign":
            if len(self._foreign) >= MOST_DOMAINS:
                self._foreign.clear()
            self._foreign[domain] = self._clock() + FOREIGN_SECONDS
            return job.way
        is_own = isinstance(found, Resolved) and found.kind == "routed" and found.tenant == job.tenant
        if is_own and job.inbound is not None:
            return job.inbound
        if not self._listeners:
            return Outcome(State.QUEUED, f"{domain} is hosted here, but no MX listener runs", 0, "4.3.2")
        listen = self._listeners[0]
        host = reachable(listen.host)
        way = Way(job.lane, Smarthost(host, listen.port), True, (), "")
        return Plan(domain, way, (MxHost(host, is_literal=True),), Wishes())


def reachable(host: str) -> str:
    """An address on which a listener bound to `host` can be reached from this machine."""
    if not host:
        return "127.0.0.1"
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
