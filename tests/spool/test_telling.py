"""Who is still to be told of mail in quarantine, as the spool knows it."""

from __future__ import annotations

from msgspec.structs import replace as replace_in

from mailgate.ipc.calls import NewEntry
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import MailboxId, QueueId, TenantName
from mailgate.model.outcome import State
from mailgate.spool.listing import Listing
from mailgate.spool.queue import Selection, UntoldRow
from mailgate.spool.sqlite import SqliteSpool

from .making import NOW, entry, keep, local, outside

BOB = MailboxId("box-bob")
ACME = TenantName("acme")
NOTICE = QueueId("1mcc5rm00000000n")
QUARANTINED = frozenset({State.QUARANTINED})


def encrypted() -> NewEntry:
    decision = Decision(Action.QUARANTINE, "gateway.toml: unscanned.encrypted", "it is encrypted", "v1")
    return replace_in(entry(), decision=decision)


def move(spool: SqliteSpool, name: str, before: State, after: State) -> None:
    spool.begin()
    spool.move(Selection(QueueId(name), frozenset({before})), after, NOW, "ops", "test", is_scanned=True)
    spool.commit()


def tell(spool: SqliteSpool, rows: list[UntoldRow]) -> None:
    spool.begin()
    spool.told(rows, NOW, NOTICE)
    spool.commit()


def names(rows: list[UntoldRow]) -> list[str]:
    return [row.queue_id for row in rows]


def test_encrypted_mail_is_told_alone_other_mail_by_the_digest(spool: SqliteSpool, listing: Listing) -> None:
    first, second, *_ = keep(spool, encrypted(), entry(action=Action.QUARANTINE), entry())
    assert names(listing.untold_alone(10)) == [first]
    assert listing.mailboxes_for_digest(0) == [(ACME, BOB)]
    assert names(listing.untold_of_mailbox("acme", BOB)) == [second]
    assert listing.untold_of_mailbox("globex", BOB) == []
    (row,) = listing.untold_alone(10)
    assert (row.is_encrypted, row.mailbox, row.forward_path) == (True, BOB, "bob@acme.example")


def test_who_has_no_mailbox_here_is_not_told(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, entry(outside("kim@far.example"), action=Action.QUARANTINE))
    assert listing.mailboxes_for_digest(0) == []


def test_what_was_told_is_told_once_and_stands_in_the_timeline(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, encrypted())
    rows = listing.untold_alone(10)
    tell(spool, rows)
    tell(spool, rows)
    assert listing.untold_alone(10) == []
    assert listing.mailboxes_for_digest(0) == []
    (kept,) = listing.kept(name)
    assert [event.facts for event in kept.events if event.kind == "told"] == [{"notice": NOTICE}]


def test_what_left_quarantine_is_not_told(spool: SqliteSpool, listing: Listing) -> None:
    released, deleted = keep(spool, encrypted(), encrypted())
    rows = listing.untold_alone(10)
    move(spool, released, State.QUARANTINED, State.QUEUED)
    move(spool, deleted, State.QUARANTINED, State.DELETED)
    assert listing.untold_alone(10) == []
    tell(spool, rows)  # the notice was being written meanwhile
    for name in (released, deleted):
        (kept,) = listing.kept(name)
        assert "told" not in [event.kind for event in kept.events]


def test_held_mail_that_is_quarantined_later_comes_into_the_digest(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, entry(local(), outside("kim@far.example"), action=Action.HOLD))
    assert listing.mailboxes_for_digest(0) == []
    move(spool, name, State.HELD, State.QUARANTINED)
    assert names(listing.untold_of_mailbox("acme", BOB)) == [name]


def test_a_mailbox_has_one_digest_a_day(spool: SqliteSpool, listing: Listing) -> None:
    keep(spool, entry(action=Action.QUARANTINE))
    for day, is_due_today, is_due_tomorrow in ((7, False, True), (8, False, False)):
        spool.begin()
        spool.had_digest(BOB, day)
        spool.commit()
        assert bool(listing.mailboxes_for_digest(7)) == is_due_today
        assert bool(listing.mailboxes_for_digest(8)) == is_due_tomorrow


def test_encrypted_mail_may_wait_for_the_digest_too(spool: SqliteSpool, listing: Listing) -> None:
    (name,) = keep(spool, encrypted())
    spool.begin()
    spool.tell_later(listing.untold_alone(10))
    spool.commit()
    assert listing.untold_alone(10) == []
    assert names(listing.untold_of_mailbox("acme", BOB)) == [name]
