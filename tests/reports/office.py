"""A store that knows tenants, their keys and results, and keeps the reports that the relay makes."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import cast

from mailgate.ipc.calls import (
    Answer,
    Done,
    GetSigningKeys,
    Request,
    Resolve,
    Resolved,
    SigningKey,
    SigningKeysFound,
)
from mailgate.ipc.line import StoreLine
from mailgate.ipc.report_calls import DmarcReportDue, GetDmarcReport, KeepReport
from mailgate.model.envelope import TenantName
from mailgate.model.errors import UnavailableError
from mailgate.relay.report_mailing import ReportMailer
from mailgate.relay.signing import Signer
from mailgate.senderauth.signing_key import new_rsa
from tests.relay.harness import FakeNames
from tests.support.clock import ManualClock

KEY = new_rsa()
ACME = TenantName("acme")
SELECTOR = "s._domainkey.acme.example"


class Office:
    """Tenant acme has acme.example with a key that the DNS shows, and other.example without; the gateway is
    mx.acme.example. `due` are the reports to be made, `kept` what was."""

    hostname = "mx.acme.example"

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.names = FakeNames()
        self.names.put(SELECTOR, "TXT", KEY.record)
        self.due: list[DmarcReportDue] = []
        self.kept: list[KeepReport] = []
        self.is_away = False
        self.line = cast(StoreLine, self)
        signer = Signer(self.line, self.names, self.clock)
        self.mailer = ReportMailer(self.line, signer, self.hostname, self.clock)

    async def call(self, request: Request) -> Answer:
        if self.is_away:
            raise UnavailableError("the store is away")
        match request:
            case Resolve(domain=domain):
                is_ours = domain in ("acme.example", "other.example")
                return Resolved("unknown", ACME) if is_ours else Resolved("foreign")
            case GetSigningKeys(tenant="acme", domain="acme.example"):
                return SigningKeysFound((SigningKey("s", KEY.encode(), KEY.record),))
            case GetSigningKeys():
                return SigningKeysFound(())
            case GetDmarcReport(before=before, day=day, domain=domain):
                later = (each for each in self.due if each.day < before and (each.day, each.domain) > (day, domain))
                return next(later, Done())
            case KeepReport():
                self.kept.append(request)
                self.due = [each for each in self.due if (each.day, each.domain) != (request.day, request.domain)]
                return Done()
        raise AssertionError(f"unexpected {request}")

    def mails(self) -> list[EmailMessage]:
        """All that were kept."""
        return [parsed(mail.content) for request in self.kept for mail in request.mails]


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message
