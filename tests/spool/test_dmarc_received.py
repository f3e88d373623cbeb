"""Reports of others are summed up by day and source; none counts twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as replace_in

from mailgate.model.received_report import ReceivedReport, ReportedMail
from mailgate.records.dmarc_summary import summary
from mailgate.spool import dmarc_received
from mailgate.spool.coverage import DAY, day_of
from mailgate.spool.listing import Listing
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import NOW, entry, keep

TODAY = day_of(NOW)
GOOD = ReportedMail("192.0.2.1", "pass", dkim=True, spf=False, messages=12)
BAD = ReportedMail("192.0.2.66", "reject", dkim=False, spf=False, messages=3)
REPORT = ReceivedReport("Provider", "1", "acme.example", int(NOW) - DAY, int(NOW), (GOOD, BAD))


def came(spool: SqliteSpool, *reports: ReceivedReport, tenant: str = "acme") -> None:
    keep(spool, *(replace_in(entry(tenant=tenant), reports=(each,)) for each in reports))


def shown(listing: Listing, domain: str = "acme.example", tenant: str = "", since: int = 0) -> dict[str, Any]:
    return summary(listing.dmarc_sources(tenant, domain, since), listing.dmarc_reporters(tenant, domain, since))


def test_bad_sources_come_first(spool: SqliteSpool, listing: Listing) -> None:
    forwarded = replace(BAD, source="192.0.2.5", disposition="none", messages=1)
    both = replace(GOOD, spf=True, messages=5)
    came(spool, REPORT, replace(REPORT, reporter="Other", mails=(GOOD, both, BAD, forwarded)))
    found = shown(listing)
    assert (found["reports"], found["reporters"]) == (2, {"Other": 1, "Provider": 1})
    assert (found["messages"], found["failed"]) == (36, 7)
    assert found["sources"] == [
        {"source": "192.0.2.66", "messages": 6, "failed": 6, "dkim": 0, "spf": 0, "failed_and": {"reject": 6}},
        {"source": "192.0.2.5", "messages": 1, "failed": 1, "dkim": 0, "spf": 0, "failed_and": {"none": 1}},
        {"source": "192.0.2.1", "messages": 29, "failed": 0, "dkim": 29, "spf": 5, "failed_and": {}},
    ]


def test_a_report_that_comes_twice_counts_once(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, REPORT, REPORT, replace(REPORT, report_id="2", mails=(BAD,)))
    assert shown(listing)["messages"] == 18


def test_domains_below_count_and_others_do_not(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, replace(REPORT, domain="a.acme.example"), replace(REPORT, domain="notacme.example"))
    assert shown(listing)["reports"] == 1
    assert shown(listing, "a.acme.example")["reports"] == 1
    assert shown(listing, "example")["reports"] == 2


def test_a_tenant_sees_its_own(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, REPORT)
    assert shown(listing, tenant="globex")["reports"] == 0
    assert shown(listing, tenant="acme")["reports"] == 1


def test_by_days(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, REPORT, replace(REPORT, report_id="2", begin=REPORT.begin - 5 * DAY))
    assert shown(listing, since=TODAY - 1)["reports"] == 1
    assert shown(listing, since=TODAY - 6)["reports"] == 2


@pytest.mark.parametrize("begin", [int(NOW) + 3 * DAY, int(NOW) - 500 * DAY, 0])
def test_days_that_can_not_be_are_passed_over(spool: SqliteSpool, listing: Listing, begin: int) -> None:
    came(spool, replace(REPORT, begin=begin))
    assert shown(listing)["reports"] == 0


def test_a_flood_has_an_end(spool: SqliteSpool, listing: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc_received, "MOST_KINDS", 3)
    monkeypatch.setattr(dmarc_received, "MOST_REPORTS", 4)
    mails = tuple(replace(BAD, source=f"192.0.2.{number}") for number in range(9))
    came(spool, *(replace(REPORT, report_id=str(number), mails=mails) for number in range(9)))
    found = shown(listing)
    assert found["reports"] == 4 and len(found["sources"]) == 3


def test_old_days_are_forgotten(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, REPORT)
    for before, left in ((TODAY - 1, 1), (TODAY, 0)):
        spool.begin()
        spool.forget_received_reports(before)
        spool.commit()
        found = shown(listing)
        assert (found["reports"], len(found["sources"])) == (left, 2 * left)
