"""TLS reports go out once a day, by HTTPS, to those who ask for them."""

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
from tests.relay.harness import FakeNames
from tests.support.clock import ManualClock

DAY = 86_400.0


class Office:
    """Reports of one day for hop.example, and who takes them."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.names = FakeNames()
        self.names.put("_smtp._tls.hop.example", "TXT", "v=TLSRPTv1; rua=https://reports.example:8443/in?x=1")
        self.names.put("reports.example", "A", "192.0.2.1", "10.0.0.1")
        self.posts: list[HttpsRequest] = []
        self.answer: HttpsAnswer | HttpsError = HttpsAnswer(201, "", b"")
        self.reports = ReportStore(folder, self.clock)
        self.reports.add(AppliedPolicy("no-policy-found", "hop.example"), None)
        self.reports.save()
        self._sender = ReportSender(
            self.reports, self.names, "gateway.example", self.clock, lambda a: not a.startswith("10."), self._take
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
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_report_goes_out_once_the_day_is_over(office: Office) -> None:
    office.send()
    assert office.posts == []
    office.send(days_later=1.5)
    [post] = office.posts
    assert (post.method, post.host, post.port, post.path) == ("POST", "reports.example", 8443, "/in?x=1")
    assert post.addresses == ("192.0.2.1",), "DNS leads to no private address"
    assert post.headers == {"Content-Type": "application/tlsrpt+gzip"}
    report = json.loads(gzip.decompress(post.body or b""))
    assert report["organization-name"] == "gateway.example"
    assert report["policies"][0]["summary"]["total-successful-session-count"] == 1
    office.send()
    assert len(office.posts) == 1 and office.reports.finished() == []


@pytest.mark.parametrize("answer", [HttpsAnswer(500, "", b""), HttpsError("away")])
def test_what_is_not_taken_is_sent_again_for_two_days(office: Office, answer: HttpsAnswer | HttpsError) -> None:
    office.answer = answer
    office.send(days_later=1.5)
    office.send()
    assert len(office.posts) == 2 and office.reports.finished()
    office.send(days_later=GIVE_UP_DAYS)
    assert office.reports.finished() == []


def test_dns_that_fails_is_no_refusal(office: Office) -> None:
    office.names.fail("_smtp._tls.hop.example", "TXT")
    office.send(days_later=1.5)
    assert office.posts == [] and office.reports.finished()


@pytest.mark.parametrize("record", ["v=TLSRPTv1; rua=mailto:r@hop.example", "nothing"])
def test_who_does_not_ask_for_https_gets_none(office: Office, record: str) -> None:
    office.names.put("_smtp._tls.hop.example", "TXT", record)
    office.send(days_later=1.5)
    assert office.posts == [] and office.reports.finished() == []


def test_a_domain_without_record(office: Office) -> None:
    office.names.fail("_smtp._tls.hop.example", "TXT", Status.NXDOMAIN)
    office.send(days_later=1.5)
    assert office.posts == [] and office.reports.finished() == []
