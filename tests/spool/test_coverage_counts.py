"""How much was scanned, by day and tenant: counted with the message, reported as shares."""

from __future__ import annotations

from dataclasses import replace

from msgspec.structs import replace as replace_in

from mailgate.ipc.calls import NewEntry
from mailgate.model.event import Event
from mailgate.model.verdict import Inspection, PartReport, Unscanned, Verdict
from mailgate.records.coverage_report import report
from mailgate.records.timeline import inspection_facts
from mailgate.spool.coverage import DAY, day_of
from mailgate.spool.listing import Listing
from mailgate.spool.sqlite import SqliteSpool

from .making import NOW, entry, envelope, keep

CLEAN = PartReport("1", "", "text/plain", "text/plain", 3, "", Verdict.CLEAN)
INFECTED = replace(CLEAN, verdict=Verdict.INFECTED, signature="Test.Virus")
ENCRYPTED = replace(CLEAN, verdict=Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED)
TODAY = day_of(NOW)


KNOWN = replace(CLEAN, digest="00ff")


def inspected(*parts: PartReport, remembered: int = 0, **more: object) -> NewEntry:
    return replace_in(entry(**more), inspection=Inspection(parts, remembered=remembered))  # type: ignore[arg-type]


def test_parts_are_counted_with_the_message(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, inspected(CLEAN, CLEAN), inspected(CLEAN, ENCRYPTED), inspected(INFECTED, tenant="globex"))
    keep(spool, inspected(CLEAN), now=NOW + DAY)
    assert listing.coverage(0, TODAY + 1) == [
        (TODAY, "acme", "clean", "", 3),
        (TODAY, "acme", "not-scanned", "encrypted", 1),
        (TODAY, "globex", "infected", "", 1),
        (TODAY + 1, "acme", "clean", "", 1),
    ]
    assert listing.coverage(TODAY, TODAY, "globex") == [(TODAY, "globex", "infected", "", 1)]


def test_refused_mail_counts_once(spool: SqliteSpool, listing: Listing) -> None:
    refused = envelope()
    facts = inspection_facts(Inspection((INFECTED, CLEAN)))
    spool.begin()
    spool.note(refused, [Event(NOW, "received"), Event(NOW, "inspected", facts), Event(NOW, "refused")])
    spool.note(refused, [Event(NOW, "inspected", facts)])  # scanned again: not one part more
    spool.commit()
    assert listing.coverage(TODAY, TODAY) == [(TODAY, "acme", "clean", "", 1), (TODAY, "acme", "infected", "", 1)]


def test_remembered_verdicts_are_counted_of_contents(spool: SqliteSpool, listing: Listing) -> None:
    """The raw message and members of containers have no digest: no verdict on them is ever remembered."""
    keep(spool, inspected(KNOWN, KNOWN, CLEAN, remembered=1), inspected(KNOWN, tenant="globex"), inspected(CLEAN))
    facts = inspection_facts(Inspection((KNOWN, CLEAN), remembered=1))
    spool.begin()
    spool.note(envelope(), [Event(NOW, "inspected", facts)])
    spool.commit()
    assert listing.remembered(0, TODAY) == [(TODAY, "acme", 3, 2), (TODAY, "globex", 1, 0)]
    assert listing.remembered(TODAY, TODAY, "globex") == [(TODAY, "globex", 1, 0)]


def test_what_is_rolled_back_does_not_count(spool: SqliteSpool, listing: Listing) -> None:
    spool.begin()
    spool.note(envelope(), [Event(NOW, "inspected", inspection_facts(Inspection((CLEAN,))))])
    spool.rollback()
    assert listing.coverage(TODAY, TODAY) == []


def test_old_days_are_forgotten(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, inspected(KNOWN))
    keep(spool, inspected(KNOWN), now=NOW + DAY)
    spool.begin()
    spool.forget_coverage(TODAY + 1)
    spool.commit()
    assert [day for day, *_ in listing.coverage(0, TODAY + 1)] == [TODAY + 1]
    assert [day for day, *_ in listing.remembered(0, TODAY + 1)] == [TODAY + 1]


def test_the_report_says_which_share_was_scanned() -> None:
    counted = [
        (TODAY, "acme", "clean", "", 6),
        (TODAY, "acme", "infected", "", 1),
        (TODAY, "acme", "not-scanned", "encrypted", 1),
        (TODAY, "acme", "suspicious", "", 2),
        (TODAY, "globex", "clean", "", 5),
    ]
    acme, globex = report(counted, [(TODAY, "acme", 4, 1)])
    assert acme == {
        "day": "2027-01-15",
        "tenant": "acme",
        "parts": 10,
        "clean": 6,
        "infected": 1,
        "suspicious": 2,
        "not_scanned": {"encrypted": 1},
        "share": 9 / 10,
        "remembered": 1 / 4,
    }
    assert (globex["tenant"], globex["share"], globex["not_scanned"]) == ("globex", 1.0, {})
    assert globex["remembered"] == 0.0
