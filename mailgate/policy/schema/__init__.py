"""What may stand in policy files, one module a subject. The field texts become docs/policies.md, so they speak to
administrators.

A tenant's file holds only differences: pydantic keeps which fields were given; `effective_policy` reads that.
"""

from mailgate.policy.schema.attachments import AttachmentRule, RuleDirection
from mailgate.policy.schema.authentication import Authentication
from mailgate.policy.schema.dmarc_reports import DmarcReports
from mailgate.policy.schema.exceptions import (
    AttachmentException,
    DatedException,
    PartException,
    ScannerException,
    SenderException,
)
from mailgate.policy.schema.files import LISTS, GatewayPolicy, TenantPolicy, built_in
from mailgate.policy.schema.inbound import InboundProtocol, InboundRoute
from mailgate.policy.schema.limits import GatewayLimits, Limits
from mailgate.policy.schema.mailboxes import Mailboxes
from mailgate.policy.schema.mta_sts import MtaSts
from mailgate.policy.schema.people import Addresses, Passwords, Submission
from mailgate.policy.schema.postmaster import GatewayPostmaster, Postmaster
from mailgate.policy.schema.quarantine import Quarantine
from mailgate.policy.schema.retention import Retention
from mailgate.policy.schema.scanning import DefectAction, Scanning, UnscannedActions
from mailgate.policy.schema.section import Section
from mailgate.policy.schema.sending import Sending, SendingCertificate
from mailgate.policy.schema.signing import Signing
from mailgate.policy.schema.transport import RouteRule, Transport, TransportClass

__all__ = [
    "LISTS",
    "Addresses",
    "AttachmentException",
    "AttachmentRule",
    "Authentication",
    "DatedException",
    "DefectAction",
    "DmarcReports",
    "GatewayLimits",
    "GatewayPolicy",
    "GatewayPostmaster",
    "InboundProtocol",
    "InboundRoute",
    "Limits",
    "Mailboxes",
    "MtaSts",
    "PartException",
    "Passwords",
    "Postmaster",
    "Quarantine",
    "Retention",
    "RouteRule",
    "RuleDirection",
    "ScannerException",
    "Scanning",
    "Section",
    "SenderException",
    "Sending",
    "SendingCertificate",
    "Signing",
    "Submission",
    "TenantPolicy",
    "Transport",
    "TransportClass",
    "UnscannedActions",
    "built_in",
]
