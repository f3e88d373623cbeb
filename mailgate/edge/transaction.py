"""One mail transaction while it grows: the envelope, the message, and what is found of it (see `message_end`)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from mailgate.edge import header, sender
from mailgate.edge.callout import Takes
from mailgate.edge.inspectors import Inspectors
from mailgate.edge.limits import SessionLimits, neighbourhood_of, network_of
from mailgate.edge.lookups import WatchedResolver
from mailgate.edge.send_as import NOBODY, SendAs
from mailgate.edge.staging import Staging
from mailgate.edge.store_client import StoreClient
from mailgate.edge.turns import Presence, Share
from mailgate.ipc.calls import NewEntry, Note
from mailgate.model.dmarc import Seen
from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName, queue_id
from mailgate.model.event import Event
from mailgate.model.received_report import ReceivedReport, TlsReport
from mailgate.model.reply import Reply
from mailgate.model.verdict import Inspection
from mailgate.policy.snapshot import Snapshot
from mailgate.records import log
from mailgate.records.timeline import inspection_facts
from mailgate.senderauth.check import SenderCheck
from mailgate.senderauth.findings import Findings

_logger = log.get(__name__)


def new_queue_id(now: float) -> QueueId:
    return queue_id(now, secrets.randbits(35))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transaction needs of the edge. Without a `resolver` nobody's sender is checked."""

    hostname: str
    store: StoreClient
    inspectors: Inspectors
    policy: Callable[[], Snapshot]
    limits: Callable[[], SessionLimits]
    resolver: WatchedResolver | None = None


@dataclass(slots=True)
class Transaction:
    """One mail transaction (RFC 5321 section 3.3): the envelope while it grows, then the message and what is found."""

    around: Surroundings
    queue_id: QueueId
    tenant: TenantName
    direction: Direction
    client: Client
    reverse_path: str
    staging: Staging
    smtputf8: bool = False
    is_8bit: bool = False
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""
    requiretls: bool = False
    declared: int = 0  # bytes, by SIZE
    let_in_by: str = ""
    send_as: SendAs = NOBODY
    recipients: list[tuple[TenantName, Recipient]] = field(default_factory=list)
    release_local: str = ""  # of the release address that this is sent to, if so
    taken_there: list[Takes] = field(default_factory=list)  # by the tenants' own servers that the recipients are at
    named: int = 0  # recipients taken, one that is named again included
    is_bad: bool = False
    has_long_lines: bool = False  # of more than 998 octets; looked for in what a tenant sends
    presence: Presence = field(default_factory=Presence)
    header: header.Header | None = None
    sender_check: SenderCheck | None = None
    findings: Findings | None = None
    seen: tuple[Seen, ...] = ()  # of a message that was decided on
    reports: tuple[ReceivedReport, ...] = ()
    tls_reports: tuple[TlsReport, ...] = ()
    inspection: Inspection | None = None
    entries: list[NewEntry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def share(self) -> Share:
        """From whose share is taken what the message needs."""
        if self.direction is Direction.OUTBOUND:
            return Share(self.tenant, network_of(self.client.address), is_own=True)
        return Share(self.recipients[0][0] if self.recipients else "", neighbourhood_of(self.client.address))

    def check_sender(self, is_wanted: bool) -> None:
        """Begins with the envelope, while the message is still to come."""
        resolver = self.around.resolver
        if is_wanted and resolver is not None and self.direction is Direction.INBOUND and self.sender_check is None:
            self.sender_check = sender.start(
                resolver.of(self.share), self.client, self.reverse_path, self.around.hostname
            )

    def close(self) -> None:
        """Gives everything back, however far it got."""
        if self.sender_check is not None:
            self.sender_check.close()
        self.staging.close()

    def record(self, kind: str, **facts: object) -> None:
        self.events.append(Event(time.time(), kind, facts))

    def envelope(self, tenant: TenantName, recipients: tuple[Recipient, ...]) -> Envelope:
        is_own = tenant == self.tenant
        return Envelope(
            queue_id=self.queue_id if not self.entries else new_queue_id(time.time()),
            tenant=tenant,
            direction=self.direction if is_own else Direction.INBOUND,
            reverse_path=self.reverse_path,
            recipients=recipients,
            client=self.client,
            received_at=time.time(),
            body="8BITMIME" if self.is_8bit else "7BIT",
            smtputf8=self.smtputf8,
            ret=self.ret,
            envid=self.envid,
            requiretls=self.requiretls,
            message_id=self.header.message_id if self.header else "",
        )

    def note(self, answer: Reply, cause: str) -> None:
        """Puts a message that is not taken on record; of one that is kept the store has the inspection itself."""
        if self.inspection is not None:
            self.events.insert(1, Event(self.events[0].at, "inspected", inspection_facts(self.inspection)))
        self.record("refused" if answer.code >= 500 else "deferred", reply=str(answer), cause=cause)
        tenant = self.recipients[0][0] if self.recipients else self.tenant
        envelope = replace(
            self.envelope(tenant, tuple(recipient for _, recipient in self.recipients)), queue_id=self.queue_id
        )
        seen = self.seen if answer.code >= 500 else ()
        self.around.store.note(Note(envelope, tuple(self.events), seen))
        _logger.info("not taken", queue_id=self.queue_id, tenant=tenant, reply=str(answer), cause=cause)
