"""What may stand in the two kinds of files as a whole."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from mailgate.policy.schema.attachments import AttachmentRule
from mailgate.policy.schema.authentication import Authentication
from mailgate.policy.schema.dmarc_reports import DmarcReports
from mailgate.policy.schema.exceptions import AttachmentException, ScannerException, SenderException
from mailgate.policy.schema.inbound import InboundRoute
from mailgate.policy.schema.limits import GatewayLimits, Limits
from mailgate.policy.schema.mailboxes import Mailboxes
from mailgate.policy.schema.mta_sts import MtaSts
from mailgate.policy.schema.people import Addresses, Passwords, Submission
from mailgate.policy.schema.postmaster import GatewayPostmaster, Postmaster
from mailgate.policy.schema.quarantine import Quarantine
from mailgate.policy.schema.retention import Retention
from mailgate.policy.schema.scanning import DefectAction, Scanning, UnscannedActions
from mailgate.policy.schema.section import Section
from mailgate.policy.schema.sending import Sending
from mailgate.policy.schema.signing import Signing
from mailgate.policy.schema.transport import RouteRule, Transport
from mailgate.policy.values import DefectName


class TenantPolicy(Section):
    """A file `tenants/<tenant>.toml`: the differences from gateway.toml."""

    language: Literal["en", "de"] = Field(default="en", description="Language of notices to people: `en` or `de`.")
    limits: Limits = Field(default_factory=Limits)
    scanning: Scanning = Field(default_factory=Scanning)
    unscanned: UnscannedActions = Field(default_factory=UnscannedActions)
    authentication: Authentication = Field(default_factory=Authentication)
    exceptions: tuple[SenderException, ...] = Field(default=(), description="Exceptions from DMARC.")
    attachments: tuple[AttachmentRule, ...] = Field(default=(), description="Attachment rules in their order.")
    attachment_exceptions: tuple[AttachmentException, ...] = Field(
        default=(), description="Exceptions from attachment rules."
    )
    scanner_exceptions: tuple[ScannerException, ...] = Field(
        default=(), description="Exceptions for false positives of the scanner."
    )
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
    mta_sts: MtaSts = Field(default_factory=MtaSts)
    signing: Signing = Field(default_factory=Signing)
    dmarc_reports: DmarcReports = Field(default_factory=DmarcReports)
    postmaster: Postmaster = Field(default_factory=Postmaster)
    quarantine: Quarantine = Field(default_factory=Quarantine)
    passwords: Passwords = Field(default_factory=Passwords)
    submission: Submission = Field(default_factory=Submission)
    mailboxes: Mailboxes = Field(default_factory=Mailboxes)
    addresses: Addresses = Field(default_factory=Addresses)
    retention: Retention = Field(default_factory=Retention)


LISTS = frozenset(name for name, field in TenantPolicy.model_fields.items() if field.default == ())
"""The tables that come many times in a file, such as `[[attachments]]`."""


class GatewayPolicy(TenantPolicy):
    """The file gateway.toml: what holds for all tenants."""

    limits: GatewayLimits = Field(default_factory=GatewayLimits)
    postmaster: GatewayPostmaster = Field(default_factory=GatewayPostmaster)

    @field_validator("sending")
    @classmethod
    def _is_for_tenants(cls, sending: Sending) -> Sending:
        if sending.networks or sending.certificates:
            raise PydanticCustomError(
                "tenants_only", "belongs in a tenant's file, since it says whose servers they are"
            )
        return sending


def built_in(message_size_limit: int) -> GatewayPolicy:
    """What holds where no file says anything. `message_size_limit` in bytes, from the settings."""
    defects = {"message-partial": DefectAction.QUARANTINE, "external-body": DefectAction.QUARANTINE}
    return GatewayPolicy(limits=GatewayLimits(message_size=message_size_limit), defects=defects)
