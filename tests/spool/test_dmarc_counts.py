"""Results are counted with the message that they are of, by day, tenant and domain, and leave with the report."""

from __future__ import annotations

import pytest
from msgspec.structs import replace as replace_in

from mailgate.model.dmarc import Counted, Seen
from mailgate.model.envelope import TenantName
from mailgate.model.event import Event
from mailgate.spool import dmarc_counts
from mailgate.spool.coverage import DAY, day_of
from mailgate.spool.dmarc_counts import FIRST, ReportKey
from mailgate.spool.listing import Listing
from mailgate.spool.sqlite import SqliteSpool
from tests.reports.making import seen
from tests.spool.making import NOW, entry, envelope, keep

TODAY = day_of(NOW)


def key(domain: str = "author.example", tenant: str = "acme", day: int = TODAY) -> ReportKey:
    return ReportKey(day, TenantName(tenant), domain)


def came(spool: SqliteSpool, *found: Seen, tenant: str = "acme", now: float = NOW) -> None:
    keep(spool, *(replace_in(entry(tenant=tenant), seen=(each,)) for each in found), now=now)


def due(listing: Listing, before: int = TODAY + 1) -> list[ReportKey]:
    keys, after = [], FIRST
    while (found := listing.next_report(after, before)) is not None:
        keys.append(found)
        after = found
    return keys


def test_equal_messages_are_counted_together(spool: SqliteSpool, listing: Listing) -> None:
    other = seen(source="192.0.2.2")
    came(spool, other, seen(), seen())
    assert listing.counted(key()) == (Counted(seen(), 2), Counted(other, 1))


def test_refused_mail_counts(spool: SqliteSpool, listing: Listing) -> None:
    spool.begin()
    spool.note(envelope(), [Event(NOW, "refused")], (seen(),))
    spool.commit()
    assert listing.counted(key()) == (Counted(seen(), 1),)


def test_days_tenants_and_domains_are_apart(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, seen(), seen("b.example"))
    came(spool, seen(), tenant="globex")
    came(spool, seen(), now=NOW + DAY)
    assert due(listing) == [key(), key("b.example"), key(tenant="globex")]
    assert due(listing, TODAY + 2)[-1] == key(day=TODAY + 1)
    assert due(listing, TODAY) == []


def test_a_report_is_made_once(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, seen(), seen("b.example"))
    spool.begin()
    assert spool.reported(key()) and not spool.reported(key())
    assert spool.tls_reported(TODAY, "hop.example") and not spool.tls_reported(TODAY, "hop.example")
    assert spool.tls_reported(TODAY + 1, "hop.example")
    spool.commit()
    assert due(listing) == [key("b.example")]


def test_old_days_are_forgotten(spool: SqliteSpool, listing: Listing) -> None:
    came(spool, seen())
    spool.begin()
    spool.tls_reported(TODAY, "hop.example")
    spool.forget_reports(TODAY)
    assert not spool.tls_reported(TODAY, "hop.example")
    spool.forget_reports(TODAY + 1)
    assert spool.tls_reported(TODAY, "hop.example")
    spool.commit()
    assert due(listing) == []


def test_a_flood_of_names_has_an_end(spool: SqliteSpool, listing: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc_counts, "MOST_DOMAINS", 2)
    monkeypatch.setattr(dmarc_counts, "MOST_KINDS", 3)
    came(spool, *(seen(f"{number}.example") for number in range(5)))
    assert len(due(listing)) == 2
    came(spool, *(seen("0.example", source=f"192.0.2.{number}") for number in range(9)), seen("0.example"))
    counted = listing.counted(key("0.example"))
    assert [each.messages for each in counted] == [3, 1, 1], "what is known goes on being counted"
    spool.close()
    again = SqliteSpool(spool.path)
    came(again, seen("9.example"), seen("0.example", source="192.0.2.99"))
    again.close()
    assert len(due(listing)) == 2 and len(listing.counted(key("0.example"))) == 3
