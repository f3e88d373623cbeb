"""DMARC reports are made once a day for those who want them, in the name of a domain that can sign."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from mailgate.dsn.report_mail import AttachedReport
from mailgate.ipc.report_calls import DmarcReportDue
from mailgate.model.dmarc import Counted
from mailgate.relay import dmarc_reporting
from mailgate.relay.dmarc_reporting import DAY, GIVE_UP_DAYS, DmarcReporter
from mailgate.relay.report_mailing import Submitter
from tests.reports.making import seen
from tests.reports.office import ACME, SELECTOR, Office

WANTED = "v=DMARC1; p=reject; rua="


@pytest.fixture
def office() -> Office:
    made = Office()
    made.names.put("_dmarc.author.example", "TXT", f"{WANTED}mailto:r@author.example,mailto:s@author.example!1k")
    made.due = [due(made)]
    return made


def due(office: Office, domain: str = "author.example", count: int = 1) -> DmarcReportDue:
    counted = tuple(Counted(seen(domain, source=f"192.0.2.{number}"), 3) for number in range(count))
    return DmarcReportDue(int(office.clock() // DAY), ACME, domain, counted, ("other.example", "acme.example"))


def send(office: Office, days_later: float = 1.5) -> None:
    office.clock.advance(days_later * DAY)
    asyncio.run(DmarcReporter(office.line, office.names, office.mailer, office.clock).send_due())


def test_the_report_as_mail(office: Office) -> None:
    day = office.due[0].day
    send(office)
    first, second = office.mails()
    assert (first["To"], second["To"]) == ("r@author.example", "s@author.example")
    assert first["From"] == "postmaster@acme.example", "the first domain of the tenant that can sign"
    report_id = f"{day}.author.example@acme.example"
    assert first["Subject"] == f"Report Domain: author.example Submitter: acme.example Report-ID: <{report_id}>"
    assert (first["Message-ID"], first["Auto-Submitted"]) == (f"<{report_id}>", "auto-generated")
    text, attached = first.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert attached.get_content_type() == "application/gzip"
    assert attached.get_filename() == f"acme.example!author.example!{day * DAY}!{(day + 1) * DAY - 1}.xml.gz"
    assert b"<source_ip>192.0.2.0</source_ip>" in gzip.decompress(attached.get_content())


def test_the_day_must_be_over(office: Office) -> None:
    send(office, days_later=0)
    assert office.kept == [] and office.due
    send(office)
    assert len(office.kept) == 1
    send(office, days_later=0)
    assert len(office.kept) == 1


def test_a_report_that_is_too_large_for_one_goes_to_the_others(office: Office) -> None:
    office.due = [due(office, count=200)]
    send(office)
    assert [mail["To"] for mail in office.mails()] == ["r@author.example"]


@pytest.mark.parametrize("record", ["v=DMARC1; p=reject", f"{WANTED}mailto:r@elsewhere.example", "nothing"])
def test_who_wants_none_gets_none(office: Office, record: str) -> None:
    office.names.put("_dmarc.author.example", "TXT", record)
    send(office)
    assert office.mails() == [] and office.due == []


def test_a_dns_that_fails_is_asked_again_for_two_days(office: Office) -> None:
    office.names.fail("_dmarc.author.example", "TXT")
    send(office)
    assert office.kept == [] and office.due
    send(office, days_later=GIVE_UP_DAYS)
    assert office.mails() == [] and office.due == []


def test_what_can_not_be_signed_is_not_sent(office: Office) -> None:
    office.names.fail(SELECTOR, "TXT")
    send(office)
    assert office.kept == [] and office.due
    send(office, days_later=GIVE_UP_DAYS)
    assert office.mails() == [] and office.due == []


def test_one_that_waits_does_not_hold_up_the_others(office: Office) -> None:
    office.names.fail("_dmarc.a.example", "TXT")
    office.due.insert(0, due(office, "a.example"))
    send(office)
    assert {each.domain for each in office.kept} == {"author.example"}


def test_a_store_that_is_away_is_asked_later(office: Office) -> None:
    office.is_away = True
    send(office)
    office.is_away = False
    send(office)
    assert len(office.kept) == 1


def test_the_early_hours_are_spread(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that were under way at midnight have been counted by then."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    office.clock.now -= office.clock.now % DAY
    office.due = [due(office)]
    send(office, days_later=1)
    assert office.kept == []
    send(office, days_later=dmarc_reporting.EARLIEST_SECONDS / DAY)
    assert len(office.kept) == 1


def test_one_that_can_not_be_made_does_not_hold_up_the_others(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.names.put("_dmarc.a.example", "TXT", f"{WANTED}mailto:r@a.example")
    office.due.insert(0, due(office, "a.example"))
    good = dmarc_reporting.attached

    def attached(wanted: DmarcReportDue, submitter: Submitter) -> AttachedReport:
        if wanted.domain == "a.example":
            raise ValueError("odd")
        return good(wanted, submitter)

    monkeypatch.setattr(dmarc_reporting, "attached", attached)
    send(office)
    assert [each.domain for each in office.kept] == ["author.example"]
