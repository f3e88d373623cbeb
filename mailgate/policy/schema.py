"""What may stand in policy files. The field texts become docs/policies.md, so they speak to administrators.

A tenant's file holds only differences: pydantic keeps which fields were given, and `merge` reads that.
"""

from __future__ import annotations

import datetime
import enum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from mailgate.model.decision import Action
from mailgate.model.envelope import Direction
from mailgate.model.level import TransportLevel
from mailgate.policy.values import (
    Count,
    Days,
    DefectName,
    DomainPattern,
    DomainPatterns,
    DomainSet,
    DownAction,
    Extensions,
    Flag,
    Globs,
    HostPort,
    IpAddress,
    Networks,
    OwnDomains,
    PartClasses,
    RuleAction,
    Seconds,
    Size,
    StopAction,
)


class DefectAction(enum.StrEnum):
    """SCAN lets the verdicts decide: every reading of the message has been scanned."""

    SCAN = "scan"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class Section(BaseModel):
    """Base of all tables: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, str_strip_whitespace=True)


class Limits(Section):
    """Limits of one message. A tenant may only make them stricter."""

    message_size: Annotated[Size, Field(ge=65_536)] = Field(
        default=52_428_800,
        description="Largest message. At most the setting MAILGATE_MESSAGE_SIZE_LIMIT, which is also the default.",
    )
    recipients: Count = Field(
        default=1_000, description="Recipients of one message; more are answered 452, the rest goes on."
    )
    parts: Annotated[Count, Field(le=10_000)] = Field(
        default=1_000,
        description="Parts of one message, members of archives included; with more it is `unscanned.limit`.",
    )
    depth: Annotated[Count, Field(le=100)] = Field(
        default=50, description="How deep parts may be nested; a deeper message is `unscanned.limit`."
    )
    received_hops: Annotated[Count, Field(le=1_000)] = Field(
        default=50, description="Received fields of a message; with more it is taken for a mail loop and rejected."
    )


class GatewayLimits(Limits):
    """Limits of connections and headers. They act before the tenant's policy does, so only gateway.toml sets them."""

    header_size: Annotated[Size, Field(le=16 << 20)] = Field(default=262_144, description="Size of a message's header.")
    header_fields: Annotated[Count, Field(le=100_000)] = Field(
        default=1_000, description="Fields of a message's header."
    )
    connections: Count = Field(default=1_000, description="Connections at the same time, of all clients.")
    connections_per_address: Count = Field(
        default=50, description="Connections at the same time from one IPv4 address or one IPv6 /64 network."
    )
    messages_per_connection: Count = Field(
        default=1_000, description="Messages over one connection; then 421, come again."
    )
    commands: Count = Field(default=10_000, description="Commands over one connection.")
    idle_seconds: Seconds = Field(
        default=300, description="Silence of the client after which the connection is closed."
    )
    session_seconds: Seconds = Field(default=7_200, description="Longest life of a connection.")
    data_rate: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = Field(
        default=100,
        description="Bytes a second that a client must reach on average while it sends a message; 0 switches it off.",
    )
    auth_failures: Annotated[Count, Field(le=20)] = Field(
        default=5, description="Wrong passwords over one connection before it is closed."
    )


class Scanning(Section):
    """What happens to infected mail, and to submissions while no scanner answers."""

    infected: StopAction = Field(
        default=Action.REJECT,
        description="For a message with malware in it: `reject` refuses it in the dialogue, `quarantine` keeps it "
        "aside.",
    )
    scanner_down: DownAction = Field(
        default=Action.DEFER,
        description="For submissions while the scanner can't answer: `defer` asks the mail program to try again, "
        "`hold` accepts and keeps the message until it has been scanned. Mail from outside is always deferred.",
    )


class Authentication(Section):
    """What happens to mail from outside by who it says it is from (SPF, DKIM, DMARC, ARC)."""

    check: Flag = Field(
        default=True, description="Check the senders of mail from outside; `false` spares the DNS lookups."
    )
    dmarc_reject: RuleAction = Field(
        default=Action.REJECT,
        description="Mail that fails DMARC where the author's domain asks for `p=reject`: `reject`, `quarantine` or "
        "`accept`.",
    )
    dmarc_quarantine: RuleAction = Field(
        default=Action.QUARANTINE, description="The same where the author's domain asks for `p=quarantine`."
    )
    malformed_from: RuleAction = Field(
        default=Action.REJECT,
        description="Mail with several From fields, or one that mail programs read in different ways, so that DMARC "
        "can't be applied to what people will see.",
    )
    dns_failure: Literal[Action.ACCEPT, Action.DEFER] = Field(
        default=Action.ACCEPT,
        description="Mail whose author can't be checked since the DNS does not answer: `accept`, or `defer` to let "
        "the sender try again.",
    )
    trusted_sealers: DomainSet = Field(
        default=(),
        description="Forwarders such as mailing lists whose word counts: where DMARC fails, but their ARC seal says "
        "that it passed when the message came to them, the message is accepted.",
    )


class SenderException(Section):
    """A domain whose mail is taken although DMARC fails, for a reason and until a date."""

    domains: DomainPatterns = Field(
        alias="domain", description="The author's domain (in From); `*.` stands for all names below."
    )
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] = Field(
        description="Why; timelines show it."
    )
    expires: datetime.date = Field(description="The last day on which it holds (UTC), e.g. `2027-03-31`.")


class UnscannedActions(Section):
    """What happens to a message with a part that could not be scanned. No rule can let such a part pass."""

    limit: StopAction = Field(
        default=Action.QUARANTINE, description="A limit of size, number, depth or time ended the inspection of a part."
    )
    encrypted: StopAction = Field(
        default=Action.QUARANTINE,
        description="A part is encrypted, e.g. an archive with a password; nobody can look inside.",
    )
    worker: StopAction = Field(
        default=Action.QUARANTINE, description="The inspection of this message failed twice, whatever the reason."
    )


class TransportClass(enum.StrEnum):
    """What mail to a domain needs. OPPORTUNISTIC: the best that is there; the others are levels."""

    OPPORTUNISTIC = "opportunistic"
    ENCRYPTED = "encrypted"
    FORWARD_SECRET = "forward-secret"  # noqa: S105 (not a password)
    AUTHENTICATED = "authenticated"

    @property
    def level(self) -> TransportLevel:
        return TransportLevel.PLAINTEXT if self is TransportClass.OPPORTUNISTIC else TransportLevel(self.value)


class Transport(Section):
    """How private connections to other mail servers must be."""

    minimum: TransportLevel = Field(
        default=TransportLevel.PLAINTEXT,
        description="The least that mail may leave with: `plaintext` < `encrypted` < `forward-secret` < "
        "`authenticated`. The best that the other side offers is used in any case; below the minimum mail waits, "
        "then bounces. A tenant may only raise it.",
    )
    classes: dict[DomainPattern, TransportClass] = Field(
        default_factory=dict,
        description='What mail to single domains needs, e.g. `"*.bank.example" = "authenticated"`: '
        "`opportunistic`, `encrypted`, `forward-secret` or `authenticated`. `*.` stands for all names below, `*` for "
        "all domains. Of all that fit the strictest counts, the gateway's and the minimum included.",
    )
    egress_address: IpAddress = Field(
        default="", description="The address of this machine that connections are made from; empty: the system chooses."
    )


class RouteRule(Section):
    """Where mail to some domains goes instead of the mail hosts that DNS names. The first route that fits is taken, the
    tenant's before the gateway's."""

    domains: DomainPatterns = Field(
        alias="domain", description="The recipients' domain; `*.` stands for all names below, `*` for all domains."
    )
    smarthost: HostPort | None = Field(
        default=None,
        description="`host:port` that takes the mail, e.g. `smtp.provider.example:587`; without it DNS counts.",
    )
    username: Annotated[str, StringConstraints(max_length=320)] = Field(
        default="", description="The account at the smarthost; the password is sent inside TLS only."
    )
    password_file: Annotated[str, StringConstraints(max_length=4_096)] = Field(
        default="", description="The file with the password in its first line, readable by the gateway only."
    )
    minimum: TransportLevel | None = Field(
        default=None,
        description="The least private level on this route, if it is to be more than `transport` asks for.",
    )
    private_addresses: Flag = Field(
        default=False, description="Mail hosts that DNS names may have private addresses. A smarthost always may."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.username) != bool(self.password_file):
            raise PydanticCustomError("login", "needs username and password_file together")
        if self.username and self.smarthost is None:
            raise PydanticCustomError("login", "has a login but no smarthost to use it with")
        return self


class InboundProtocol(enum.StrEnum):
    """What a tenant's own server speaks."""

    SMTP = "smtp"
    LMTP = "lmtp"


class InboundRoute(Section):
    """Where mail for a domain of the tenant goes instead of mailboxes here: to the tenant's own server. The first route
    that fits is taken, the tenant's before the gateway's; it counts for domains that the tenant has here. All mail for
    the domain goes there, so mailboxes here get none of it."""

    domains: OwnDomains = Field(
        alias="domain", description="A domain of the tenant, or several; `*.` stands for all names below."
    )
    server: HostPort = Field(
        description="`host:port` of the server, e.g. `mail.acme.example:25`. It may have a private address."
    )
    protocol: InboundProtocol = Field(
        default=InboundProtocol.SMTP, description="What the server speaks there: `smtp` or `lmtp`."
    )
    verify: Flag = Field(
        default=True,
        description="Ask the server whether it knows a recipient before mail for it is accepted: one that it does not "
        "know is refused (550); while the server does not answer, the sender is asked to try again (451).",
    )
    minimum: TransportLevel = Field(
        default=TransportLevel.PLAINTEXT,
        description="The least private level on the way to the server, as in `transport.minimum`, which does not "
        "count here.",
    )


class Sending(Section):
    """Servers of the tenant that send through the gateway. From these addresses MX takes mail to everybody if its
    reverse-path is at one of the tenant's domains (or null, where the address is in the list of one tenant only)."""

    networks: Networks = Field(
        default=(),
        description='Addresses or ranges such as `"192.0.2.0/24"`, only in a tenant\'s file. Name those that '
        "nobody else can send from.",
    )


class Retention(Section):
    """For how long records with personal data are kept; then they are deleted."""

    quarantine_days: Days = Field(default=30, description="Messages in quarantine.")
    timeline_days: Days = Field(default=90, description="Timelines of messages (`mailgate trace`).")
    audit_days: Days = Field(default=365, description="The log of what administrators did.")


class AttachmentRule(Section):
    """One rule. All conditions that it gives must hold for one and the same part; of a list any value will do."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f\"]+$")] = Field(
        description="What timelines call the rule, e.g. `no programs`."
    )
    action: RuleAction = Field(
        description="`reject` refuses the message, `quarantine` keeps it aside, `accept` ends the rules for this part."
    )
    reply: Annotated[str, StringConstraints(max_length=200, pattern=r"^[\x20-\x7e]*$")] = Field(
        default="", description="The text that the sender of a rejected message reads (plain ASCII), e.g. whom to ask."
    )
    classes: PartClasses = Field(
        default=(),
        alias="class",
        description="What the bytes are: `executable`, `script`, `macro`, `archive`, `encrypted`, `disk-image`, "
        "`shortcut`.",
    )
    types: Globs = Field(
        default=(),
        alias="type",
        description="Media type found from the bytes (what the sender declares plays no part): a glob.",
    )
    extensions: Extensions = Field(
        default=(), alias="extension", description="End of the file name, e.g. `exe` or `tar.gz`."
    )
    filenames: Globs = Field(
        default=(),
        alias="filename",
        description="The file name: a glob, e.g. `invoice*.zip`; `*` means every attachment.",
    )
    larger_than: Size | None = Field(default=None, description="Size of the decoded part above which the rule holds.")
    encrypted: Flag | None = Field(default=None, description="Whether the part is encrypted.")
    direction: Direction | None = Field(
        default=None, description="`inbound`: mail from outside; `outbound`: mail submitted by the tenant's users."
    )
    senders: Globs = Field(
        default=(),
        alias="sender",
        description="Reverse-path (envelope sender): a glob, e.g. `*@partner.example`; an empty text is the sender of "
        "bounces. Anyone can claim an address on inbound mail.",
    )
    recipients: Globs = Field(
        default=(),
        alias="recipient",
        description="Forward-path (envelope recipient): a glob; decided for each recipient.",
    )

    @model_validator(mode="after")
    def _has_condition(self) -> Self:
        if not self.model_fields_set - {"name", "action", "reply"}:
            raise PydanticCustomError(
                "no_condition", 'has no condition; add one (filename = "*" stands for every attachment)'
            )
        return self


class TenantPolicy(Section):
    """A file `tenants/<tenant>.toml`: the differences from gateway.toml."""

    language: Literal["en", "de"] = Field(default="en", description="Language of notices to people: `en` or `de`.")
    limits: Limits = Field(default_factory=Limits)
    scanning: Scanning = Field(default_factory=Scanning)
    unscanned: UnscannedActions = Field(default_factory=UnscannedActions)
    authentication: Authentication = Field(default_factory=Authentication)
    exceptions: tuple[SenderException, ...] = Field(default=(), description="Exceptions from DMARC.")
    attachments: tuple[AttachmentRule, ...] = Field(default=(), description="Attachment rules in their order.")
    defects: dict[DefectName, DefectAction] = Field(
        default_factory=dict,
        description="What happens to messages that mail programs read in different ways, by the name of the defect; "
        "`*` stands for all that are not named. `scan` (the default): every reading was scanned, the verdicts decide; "
        "`quarantine`; `reject`. Built in: `message-partial` and `external-body` are quarantined, since what the "
        "recipient will see is not in the message.",
    )
    transport: Transport = Field(default_factory=Transport)
    routes: tuple[RouteRule, ...] = Field(default=(), description="Routes in their order.")
    inbound: tuple[InboundRoute, ...] = Field(default=(), description="Inbound routes in their order.")
    sending: Sending = Field(default_factory=Sending)
    retention: Retention = Field(default_factory=Retention)


class GatewayPolicy(TenantPolicy):
    """The file gateway.toml: what holds for all tenants."""

    limits: GatewayLimits = Field(default_factory=GatewayLimits)

    @field_validator("sending")
    @classmethod
    def _is_for_tenants(cls, sending: Sending) -> Sending:
        if sending.networks:
            raise PydanticCustomError(
                "tenants_only", "belongs in a tenant's file, since it says whose servers they are"
            )
        return sending


def built_in(message_size_limit: int) -> GatewayPolicy:
    """What holds where no file says anything. `message_size_limit` in bytes, from the settings."""
    defects = {"message-partial": DefectAction.QUARANTINE, "external-body": DefectAction.QUARANTINE}
    return GatewayPolicy(limits=GatewayLimits(message_size=message_size_limit), defects=defects)
