"""One message on its way to one destination: the recipients that are attempted together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mailgate.ipc.calls import Work
from mailgate.model.envelope import TenantName
from mailgate.model.outcome import Outcome
from mailgate.relay.mail import Mail
from mailgate.relay.routing import Way
from mailgate.relay.transfer import Fault, Transfer

MOST_RECIPIENTS = 100
"""In one transaction: what every server must take (RFC 5321 section 4.5.3.1.8)."""
_OF_ONE_HOST = frozenset({"5.7.10", "5.7.30"})  # another one may honour REQUIRETLS (RFC 8689 section 4.2.1)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """`works` are the recipients in the order of the transaction. `until`: when the lease ends, by
    the clock of `delivery.Parts`. `way` leads out of here; `inbound` to the tenant's own server, should the destination
    turn out to be a domain of the tenant. `unsigned`: the mail before anything was done to it for this attempt."""

    works: tuple[Work, ...]
    mail: Mail
    way: Way
    until: float
    inbound: Way | None = None
    unsigned: Mail | None = None

    @property
    def lane(self) -> str:
        return (self.inbound or self.way).lane

    @property
    def tenant(self) -> str:
        return self.mail.envelope.tenant

    @property
    def destination(self) -> str:
        return self.works[0].destination

    @property
    def is_again(self) -> bool:
        """Each of its recipients has been attempted before."""
        return all(work.number > 1 for work in self.works)

    @property
    def size(self) -> int:
        return len(self.mail.inline or b"")


def jobs_of(
    leased: Iterable[Work], ways: Callable[[TenantName, str], tuple[Way, Way | None]], until: float
) -> list[Job]:
    """Recipients of one message with one destination share a transaction, those apart to whom different addresses
    forward it: their reverse-paths differ. `ways`: `Job.way` and `Job.inbound` by tenant and
    destination."""
    groups: dict[tuple[int, str, str], list[Work]] = {}
    for work in leased:
        forwarder = work.envelope.recipients[work.position].forwarder
        groups.setdefault((work.message, work.destination, forwarder), []).append(work)
    jobs = []
    for works in groups.values():
        for at in range(0, len(works), MOST_RECIPIENTS):
            part = tuple(works[at : at + MOST_RECIPIENTS])
            first = part[0]
            recipients = tuple(first.envelope.recipients[work.position] for work in part)
            mail = Mail(first.envelope, recipients, first.size, first.inline, first.file, first.digest)
            way, inbound = ways(first.envelope.tenant, first.destination)
            jobs.append(Job(part, mail, way, until, inbound))
    return jobs


@dataclass(slots=True)
class Try:
    """What came of one host: a transaction, a fault before it, or a reason not to begin one. `was_cut`: the host cut
    the TLS handshake, so that less may do."""

    host: str
    facts: dict[str, Any] = field(default_factory=dict)
    transfer: Transfer | None = None
    fault: Fault | None = None
    obstacle: Outcome | None = None
    was_cut: bool = False

    @property
    def may_try_another(self) -> bool:
        """Another host is worth a try where this one was no help at all: no reply to the message, no doubt that it
        might have it, and no refusal that concerns the message."""
        if self.transfer is None:
            return self.obstacle is None or self.obstacle.enhanced in _OF_ONE_HOST
        return self.transfer.fault is not None and not self.transfer.is_sent and self.transfer.mail is None
