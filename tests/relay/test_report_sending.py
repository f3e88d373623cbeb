"""TLS reports go out once a day, by HTTPS or by mail, to those who ask for them."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from mailgate.model.dns import Status
from mailgate.relay.report_sending import GIVE_UP_DAYS, ReportSender
from mailgate.transport.https import HttpsAnswer, HttpsError, HttpsRequest
from mailgate.transport.report_store import ReportStore
from mailgate.transport.tlsrpt import AppliedPolicy
from tests.reports.office import SELECTOR, Office

DAY = 86_400.0


class TlsOffice(Office):
    """Reports of one day for hop.example, and who takes them."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.names.put("_smtp._tls.hop.example", "TXT", "v=TLSRPTv1; rua=https://reports.example:8443/in?x=1")
        self.names.put("reports.example", "A", "192.0.2.1", "10.0.0.1")
        self.posts: list[HttpsRequest] = []
        self.answer: HttpsAnswer | HttpsError = HttpsAnswer(201, "", b"")
        self.reports = ReportStore(folder, self.clock)
        self.reports.add(AppliedPolicy("no-policy-found", "hop.example"), None)
        self.reports.save()
        self._sender = ReportSender(
            self.reports,
            self.names,
            self.hostname,
            self.clock,
            lambda address: not address.startswith("10."),
            self.mailer,
            self._take,
        )

    async def _take(self, request: HttpsRequest) -> HttpsAnswer:
        self.posts.append(request)
        if isinstance(self.answer, HttpsError):
            raise self.answer
        return self.answer

    def send(self, days_later: float = 0.0) -> None:
        self.clock.advance(days_later * DAY)
        asyncio.run(self._sender.send_due())


@pytest.fixture
def office(tmp_path: Path) -> TlsOffice:
    return TlsOffice(tmp_path)


def test_a_report_goes_out_once_the_day_is_over(office: TlsOffice) -> None:
    office.send()
    assert office.posts == []
    office.send(days_later=1.5)
    [post] = office.posts
    assert (post.method, post.host, post.port, post.path) == ("POST", "reports.example", 8443, "/in?x=1")
    assert post.addresses == ("192.0.2.1",), "DNS leads to no private address"
    assert post.headers == {"Content-Type": "application/tlsrpt+gzip"}
    report = json.loads(gzip.decompress(post.body or b""))
    assert report["organization-name"] == "mx.acme.example"
    assert report["policies"][0]["summary"]["total-successful-session-count"] == 1
    office.send()
    assert len(office.posts) == 1 and office.reports.finished() == []


@pytest.mark.parametrize("answer", [HttpsAnswer(500, "", b""), HttpsError("away")])
def test_what_is_not_taken_is_sent_again_for_two_days(office: TlsOffice, answer: HttpsAnswer | HttpsError) -> None:
    office.answer = answer
    office.send(days_later=1.5)
    office.send()
    assert len(office.posts) == 2 and office.reports.finished()
    office.send(days_later=GIVE_UP_DAYS)
    assert office.reports.finished() == []


def test_dns_that_fails_is_no_refusal(office: TlsOffice) -> None:
    office.names.fail("_smtp._tls.hop.example", "TXT")
    office.send(days_later=1.5)
    assert office.posts == [] and office.reports.finished()


@pytest.mark.parametrize("record", ["v=TLSRPTv1; rua=ftp:r.example", "nothing"])
def test_who_asks_for_none_gets_none(office: TlsOffice, record: str) -> None:
    office.names.put("_smtp._tls.hop.example", "TXT", record)
    office.send(days_later=1.5)
    assert office.posts == [] and office.reports.finished() == []


def test_a_domain_without_record(office: TlsOffice) -> None:
    office.names.fail("_smtp._tls.hop.example", "TXT", Status.NXDOMAIN)
    office.send(days_later=1.5)
    assert office.posts == [] and office.reports.finished() == []


BY_MAIL = "v=TLSRPTv1; rua=mailto:r@reports.example"


def test_the_report_as_mail(office: TlsOffice) -> None:
    """RFC 8460 section 5.3."""
    office.names.put("_smtp._tls.hop.example", "TXT", f"{BY_MAIL},mailto:s%2Bt@hop.example?subject=x,mailto:nobody")
    office.send(days_later=1.5)
    (kept,) = office.kept
    assert (kept.kind, kept.tenant, kept.domain) == ("tls", "acme", "hop.example")
    first, second = office.mails()
    assert (first["To"], second["To"]) == ("r@reports.example", "s+t@hop.example")
    assert first["From"] == "postmaster@acme.example", "the nearest domain above the gateway's name"
    assert first["TLS-Report-Domain"] == "hop.example" and first["TLS-Report-Submitter"] == "mx.acme.example"
    assert first["TLS-Required"] == "No", "trouble with the policies is what it tells of"
    assert first["Subject"].startswith("Report Domain: hop.example Submitter: mx.acme.example Report-ID: <")
    assert first.get_content_type() == "multipart/report" and first.get_param("report-type") == "tlsrpt"
    text, attached = first.iter_parts()
    assert (text.get_content_type(), attached.get_content_type()) == ("text/plain", "application/tlsrpt+gzip")
    report = json.loads(gzip.decompress(attached.get_content()))
    assert report["policies"][0]["policy"]["policy-domain"] == "hop.example"
    start, end = attached.get_filename().split("!")[2:4]
    assert int(end) - int(start) == DAY - 1
    office.send()
    assert len(office.kept) == 1 and office.reports.finished() == []


def test_mail_is_for_what_https_does_not_take(office: TlsOffice) -> None:
    office.names.put("_smtp._tls.hop.example", "TXT", f"{BY_MAIL},https://reports.example/")
    office.send(days_later=1.5)
    assert office.posts and office.kept == []


def test_mail_where_https_fails(office: TlsOffice) -> None:
    office.names.put("_smtp._tls.hop.example", "TXT", f"{BY_MAIL},https://reports.example/")
    office.answer = HttpsAnswer(500, "", b"")
    office.send(days_later=1.5)
    assert len(office.kept) == 1 and office.reports.finished() == []


@pytest.mark.parametrize("is_away", [False, True])
def test_without_a_signature_none_goes_by_mail(office: TlsOffice, is_away: bool) -> None:
    office.names.put("_smtp._tls.hop.example", "TXT", BY_MAIL)
    office.names.fail(SELECTOR, "TXT")
    office.is_away = is_away
    office.send(days_later=1.5)
    assert office.kept == [] and office.reports.finished()
    office.is_away = False
    office.send(days_later=GIVE_UP_DAYS)
    assert office.kept == [] and office.reports.finished() == []
