"""TLS reports: what is counted and how it is told."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from mailgate.transport import tlsrpt
from mailgate.transport.report_store import ReportStore
from mailgate.transport.tlsrpt import MOST_DETAILS, AppliedPolicy, DayCount, FailureDetail, ResultType
from tests.support.clock import ManualClock

DAY = datetime.date(2026, 11, 23)
STS = AppliedPolicy("sts", "hop.example", ("version: STSv1", "mode: testing"), ("mx.hop.example",))
EXPIRED = FailureDetail(ResultType.CERTIFICATE_EXPIRED, "", "mx.hop.example", "192.0.2.1", "expired")


@pytest.mark.parametrize(
    ("texts", "uris"),
    [
        (["v=TLSRPTv1; rua=https://a.example/r"], ("https://a.example/r",)),
        (["v=TLSRPTv1;rua=mailto:r@a.example,https://a.example/r"], ("mailto:r@a.example", "https://a.example/r")),
        (["v=TLSRPTv1; rua=https://a.example/r", "v=TLSRPTv1; rua=https://b.example/r"], ()),
        (["v=spf1 -all"], ()),
        (["v=TLSRPTv1; rua="], ()),
    ],
)
def test_where_reports_go(texts: list[str], uris: tuple[str, ...]) -> None:
    assert tlsrpt.uris_of(texts) == uris


def test_the_report_of_a_day() -> None:
    count = DayCount(DAY)
    for _ in range(3):
        count.add(STS)
    count.add(STS, EXPIRED)
    count.add(STS, EXPIRED)
    count.add(AppliedPolicy("no-policy-found", "other.example"))
    report = count.report("hop.example", "Gateway", "postmaster@gateway.example", "id-1")
    assert report["date-range"] == {"start-datetime": "2026-11-23T00:00:00Z", "end-datetime": "2026-11-23T23:59:59Z"}
    [policy] = report["policies"]
    assert policy["policy"] == {
        "policy-type": "sts",
        "policy-domain": "hop.example",
        "policy-string": ["version: STSv1", "mode: testing"],
        "mx-host": ["mx.hop.example"],
    }
    assert policy["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 2}
    [detail] = policy["failure-details"]
    assert (detail["result-type"], detail["failed-session-count"]) == ("certificate-expired", 2)
    assert "sending-mta-ip" not in detail


def test_the_number_of_details_is_bounded_and_the_total_exact() -> None:
    count = DayCount(DAY)
    for number in range(MOST_DETAILS + 50):
        count.add(STS, FailureDetail(ResultType.VALIDATION_FAILURE, "", f"mx{number}.example"))
    [policy] = count.report("hop.example", "", "", "")["policies"]
    assert policy["summary"]["total-failure-session-count"] == MOST_DETAILS + 50
    assert len(policy["failure-details"]) <= MOST_DETAILS + 1


def test_counts_outlive_a_restart_and_a_day_ends(tmp_path: Path) -> None:
    clock = ManualClock()
    store = ReportStore(tmp_path, clock)
    store.add(STS, None)
    store.add(STS, EXPIRED)
    store.save()
    again = ReportStore(tmp_path, clock)
    again.add(STS, None)
    assert again.finished() == []
    clock.advance(86_400)
    again.add(STS, None)
    [day] = again.finished()
    [policy] = day.report("hop.example", "", "", "")["policies"]
    assert policy["summary"] == {"total-successful-session-count": 2, "total-failure-session-count": 1}
    again.remove(day.day)
    assert again.finished() == []
