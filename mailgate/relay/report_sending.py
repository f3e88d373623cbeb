"""Sends the TLS reports of the days before today by HTTPS or by mail (RFC 8460 section 5)."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import random
import ssl
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, urlsplit

from mailgate.model.dns import Resolver
from mailgate.model.errors import MailgateError
from mailgate.records import log
from mailgate.relay import tls_report_mail
from mailgate.relay.report_mailing import EPOCH, ReportMailer, ReportSubject
from mailgate.transport.https import Fetch, HttpsAnswer, HttpsError, HttpsRequest, ask
from mailgate.transport.report_store import ReportStore
from mailgate.transport.tlsrpt import DayCount, uris_of

SPREAD_SECONDS = 4 * 3600.0
"""Reports of all senders would come at midnight otherwise (RFC 8460 section 4.1)."""
GIVE_UP_DAYS = 2
SEND_SECONDS = 60.0
LONGEST_ANSWER = 65_536

_logger = log.get(__name__)


class ReportSender:
    """`hostname` is our own name; `clock` in seconds since 1970; `allows` tells the addresses that DNS may lead to;
    `mailer` has them sent by mail; `send` is for tests."""

    def __init__(
        self,
        reports: ReportStore,
        resolver: Resolver,
        hostname: str,
        clock: Callable[[], float],
        allows: Callable[[str], bool],
        mailer: ReportMailer,
        send: Fetch | None = None,
    ) -> None:
        self._reports = reports
        self._resolver = resolver
        self._hostname = hostname
        self._clock = clock
        self._allows = allows
        self._mailer = mailer
        self._context = ssl.create_default_context()
        self._send = send or self._verified
        self._delay = random.random() * SPREAD_SECONDS
        self._done: set[tuple[datetime.date, str]] = set()

    async def send_due(self) -> None:
        """What can't be sent is tried again at the next call, for two days."""
        now = datetime.datetime.fromtimestamp(self._clock() - self._delay, datetime.UTC).date()
        for day in self._reports.finished():
            if day.day >= now:
                continue
            waiting = [domain for domain in day.domains if (day.day, domain) not in self._done]
            for domain in waiting:
                if await self._tell(day, domain):
                    self._done.add((day.day, domain))
            is_over = (now - day.day).days > GIVE_UP_DAYS
            if is_over or all((day.day, domain) in self._done for domain in day.domains):
                self._reports.remove(day.day)
                self._done = {(date, domain) for date, domain in self._done if date != day.day}

    async def _tell(self, day: DayCount, domain: str) -> bool:
        """True where nothing is left to do: it was taken or will be mailed, or nobody asked for it."""
        answer = await self._resolver.txt(f"_smtp._tls.{domain}")
        if not answer.is_known:
            return False
        targets = [urlsplit(uri) for uri in uris_of(answer.records)]
        identifier = f"{day.day}.{domain}@{self._hostname}"
        report = day.report(domain, self._hostname, f"postmaster@{self._hostname}", identifier)
        body = gzip.compress(json.dumps(report).encode(), mtime=0)
        by_https = [target for target in targets if target.scheme.lower() == "https"]
        by_mail = [target for target in targets if target.scheme.lower() == "mailto"]
        if not by_https and not by_mail:
            return True
        return await self._by_https(day, domain, by_https, body) or await self._by_mail(day, domain, by_mail, body)

    async def _by_https(self, day: DayCount, domain: str, targets: Sequence[SplitResult], body: bytes) -> bool:
        for target in targets:
            try:
                await self._post(target, body)
            except HttpsError as error:
                _logger.warning("TLS report not sent", domain=domain, day=str(day.day), reason=str(error))
                continue
            _logger.info("TLS report sent", domain=domain, day=str(day.day), to=target.hostname)
            return True
        return False

    async def _by_mail(self, day: DayCount, domain: str, targets: Sequence[SplitResult], body: bytes) -> bool:
        """Only where it can be signed (section 3)."""
        recipients = tls_report_mail.recipients(targets)
        if not recipients:
            return False
        try:
            submitter = await self._mailer.of_gateway()
            if submitter is None:
                reason = f"no domain of {self._hostname} is hosted here with a DKIM key that the DNS shows"
                _logger.warning("TLS report not sent", domain=domain, day=str(day.day), reason=reason)
                return False
            subject = ReportSubject("tls", domain, (day.day - EPOCH).days)
            report = tls_report_mail.attached(domain, day.day, self._hostname, submitter.address, body)
            await self._mailer.keep(subject, submitter.tenant, report, recipients)
        except MailgateError as error:
            _logger.warning("TLS report waits", domain=domain, day=str(day.day), reason=str(error))
            return False
        _logger.info("TLS report sent", domain=domain, day=str(day.day), to=recipients)
        return True

    async def _post(self, target: SplitResult, body: bytes) -> None:
        host = target.hostname or ""
        six, four = await asyncio.gather(self._resolver.aaaa(host), self._resolver.a(host))
        addresses = tuple(address for address in (*four.records, *six.records) if self._allows(address))
        request = HttpsRequest(
            host,
            addresses,
            (target.path or "/") + (f"?{target.query}" if target.query else ""),
            LONGEST_ANSWER,
            SEND_SECONDS,
            port=target.port or 443,
            method="POST",
            body=body,
            headers={"Content-Type": "application/tlsrpt+gzip"},
        )
        answer = await self._send(request)
        if not 200 <= answer.status < 300:
            raise HttpsError(f"https://{host}: the report was answered with status {answer.status}")

    async def _verified(self, request: HttpsRequest) -> HttpsAnswer:
        return await ask(request, self._context)
