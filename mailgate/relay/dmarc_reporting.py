"""Makes the DMARC aggregate reports of the days before today and has them sent (RFC 9990)."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

from mailgate import __version__
from mailgate.dsn.report_mail import AttachedReport
from mailgate.ipc.line import StoreLine
from mailgate.ipc.report_calls import DmarcReportDue, GetDmarcReport
from mailgate.model.dns import Resolver
from mailgate.model.errors import MailgateError
from mailgate.records import log
from mailgate.relay.report_mailing import ReportMailer, ReportSubject, Submitter, date_of
from mailgate.senderauth import dmarc, report_targets
from mailgate.senderauth.aggregate_xml import AggregateReport, Reporter
from mailgate.senderauth.dmarc_record import ReportTarget
from mailgate.senderauth.dns import LookupFailed

DAY = 86_400
EARLIEST_SECONDS = 900.0  # after midnight: nothing of the day is under way any more
SPREAD_SECONDS = 4 * 3600.0
GIVE_UP_DAYS = 2
MOST_BYTES = 10 << 20  # of a mail: what most servers take

_logger = log.get(__name__)


class DmarcReporter:
    """`clock` in seconds since 1970."""

    def __init__(self, store: StoreLine, resolver: Resolver, mailer: ReportMailer, clock: Callable[[], float]) -> None:
        self._store = store
        self._resolver = resolver
        self._mailer = mailer
        self._clock = clock
        self._delay = EARLIEST_SECONDS + random.random() * SPREAD_SECONDS

    async def send_due(self) -> None:
        """What can't be made now is tried again at the next call, for two days."""
        today = int((self._clock() - self._delay) // DAY)
        request = GetDmarcReport(today)
        try:
            while isinstance(due := await self._store.call(request), DmarcReportDue):
                await self._make_or_log(due, is_last_try=today - due.day > GIVE_UP_DAYS)
                request = GetDmarcReport(today, due.day, due.tenant, due.domain)
        except MailgateError as error:
            _logger.warning("DMARC reports wait", reason=str(error))

    async def _make_or_log(self, due: DmarcReportDue, is_last_try: bool) -> None:
        """What is wrong with one report holds up no other. MailgateError: the store is away."""
        try:
            await self._make(due, is_last_try)
        except MailgateError:
            raise
        except Exception:
            _logger.exception("a DMARC report could not be made", **_about(due))

    async def _make(self, due: DmarcReportDue, is_last_try: bool) -> None:
        subject = ReportSubject("dmarc", due.domain, due.day)
        try:
            targets = await self._targets(due.domain)
        except LookupFailed as error:
            await self._not_now(due, f"the DNS does not tell who wants it: {error}", is_last_try)
            return
        if not targets:
            await self._mailer.drop(subject, due.tenant)
            return
        submitter = await self._mailer.of_tenant(due.tenant, due.senders)
        if submitter is None:
            await self._not_now(due, "no domain of the tenant has a DKIM key that the DNS shows", is_last_try)
            return
        report = attached(due, submitter)
        size = len(report.content) * 4 // 3  # as base64
        fitting = [target.address for target in targets if size <= (target.most_bytes or MOST_BYTES)]
        await self._mailer.keep(subject, due.tenant, report, fitting)
        is_too_large = len(fitting) < len(targets)
        _logger.info("DMARC report made", **_about(due), to=fitting, too_large_for_others=is_too_large)

    async def _targets(self, domain: str) -> tuple[ReportTarget, ...]:
        record = await dmarc.published(self._resolver, domain)
        return await report_targets.verified(self._resolver, domain, record) if record is not None else ()

    async def _not_now(self, due: DmarcReportDue, reason: str, is_last_try: bool) -> None:
        _logger.warning("DMARC report not sent", **_about(due), reason=reason)
        if is_last_try:
            await self._mailer.drop(ReportSubject("dmarc", due.domain, due.day), due.tenant)


def _about(due: DmarcReportDue) -> dict[str, str]:
    return {"tenant": due.tenant, "domain": due.domain, "day": str(date_of(due.day))}


def attached(due: DmarcReportDue, submitter: Submitter) -> AttachedReport:
    """The report as it is mailed (RFC 9990 section 3.5). Pure."""
    begin, end = due.day * DAY, (due.day + 1) * DAY - 1
    report_id = f"{due.day}.{due.domain}@{submitter.domain}"
    reporter = Reporter(submitter.domain, submitter.address, f"mailgate {__version__}")
    # of several policies in a day the one that most messages met; section 3.3 leaves that to us
    policy = due.counted[0].seen.policy
    report = AggregateReport(reporter, report_id, begin, end, policy, due.counted)
    return AttachedReport(
        sender=submitter.address,
        subject=f"Report Domain: {due.domain} Submitter: {submitter.domain} Report-ID: <{report_id}>",
        text=f"This is a DMARC aggregate report of {submitter.domain} about mail in the name of {due.domain}.",
        container="multipart/mixed",
        media_type="application/gzip",
        filename=f"{submitter.domain}!{due.domain}!{begin}!{end}.xml.gz",
        content=gzip.compress(report.xml(), mtime=0),
        report_id=report_id,
    )
