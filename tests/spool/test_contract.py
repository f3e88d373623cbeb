"""What every SpoolStore must do. A recipient is never lost between two transactions, and never in two states."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.model.decision import Action
from mailgate.model.envelope import Direction
from mailgate.model.errors import NotFoundError, UserError
from mailgate.model.event import Event
from mailgate.model.outcome import Outcome, State
from mailgate.spool.listing import Filter, Listing
from mailgate.spool.queue import Attempt, Finished, Recorded, Route, Selection
from mailgate.spool.rows import rows_of
from mailgate.spool.schedule import DAY, HOUR, MINUTE, Schedule
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import HOLDER, NOW, accepted, entry, envelope, keep, local, outside

ALL = frozenset(State)
DELIVERED = Outcome(State.DELIVERED, "there it is")
LATER = Outcome(State.QUEUED, "not now", 450, "4.2.0")


def lease(spool: SqliteSpool, now: float = NOW, route: Route = Route.LOCAL, limit: int = 100) -> list[Attempt]:
    spool.begin()
    attempts = spool.lease(route, HOLDER, limit, now, 60)
    spool.commit()
    return attempts


def record(spool: SqliteSpool, now: float, *ended: tuple[Attempt, Outcome]) -> Recorded:
    spool.begin()
    recorded = spool.record([Finished(attempt, outcome) for attempt, outcome in ended], now)
    spool.commit()
    return recorded


def kinds(listing: Listing, queue_id: str) -> list[str]:
    (kept,) = listing.kept(queue_id)
    return [event.kind for event in kept.events]


def content_rows(listing: Listing) -> int:
    return int(listing._connection.execute("SELECT count(*) FROM content").get)


# Keeping


@pytest.mark.parametrize(
    ("action", "state"),
    [(Action.ACCEPT, State.QUEUED), (Action.HOLD, State.HELD), (Action.QUARANTINE, State.QUARANTINED)],
)
def test_the_decision_gives_the_state(spool: SqliteSpool, listing: Listing, action: Action, state: State) -> None:
    (name,) = keep(spool, entry(action=action))
    (row,) = listing.rows_of(name)
    assert row.state == state
    assert row.reason == ("" if state is State.QUEUED else "because of the test")


@pytest.mark.parametrize("action", [Action.REJECT, Action.DEFER])
def test_what_was_not_accepted_is_not_kept(action: Action) -> None:
    with pytest.raises(UserError, match="can't be kept"):
        rows_of(entry(action=action))


def test_one_row_for_each_pair_of_recipient_and_mailbox() -> None:
    rows = rows_of(entry(local("team@acme.example", "box-1", "box-2"), outside("x@Else.Example"), local()))
    assert [(row.n, row.position, row.mailbox, row.destination) for row in rows] == [
        (0, 0, "box-1", "acme.example"),
        (1, 0, "box-2", "acme.example"),
        (2, 1, "", "else.example"),
        (3, 2, "box-bob", "acme.example"),
    ]


def test_a_rollback_keeps_nothing(spool: SqliteSpool, listing: Listing) -> None:
    spool.begin()
    spool.keep(accepted(entry()), NOW, HOLDER, 60)
    spool.rollback()
    assert listing.page(Filter()) == []
    assert content_rows(listing) == 0
    keep(spool, entry())
    assert len(listing.page(Filter())) == 1


def test_kept_means_kept_after_reopening(spool: SqliteSpool, tmp_path: Path) -> None:
    given = entry(local(), outside("x@else.example"), body=b"the body")
    keep(spool, given)
    spool.close()
    again = SqliteSpool(spool.path)
    (attempt,) = lease(again)
    assert attempt.content.inline == b"Received: by test\r\nthe body"
    again.begin()
    assert again.envelope(attempt.message) == given.envelope
    again.rollback()
    again.close()


def test_leased_with_the_commit_the_attempt_is_on_record(spool: SqliteSpool, listing: Listing) -> None:
    given = entry(local(), outside("x@else.example"))
    spool.begin()
    attempts = spool.keep(accepted(given, at_once=True), NOW, HOLDER, 60)
    spool.commit()
    assert [(attempt.n, attempt.number, attempt.mailbox) for attempt in attempts] == [(0, 1, "box-bob")]
    assert attempts[0].content.inline == b"Received: by test\r\n" + (given.inline or b"")
    rows = listing.rows_of(given.envelope.queue_id)
    assert [(row.attempts, row.lease_holder) for row in rows] == [(1, HOLDER), (0, "")]


@pytest.mark.parametrize("action", [Action.HOLD, Action.QUARANTINE])
def test_what_waits_for_a_person_is_not_leased(spool: SqliteSpool, action: Action) -> None:
    spool.begin()
    assert spool.keep(accepted(entry(action=action), at_once=True), NOW, HOLDER, 60) == []
    spool.commit()
    assert lease(spool) == []


def test_a_queue_id_is_kept_once(spool: SqliteSpool) -> None:
    given = entry()
    keep(spool, given)
    with pytest.raises(Exception, match="UNIQUE"):
        keep(spool, given)
    spool.rollback()


# Attempts and outcomes


def test_an_attempt_is_counted_before_it_is_made(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry())
    (attempt,) = lease(spool)
    assert attempt.number == 1
    (row,) = listing.rows_of(name)
    assert (row.attempts, row.lease_holder, row.next_attempt_at) == (1, HOLDER, NOW + 60)


def test_a_lease_holds_others_off_until_it_runs_out(spool: SqliteSpool) -> None:
    keep(spool, entry())
    assert len(lease(spool)) == 1
    assert lease(spool, NOW + 59) == []
    (again,) = lease(spool, NOW + 60)
    assert again.number == 2


def test_delivered_leaves_the_spool_with_its_content(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry())
    (attempt,) = lease(spool)
    assert record(spool, NOW + 1, (attempt, DELIVERED)) == Recorded()
    assert listing.rows_of(name) == []
    assert content_rows(listing) == 0
    assert kinds(listing, name) == ["received", "committed", "delivered"]


def test_content_stays_while_anyone_waits(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, entry(local("a@acme.example", "box-a"), local("b@acme.example", "box-b")))
    first, second = lease(spool)
    record(spool, NOW + 1, (first, DELIVERED), (second, LATER))
    assert content_rows(listing) == 1
    (second,) = lease(spool, NOW + HOUR)
    assert second.content.inline
    record(spool, NOW + HOUR, (second, DELIVERED))
    assert content_rows(listing) == 0


def test_a_deferral_is_tried_again_by_the_schedule(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry())
    now = NOW
    for number, minutes in enumerate((5, 10, 20, 40, 80, 160, 240, 240), 1):
        (attempt,) = lease(spool, now)
        assert attempt.number == number
        recorded = record(spool, now, (attempt, LATER))
        assert recorded.next_due == pytest.approx(now + minutes * MINUTE)
        assert lease(spool, now + minutes * MINUTE - 1) == []
        now += minutes * MINUTE
    (row,) = listing.rows_of(name)
    assert (row.reason, row.reply_code, row.reply_enhanced) == ("not now", 450, "4.2.0")
    assert kinds(listing, name).count("deferred") == 8


def test_after_five_days_it_expires(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry(direction=Direction.OUTBOUND))
    now = NOW + 5 * DAY
    for _ in range(Schedule().least_attempts):
        assert kinds(listing, name)[-1] != "expired"
        (attempt,) = lease(spool, now)
        record(spool, now, (attempt, LATER))
        now += 4 * HOUR
    assert listing.rows_of(name) == []
    assert kinds(listing, name)[-1] == "expired"


def test_an_outcome_told_twice_changes_nothing(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, entry(local("a@acme.example", "box-a"), local("b@acme.example", "box-b")))
    first, second = lease(spool)
    record(spool, NOW, (first, DELIVERED))
    record(spool, NOW, (first, DELIVERED))
    assert [row.n for row in listing.page(Filter())] == [second.n]


def test_a_late_outcome_does_not_touch_another_holders_lease(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry())
    (late,) = lease(spool)
    spool.begin()
    (held,) = spool.lease(Route.LOCAL, "another", 10, NOW + 61, 60)
    spool.commit()
    record(spool, NOW + 62, (late, LATER))
    (row,) = listing.rows_of(name)
    assert (row.lease_holder, row.attempts) == ("another", 2)
    record(spool, NOW + 63, (held, DELIVERED))
    assert listing.rows_of(name) == []


def test_a_file_is_freed_with_its_last_recipient(spool: SqliteSpool) -> None:
    given = accepted(entry(local("a@acme.example", "box-a"), local("b@acme.example", "box-b")))
    large = type(given)(given.entry, type(given.content)(1000, None), given.rows)
    spool.begin()
    spool.keep(large, NOW, HOLDER, 60)
    spool.commit()
    first, second = lease(spool)
    assert first.content == large.content
    assert record(spool, NOW, (first, DELIVERED)).freed == ()
    assert record(spool, NOW, (second, DELIVERED)).freed == ((given.entry.envelope.queue_id, large.content),)


def test_leases_of_the_dead_are_void(spool: SqliteSpool) -> None:
    spool.begin()
    spool.keep(accepted(entry(), at_once=True), NOW, HOLDER, 900)
    spool.commit()
    assert lease(spool, NOW + 1) == []
    spool.begin()
    assert spool.release_leases(NOW + 1) == 1
    spool.commit()
    (attempt,) = lease(spool, NOW + 1)
    assert attempt.number == 2


def test_next_due(spool: SqliteSpool) -> None:
    assert spool.next_due(Route.LOCAL) is None
    keep(spool, entry(local(), outside("x@else.example")))
    assert spool.next_due(Route.LOCAL) == spool.next_due(Route.RELAY) == NOW
    (attempt,) = lease(spool)
    record(spool, NOW, (attempt, LATER))
    assert spool.next_due(Route.LOCAL) == NOW + 300
    assert spool.next_due(Route.RELAY) == NOW


def test_a_leased_row_can_be_found_by_its_number(spool: SqliteSpool) -> None:
    keep(spool, entry(outside("x@else.example")))
    (attempt,) = lease(spool, route=Route.RELAY)
    found = spool.leased(attempt.message, attempt.n)
    assert found is not None
    assert (found.holder, found.number, found.queue_id) == (HOLDER, 1, attempt.queue_id)
    assert not found.content.in_file
    record(spool, NOW, (found, Outcome(State.RELAYED, "taken")))
    assert spool.leased(attempt.message, attempt.n) is None


# What people do


def move(spool: SqliteSpool, name: str, state: State, now: float = NOW, *paths: str, tenant: str = "") -> list[str]:
    spool.begin()
    try:
        selection = Selection(name, ALL, frozenset(paths), tenant)  # type: ignore[arg-type]
        moved = spool.move(selection, state, now, "ops", "as asked")
        spool.commit()
    except BaseException:
        spool.rollback()
        raise
    return list(moved.changed)


def test_hold_and_release(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry())
    move(spool, name, State.HELD)
    assert lease(spool) == []
    move(spool, name, State.QUEUED, NOW + 10 * DAY)
    (attempt,) = lease(spool, NOW + 10 * DAY)
    assert attempt.number == 1
    record(spool, NOW + 10 * DAY, (attempt, LATER))
    (row,) = listing.rows_of(name)
    assert row.state == State.QUEUED, "released after ten days it has five more"
    events = listing.kept(name)[0].events
    assert [(event.kind, event.facts.get("by")) for event in events if "by" in event.facts] == [
        ("held", "ops"),
        ("released", "ops"),
    ]


def test_retry_is_now(spool: SqliteSpool) -> None:
    (name,) = keep(spool, entry())
    (attempt,) = lease(spool)
    record(spool, NOW, (attempt, LATER))
    assert lease(spool, NOW + 1) == []
    assert move(spool, name, State.QUEUED, NOW + 1) == ["bob@acme.example"]
    assert len(lease(spool, NOW + 1)) == 1


def test_delete_is_final_and_frees_the_content(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry())
    move(spool, name, State.DELETED)
    assert content_rows(listing) == 0
    assert kinds(listing, name)[-1] == "deleted"
    with pytest.raises(NotFoundError, match="trace"):
        move(spool, name, State.QUEUED)


def test_some_recipients_only(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry(local("a@acme.example", "box-a"), local("b@acme.example", "box-b")))
    assert move(spool, name, State.HELD, NOW, "b@acme.example") == ["b@acme.example"]
    assert [row.state for row in listing.rows_of(name)] == [State.QUEUED, State.HELD]


def test_what_is_under_an_attempt_is_left_alone(spool: SqliteSpool) -> None:
    (name,) = keep(spool, entry())
    lease(spool)
    spool.begin()
    moved = spool.move(Selection(name, ALL), State.DELETED, NOW + 1, "ops", "")  # type: ignore[arg-type]
    spool.commit()
    assert (moved.changed, moved.busy) == ((), ("bob@acme.example",))


def test_another_tenants_message_does_not_exist(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry(tenant="acme"))
    with pytest.raises(NotFoundError):
        move(spool, name, State.DELETED, tenant="globex")
    assert len(listing.rows_of(name)) == 1


# Timelines


def test_a_note_is_a_timeline_without_recipients(spool: SqliteSpool, listing: Listing) -> None:
    refused = envelope()
    spool.begin()
    spool.note(refused, [Event(NOW, "refused", {"reply": "554"})])
    spool.commit()
    (kept,) = listing.kept(refused.queue_id)
    assert (kept.accepted, kept.decision, kept.envelope) == (False, None, refused)
    assert listing.page(Filter()) == []


def test_a_note_on_a_known_message_joins_its_timeline(spool: SqliteSpool, listing: Listing) -> None:
    given = entry()
    keep(spool, given)
    spool.begin()
    spool.note(given.envelope, [Event(NOW + 9, "deferred", {"reply": "451"})])
    spool.commit()
    assert kinds(listing, given.envelope.queue_id) == ["received", "committed", "deferred"]


def test_a_message_is_found_by_its_message_id_with_and_without_brackets(spool: SqliteSpool, listing: Listing) -> None:
    first, second = entry(message_id="<same@x>"), entry(message_id="<same@x>")
    keep(spool, first, second)
    for asked in ("<same@x>", "same@x"):
        found = [kept.envelope.queue_id for kept in listing.kept(asked)]
        assert found == [first.envelope.queue_id, second.envelope.queue_id]
    assert listing.kept("other@x") == []


def test_others_with_the_same_message_id_hide_nothing(
    spool: SqliteSpool, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailgate.spool.listing.MOST_KEPT", 3)
    older, newer = entry(message_id="<same@x>"), entry(message_id="<same@x>")
    others = [entry(message_id="<same@x>", tenant="other") for _ in range(5)]
    keep(spool, *others, older, *others[:0], newer)
    keep(spool, *(entry(message_id="<same@x>", tenant="other") for _ in range(5)))
    keep(spool, *(entry(message_id=f"<{older.envelope.queue_id}>", tenant="other") for _ in range(5)))
    shown = listing.kept("same@x", lambda envelope: envelope.tenant != "other")
    assert [kept.envelope.queue_id for kept in shown] == [older.envelope.queue_id, newer.envelope.queue_id]
    assert len(listing.kept("same@x")) == 3
    assert older.envelope.queue_id in [kept.envelope.queue_id for kept in listing.kept(older.envelope.queue_id)]


def test_no_message_id_finds_nothing(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, entry(message_id=""))
    assert listing.kept("") == []


def test_forgetting_spares_what_waits(spool: SqliteSpool, listing: Listing) -> None:
    done, waiting = keep(spool, entry(), entry())
    move(spool, done, State.DELETED)
    messages = [message for message, _, _ in listing.messages_before(NOW + DAY, 0, 10)]
    assert len(messages) == 2
    spool.begin()
    spool.forget(messages)
    spool.commit()
    assert listing.kept(done) == []
    assert kinds(listing, waiting) == ["received", "committed"]


def test_policy_versions_are_kept_once(spool: SqliteSpool, listing: Listing) -> None:
    for snapshot in (b"first", b"second"):
        spool.begin()
        spool.publish_policy("v1", NOW, snapshot)
        spool.commit()
    assert listing.policy("v1") == b"first"
    assert listing.policy("v2") is None
