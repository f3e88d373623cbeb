"""Reports to other domains by mail: in whose name they are sent, and how the store comes to keep them."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mailgate.dsn.report_mail import AttachedReport, compose_report
from mailgate.ipc.calls import Resolve, Resolved
from mailgate.ipc.line import StoreLine
from mailgate.ipc.report_calls import KeepReport, OwnReport
from mailgate.model.envelope import TenantName
from mailgate.relay.signing import Signer

EPOCH = datetime.date(1970, 1, 1)
POSTMASTER = "postmaster"
MOST_NAMES = 20  # of a tenant's domains that are looked at


def date_of(day: int) -> datetime.date:
    """Of a day since 1970."""
    return EPOCH + datetime.timedelta(days=day)


@dataclass(frozen=True, slots=True)
class ReportSubject:
    """What a report is about: `domain` on `day` (since 1970, UTC)."""

    kind: Literal["dmarc", "tls"]
    domain: str
    day: int


@dataclass(frozen=True, slots=True)
class Submitter:
    """`postmaster@` a hosted `domain` that has keys which the DNS shows: receivers believe no report that is not signed
    in its sender's name (RFC 9990 section 3.5.2, RFC 8460 section 3)."""

    tenant: TenantName
    domain: str

    @property
    def address(self) -> str:
        return f"{POSTMASTER}@{self.domain}"


class ReportMailer:
    """`hostname` is our own name; `clock` in seconds since 1970. UnavailableError while the store is away."""

    def __init__(self, store: StoreLine, signer: Signer, hostname: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._signer = signer
        self._hostname = hostname
        self._clock = clock

    async def of_tenant(self, tenant: TenantName, domains: Iterable[str]) -> Submitter | None:
        """The first of the tenant's domains that can sign."""
        for domain in tuple(domains)[:MOST_NAMES]:
            if await self._signer.can_sign(tenant, domain):
                return Submitter(tenant, domain)
        return None

    async def of_gateway(self) -> Submitter | None:
        """The gateway itself is nobody's: it speaks by the nearest domain above its own name that is hosted here."""
        labels = self._hostname.split(".")
        for count in range(len(labels), 1, -1):
            domain = ".".join(labels[-count:])
            found = await self._store.call(Resolve("", domain))
            if isinstance(found, Resolved) and found.tenant:
                return await self.of_tenant(found.tenant, (domain,))
        return None

    async def keep(
        self, subject: ReportSubject, tenant: TenantName, report: AttachedReport, recipients: Iterable[str]
    ) -> None:
        """A mail to each of the recipients; once for each subject, however often it is asked for."""
        mails = []
        for recipient in recipients:
            composed = compose_report(report, recipient, secrets.token_hex(16), self._clock())
            mails.append(OwnReport(recipient, composed.content, composed.message_id))
        await self._store.call(KeepReport(subject.kind, subject.day, tenant, subject.domain, tuple(mails)))

    async def drop(self, subject: ReportSubject, tenant: TenantName) -> None:
        """Nobody wants it, or it can't be sent."""
        await self._store.call(KeepReport(subject.kind, subject.day, tenant, subject.domain))
