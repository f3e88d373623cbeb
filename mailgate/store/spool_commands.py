"""Commands on the spool: queue, quarantine, timelines, policies. Arguments and results are plain JSON values. All of
them block, and run in the admin thread, never in the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from mailgate.model.envelope import QueueId
from mailgate.model.errors import NotFoundError, UserError
from mailgate.model.outcome import State
from mailgate.policy.snapshot import Snapshot
from mailgate.records.timeline import decision_facts, inspection_facts, timeline
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Filter, Kept, Listing, Row
from mailgate.spool.queue import Moved, Selection, SpoolStore

Json = dict[str, Any]
T = TypeVar("T")

LONGEST_PAGE = 1000


class Write(Protocol):
    """Runs a change of the spool in a transaction and waits for it; `synced` is called once it is durable."""

    def __call__(self, apply: Callable[[SpoolStore], T], synced: Callable[[T], None] | None = None) -> T: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What the commands work on. `wake`: the queue has something to do now. `reload` publishes the policy folder."""

    write: Write
    listing: Listing
    contents: ContentFolder
    clock: Callable[[], float]
    wake: Callable[[], None]
    policy: Callable[[], Snapshot]
    reload: Callable[[], Snapshot]


def handlers(desk: Desk) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError and NotFoundError."""
    return {name: partial(command, desk) for name, command in _COMMANDS.items()}


# Lists


def _queue_list(
    desk: Desk,
    tenant: str = "",
    destination: str = "",
    sender: str | None = None,
    state: str = "",
    older_than: float | None = None,
    younger_than: float | None = None,
    after: str = "",
    limit: int = 100,
) -> Json:
    """`older_than`, `younger_than`: seconds of age. `after`: the `next` of the page before. `sender` "" means the null
    reverse-path. Returns {"rows": […], "next": str | None}."""
    if state and state not in (State.QUEUED, State.HELD, State.QUARANTINED):
        raise UserError(f"state {state!r}: give queued, held or quarantined")
    if not 1 <= limit <= LONGEST_PAGE:
        raise UserError(f"limit {limit}: give 1 to {LONGEST_PAGE}")
    now = desk.clock()
    chosen = Filter(
        tenant=tenant,
        destination=destination.lower(),
        reverse_path=sender,
        state=state,
        older_than=None if older_than is None else now - older_than,
        younger_than=None if younger_than is None else now - younger_than,
    )
    rows = desk.listing.page(chosen, _key(after), limit)
    last = f"{rows[-1].message}.{rows[-1].n}" if len(rows) == limit else None
    return {"rows": [_row(row) for row in rows], "next": last}


def _key(after: str) -> tuple[int, int]:
    if not after:
        return (0, -1)
    message, _, n = after.partition(".")
    if not (message.isdigit() and n.isdigit()):
        raise UserError(f"after {after!r}: give the `next` of the page before")
    return int(message), int(n)


def _row(row: Row) -> Json:
    plain: Json = msgspec.to_builtins(row)
    del plain["message"]
    return plain


def _queue_show(desk: Desk, id: str) -> Json:
    return _shown(desk, id, "")


def _shown(desk: Desk, queue_id: str, tenant: str) -> Json:
    """The envelope, why it is where it is, and its waiting recipients."""
    kept = _kept(desk, queue_id, tenant)
    rows = desk.listing.rows_of(kept.envelope.queue_id)
    return {
        "envelope": msgspec.to_builtins(kept.envelope),
        "size": kept.size,
        "decision": None if kept.decision is None else decision_facts(kept.decision),
        "inspection": None if kept.inspection is None else inspection_facts(kept.inspection),
        "recipients": [_row(row) for row in rows],
    }


def _kept(desk: Desk, queue_id: str, tenant: str) -> Kept:
    for kept in desk.listing.kept(queue_id):
        if kept.accepted and tenant in ("", kept.envelope.tenant):
            return kept
    raise NotFoundError(f"{queue_id}: there is no such message")


def _queue_summary(desk: Desk, tenant: str = "", by_destination: bool = False) -> Json:
    """{"states": recipients by state, "oldest_queued": seconds since 1970 | None, "rows": by destination if asked}."""
    summary: Json = {"states": desk.listing.counts(tenant), "oldest_queued": desk.listing.oldest_queued()}
    if by_destination:
        names = ("destination", "state", "reason", "recipients", "oldest")
        summary["rows"] = [dict(zip(names, row, strict=True)) for row in desk.listing.summary(tenant)]
    return summary


# Changes


def _move(
    states: frozenset[State],
    target: State,
    desk: Desk,
    id: str,
    recipients: Sequence[str] = (),
    tenant: str = "",
    by: str = "administrator",
    reason: str = "",
) -> Json:
    """Returns {"changed": forward-paths, "busy": those under an attempt now, which stay as they were}."""
    selection = Selection(QueueId(id), states, frozenset(recipients), tenant)
    now = desk.clock()

    def apply(spool: SpoolStore) -> Moved:
        return spool.move(selection, target, now, by, reason)

    moved = desk.write(apply, partial(clear, desk))
    desk.wake()
    return {"changed": list(moved.changed), "busy": list(moved.busy)}


def clear(desk: Desk, moved: Moved) -> None:
    """Once the change is durable: the content files that nobody needs any more."""
    for queue_id, content in moved.freed:
        desk.contents.remove(queue_id, content)


# Quarantine: always for one tenant


def _quarantine_list(desk: Desk, tenant: str, after: str = "", limit: int = 100) -> Json:
    return _queue_list(desk, tenant=tenant, state=State.QUARANTINED, after=after, limit=limit)


def _quarantine_show(desk: Desk, id: str, tenant: str) -> Json:
    shown = _shown(desk, id, tenant)
    if not any(row["state"] == State.QUARANTINED for row in shown["recipients"]):
        raise NotFoundError(f"{id} is not in quarantine")
    return shown


# Explanations


def _trace(desk: Desk, id: str) -> list[Json]:
    """The timelines of all messages with this queue id or Message-ID, oldest first."""
    found = desk.listing.kept(id)
    if not found:
        raise NotFoundError(f"{id}: no message with this queue id or Message-ID is on record")
    return [_timeline(desk, kept) for kept in found]


def _timeline(desk: Desk, kept: Kept) -> Json:
    rows = desk.listing.rows_of(kept.envelope.queue_id)
    return timeline(
        kept.envelope,
        kept.events,
        accepted=kept.accepted,
        size=kept.size,
        decision=kept.decision,
        inspection=kept.inspection,
        waiting=[(row.forward_path, row.state, row.reason) for row in rows],
    ).as_json()


def _policy_reload(desk: Desk) -> str:
    """The version that is in force now."""
    return desk.reload().version


def _policy_show(desk: Desk, version: str = "") -> Json:
    """The snapshot in force, or the one of an earlier version."""
    if not version:
        current = desk.policy()
        return {"version": current.version, "snapshot": msgspec.json.decode(current.encode())}
    kept = desk.listing.policy(version)
    if kept is None:
        raise NotFoundError(f"policy version {version} was never in force here")
    return {"version": version, "snapshot": msgspec.json.decode(kept)}


_IN_QUEUE = frozenset({State.QUEUED, State.HELD})
_IN_QUARANTINE = frozenset({State.QUARANTINED})


def _moving(states: frozenset[State], target: State) -> Callable[..., Json]:
    return partial(_move, states, target)


_COMMANDS: dict[str, Callable[..., Any]] = {
    "queue.list": _queue_list,
    "queue.show": _queue_show,
    "queue.summary": _queue_summary,
    "queue.retry": _moving(frozenset({State.QUEUED}), State.QUEUED),
    "queue.hold": _moving(frozenset({State.QUEUED}), State.HELD),
    "queue.release": _moving(frozenset({State.HELD}), State.QUEUED),
    "queue.delete": _moving(_IN_QUEUE, State.DELETED),
    "quarantine.list": _quarantine_list,
    "quarantine.show": _quarantine_show,
    "quarantine.release": _moving(_IN_QUARANTINE, State.QUEUED),
    "quarantine.delete": _moving(_IN_QUARANTINE, State.DELETED),
    "trace": _trace,
    "policy.reload": _policy_reload,
    "policy.show": _policy_show,
}
NAMES = frozenset(_COMMANDS)
