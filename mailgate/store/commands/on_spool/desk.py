"""What the commands on the spool work on, and what they have in common. All of them block, and run in the admin thread,
never in the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from mailgate.model.envelope import Envelope, TenantName
from mailgate.model.errors import MailgateError, NotFoundError, UnavailableError, UserError
from mailgate.model.event import Event
from mailgate.model.outcome import State
from mailgate.model.verdict import Inspection
from mailgate.policy.snapshot import Snapshot
from mailgate.records.timeline import decision_facts, inspection_facts
from mailgate.settings import Settings
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import FIRST, Filter, Kept, Key, Listing, Row
from mailgate.spool.queue import Moved, SpoolStore
from mailgate.spool.search import Step, Wanted, search
from mailgate.store.commands.on_spool.masking import masked_inspection
from mailgate.store.commands.on_spool.view import View, paths
from mailgate.store.keeping.reading import Reading
from mailgate.tenancy.acting import Role, current
from mailgate.tenancy.directory import Directory

Json = dict[str, Any]
T = TypeVar("T")

LONGEST_PAGE = 1000


class Write(Protocol):
    """Runs a change of the spool in a transaction and waits for it; `synced` is called once it is durable."""

    def __call__(self, apply: Callable[[SpoolStore], T], synced: Callable[[T], None] | None = None) -> T: ...


class Ask(Protocol):
    """Asks the directory, in its own thread, on behalf of the same caller; waits for the answer."""

    def __call__(self, question: Callable[[Directory], T]) -> T: ...


NoteDeed = Callable[[TenantName, str, str, Json], None]
"""Tenant, action, object, facts: notes in the audit log of the tenant (of the gateway, where it is empty) what is about
to be done."""


ScanAgain = Callable[[bytes | Path, Envelope], Awaitable[Inspection]]
"""Looks at a kept message again, which may take minutes; UnavailableError where that can't be done now."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a command yields that needs a message scanned again: it goes on, in its thread, with what was found; nobody
    else waits for it meanwhile."""

    content: bytes | Path
    envelope: Envelope


def _nobody_to_ask(question: Callable[[Directory], T]) -> T:
    raise UnavailableError("the directory of tenants is not at hand here")


@dataclass(frozen=True, slots=True)
class Desk:
    """`wake`: the queue has something to do now. `reload` publishes the policy folder. Spool and audit logs share no
    transaction, so that `note` comes first: nothing is done to mail without an entry. `view`: which mail exists for the
    caller; None for all. `clock_confirmed`: the doubt about the clock was taken from the spool.
    `policy_refused`: see `Policies.refused`."""

    settings: Settings
    write: Write
    listing: Listing
    contents: ContentFolder
    reading: Reading
    clock: Callable[[], float]
    wake: Callable[[], None]
    policy: Callable[[], Snapshot]
    reload: Callable[[], Snapshot]
    note: NoteDeed
    view: Callable[[], View | None] = lambda: None
    ask: Ask = _nobody_to_ask
    clock_confirmed: Callable[[], None] = lambda: None
    policy_refused: Callable[[], str] = lambda: ""


def view_of_caller(ask: Ask, listing: Listing) -> View | None:
    """Which mail exists for the caller of this command; None for all."""
    caller = current().caller
    if caller.is_operator:
        return None
    mailboxes = ask(lambda directory: directory.visible_mailboxes(caller.tenant))
    is_administrator = caller.role is Role.ADMINISTRATOR
    handed = listing.handed(caller.tenant) if is_administrator else frozenset()
    return View(caller.tenant, caller.login, mailboxes, is_administrator, handed)


def page(desk: Desk, chosen: Filter, wanted: Wanted, after: str, limit: int) -> Json:
    """{"rows": [...], "next": str | None}; a page may be empty and yet have a next one."""
    step = look(desk, chosen, wanted, after, limit)
    return {"rows": [plain_row(row) for row in step.rows], "next": written_key(step.next)}


def look(desk: Desk, chosen: Filter, wanted: Wanted, after: str, limit: int) -> Step:
    """UserError for a state, limit or key that is none."""
    if chosen.state and chosen.state not in (State.QUEUED, State.HELD, State.QUARANTINED):
        raise UserError(f"state {chosen.state!r}: give queued, held or quarantined")
    if not 1 <= limit <= LONGEST_PAGE:
        raise UserError(f"limit {limit}: give 1 to {LONGEST_PAGE}")
    step = search(desk.listing, chosen, wanted, _key(after), limit)
    return Step(_visible(desk, step.rows), step.next)


def _visible(desk: Desk, rows: Sequence[Row]) -> list[Row]:
    view = desk.view()
    if view is None:
        return list(rows)
    envelopes = {
        queue_id: envelope
        for queue_id in {row.queue_id for row in rows}
        for kept in desk.listing.kept(queue_id, lambda envelope: view.shown(envelope) is not None)
        if kept.accepted and (envelope := view.shown(kept.envelope)) is not None
    }
    return [
        row
        for row in rows
        if row.queue_id in envelopes and view.holds(envelopes[row.queue_id], row.forward_path, row.mailbox)
    ]


def _key(after: str) -> Key:
    if not after:
        return FIRST
    message, _, n = after.partition(".")
    if not (message.isdigit() and n.isdigit()):
        raise UserError(f"after {after!r}: give the `next` of the page before")
    return int(message), int(n)


def written_key(key: Key | None) -> str | None:
    return None if key is None else f"{key[0]}.{key[1]}"


def plain_row(row: Row) -> Json:
    plain: Json = msgspec.to_builtins(row)
    del plain["message"]
    return plain


def reads_names(desk: Desk, kept: Kept, action: str, reason: str) -> bool:
    """Is the caller shown subject and file names? An operator only for a reason, and the tenant's audit log keeps it;
    others see their own mail."""
    if not current().caller.is_operator:
        return True
    if reason:
        desk.note(kept.envelope.tenant, action, kept.envelope.queue_id, {"shown": "subject and file names"})
    return bool(reason)


def shown(desk: Desk, kept: Kept, with_names: bool) -> Json:
    """The envelope, why it is where it is, and its waiting recipients."""
    rows = rows_of(desk, kept)
    inspection = None if kept.inspection is None else inspection_facts(kept.inspection)
    return {
        "envelope": msgspec.to_builtins(kept.envelope),
        "size": kept.size,
        "decision": None if kept.decision is None else decision_facts(kept.decision),
        "inspection": inspection if inspection is None or with_names else masked_inspection(inspection),
        "recipients": [plain_row(row) for row in rows],
    }


def accepted(desk: Desk, queue_id: str, tenant: str) -> Kept:
    """NotFoundError where there is no such message (of `tenant`, where that is given)."""
    for kept in kept_of(desk, queue_id):
        if kept.accepted and tenant in ("", kept.envelope.tenant):
            return kept
    raise NotFoundError(f"{queue_id}: there is no such message")


def kept_of(desk: Desk, id: str) -> list[Kept]:
    """The messages with this queue id or Message-ID, as far as they exist for the caller: with the recipients that the
    caller may know of, and what happened to them."""
    view = desk.view()
    if view is None:
        return desk.listing.kept(id)
    found = desk.listing.kept(id, lambda envelope: view.shown(envelope) is not None)
    return [
        replace(kept, envelope=envelope, events=_told_to(envelope, kept.events))
        for kept in found
        if (envelope := view.shown(kept.envelope)) is not None
    ]


def _told_to(envelope: Envelope, events: Sequence[Event]) -> tuple[Event, ...]:
    visible = paths(envelope)
    return tuple(event for event in events if not event.recipient or event.recipient in visible)


def rows_of(desk: Desk, kept: Kept) -> list[Row]:
    """The waiting recipients of a message from `kept_of`."""
    return _visible(desk, desk.listing.rows_of(kept.envelope.queue_id))


def actor(behind: str) -> str:
    """Who is named in the timeline: whoever the audit log names; of an operator also who was behind the account."""
    caller = current().caller
    return f"{caller.name} ({behind} by sudo)" if behind and caller.is_operator else caller.name


def is_busy(row: Row, now: float) -> bool:
    """Under an attempt at this moment, so that nothing can be done to it."""
    return bool(row.lease_holder) and row.next_attempt_at > now


def noted_before(desk: Desk, tenant: TenantName, action: str, object: str, move: Callable[[], Moved]) -> Moved:
    """Makes a change whose entry stands in the audit log already; what comes to nothing gets one more, that says so."""
    try:
        moved = move()
    except MailgateError as error:
        desk.note(tenant, action, object, {"not_done": str(error)})
        raise
    if moved.busy:
        desk.note(tenant, action, object, {"not_done": "under an attempt", "recipients": len(moved.busy)})
    return moved


def scrub(desk: Desk) -> None:
    """After something was erased: its bytes go from the spool's database and its log. The store goes on meanwhile."""
    while desk.write(lambda spool: spool.scrub()):
        pass


def clear(desk: Desk, moved: Moved) -> None:
    """Once the change is durable: the content files that nobody needs any more."""
    for queue_id, content in moved.freed:
        desk.contents.remove(queue_id, content)
