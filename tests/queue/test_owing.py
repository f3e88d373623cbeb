"""Who is told what, and what becomes of the mail of those who can't be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailgate.model.envelope import Client, Direction, Envelope, Recipient
from mailgate.model.outcome import Outcome, State
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Filter, Listing
from mailgate.spool.queue import Attempt, Finished, Recorded, Route
from mailgate.spool.recovery import recover
from mailgate.spool.rows import WITHHELD, is_proven, notify_of
from mailgate.spool.schedule import DAY, HOUR, Schedule
from mailgate.spool.search import Wanted, search
from mailgate.spool.sqlite import SqliteSpool
from tests.queue.making import BOUNCED, DEFERRED, submission
from tests.spool.making import NOW, entry, envelope, keep, outside

STRANGER = Client("192.0.2.1")
USER = Client("192.0.2.1", account="bob@acme.example")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[SqliteSpool]:
    made = SqliteSpool(tmp_path / "spool.db")
    yield made
    made.close()


@pytest.fixture
def listing(spool: SqliteSpool) -> Iterator[Listing]:
    made = Listing(spool.path)
    yield made
    made.close()


def lease(spool: SqliteSpool, now: float) -> list[Attempt]:
    spool.begin()
    attempts = spool.lease(Route.RELAY, "relay", 100, now, 60)
    spool.commit()
    return attempts


def record(spool: SqliteSpool, now: float, attempt: Attempt, outcome: Outcome) -> Recorded:
    spool.begin()
    recorded = spool.record([Finished(attempt, outcome)], now)
    spool.commit()
    return recorded


@pytest.mark.parametrize(
    ("direction", "client", "proven"),
    [
        (Direction.OUTBOUND, USER, True),
        (Direction.INBOUND, USER, True),  # a submission's entry for another tenant
        (Direction.OUTBOUND, STRANGER, True),  # a notice of ours
        (Direction.INBOUND, STRANGER, False),
    ],
)
def test_whose_sender_is_proven(direction: Direction, client: Client, proven: bool) -> None:
    assert is_proven(envelope(direction=direction, client=client)) is proven


PROVEN = envelope(client=USER)


@pytest.mark.parametrize(
    ("given", "notify", "told"),
    [
        (PROVEN, (), ("FAILURE", "DELAY")),
        (PROVEN, ("NEVER",), ()),
        (PROVEN, ("SUCCESS", "FAILURE"), ("SUCCESS", "FAILURE")),
        (replace(PROVEN, reverse_path=""), ("SUCCESS", "FAILURE", "DELAY"), (WITHHELD,)),
        (replace(PROVEN, reverse_path="", client=Client("", helo="mx.gateway.example")), (), ()),
        (replace(PROVEN, client=STRANGER), ("SUCCESS", "FAILURE", "DELAY"), ()),
    ],
)
def test_what_a_sender_is_told_of(given: Envelope, notify: tuple[str, ...], told: tuple[str, ...]) -> None:
    assert notify_of(given, Recipient("kim@far.example", notify=notify)) == told


@pytest.mark.parametrize(("elapsed", "outcome"), [(0.0, BOUNCED), (5 * DAY, DEFERRED)])
def test_a_stranger_s_mail_is_quarantined_not_bounced(
    spool: SqliteSpool, listing: Listing, elapsed: float, outcome: Outcome
) -> None:
    keep(spool, entry(outside("kim@far.example")))
    (attempt,) = lease(spool, NOW + elapsed)
    attempt = replace(attempt, number=Schedule().least_attempts)
    assert not record(spool, NOW + elapsed, attempt, outcome).owes
    (row,) = listing.page(Filter())
    assert (row.state, row.reply_code, row.lease_holder) == (State.QUARANTINED, outcome.code, "")
    assert "not proven" in row.reason
    assert listing.debts(0, NOW + 10 * DAY, 10) == []


def test_a_debt_is_made_once_for_an_outcome_told_twice(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, submission())
    (attempt,) = lease(spool, NOW)
    assert record(spool, NOW, attempt, BOUNCED).owes
    assert not record(spool, NOW, attempt, BOUNCED).owes
    (debt,) = listing.debts(0, NOW, 10)
    assert [each.outcome for each in debt.owed] == [BOUNCED]


def test_the_content_goes_with_the_debt(spool: SqliteSpool, listing: Listing, tmp_path: Path) -> None:
    keep(spool, submission())
    (attempt,) = lease(spool, NOW)
    record(spool, NOW, attempt, BOUNCED)
    (debt,) = listing.debts(0, NOW, 10)
    assert listing.inline_content(debt.message).endswith(b"hi\r\n")
    assert recover(spool, listing, ContentFolder(tmp_path / "content"), tmp_path / "staging", NOW).damaged == ()
    spool.begin()
    spool.forget([debt.message])
    spool.commit()
    assert len(listing.debts(0, NOW, 10)) == 1, "retention leaves what is still to be told"
    spool.begin()
    spool.settle(debt.message, debt.owed, NOW, {"notice": "x"})
    spool.commit()
    assert listing.debts(0, NOW, 10) == []
    with pytest.raises(Exception, match="no content"):
        listing.inline_content(debt.message)


def test_what_ends_together_is_told_together_but_not_late(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, submission(outside("kim@far.example"), outside("lee@other.example")))
    kim, lee = lease(spool, NOW)
    record(spool, NOW, kim, BOUNCED)
    assert listing.debts(0, NOW - 60, 10) == [], "lee is under an attempt"
    assert len(listing.debts(0, NOW, 10)) == 1, "it has waited for long enough"
    record(spool, NOW, lee, DEFERRED)
    assert len(listing.debts(0, NOW - 60, 10)) == 1


def test_a_delay_is_owed_when_it_is_due_and_once(spool: SqliteSpool) -> None:
    keep(spool, submission())
    owes = []
    for now in (NOW, NOW + 3 * HOUR, NOW + 8 * HOUR, NOW + 13 * HOUR):
        (attempt,) = lease(spool, now)
        owes.append(record(spool, now, attempt, DEFERRED).owes)
    assert owes == [False, False, True, False]


def test_a_search_goes_on_in_steps(spool: SqliteSpool, listing: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgate.spool.search.MOST_EXAMINED", 4)
    keep(spool, *(submission(outside(f"p{n}@{'far' if n == 7 else 'else'}.example")) for n in range(10)))
    found, after, steps = [], (0, -1), 0
    while True:
        step = search(listing, Filter(), Wanted(forward_path="@far.example"), after, 100)
        found += [row.forward_path for row in step.rows]
        steps += 1
        if step.next is None:
            break
        after = step.next
    assert (found, steps) == (["p7@far.example"], 3)


def test_a_search_stops_at_its_limit_and_leaves_nothing_out(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, *(submission(outside(f"p{n}@far.example")) for n in range(5)))
    first = search(listing, Filter(), Wanted(forward_path="@far.example"), (0, -1), 3)
    assert first.next is not None
    second = search(listing, Filter(), Wanted(forward_path="@far.example"), first.next, 3)
    assert second.next is None
    assert [row.forward_path[:2] for row in first.rows + second.rows] == ["p0", "p1", "p2", "p3", "p4"]
