"""Commands on the queue. Arguments and results are plain JSON values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from mailgate.model.envelope import QueueId
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.model.outcome import State
from mailgate.spool.listing import Filter, Row
from mailgate.spool.queue import Moved, Selection, SpoolStore
from mailgate.spool.search import Step, Wanted
from mailgate.store.commands.arguments import check
from mailgate.store.commands.on_spool.desk import (
    Desk,
    Json,
    accepted,
    actor,
    clear,
    is_busy,
    look,
    noted_before,
    page,
    reads_names,
    shown,
    written_key,
)

STEP = 500


def _list(
    desk: Desk,
    tenant: str = "",
    destination: str = "",
    sender: str | None = None,
    recipient: str = "",
    state: str = "",
    why: str = "",
    older_than: float | None = None,
    younger_than: float | None = None,
    after: str = "",
    limit: int = 100,
) -> Json:
    """`after`: the `next` of the page before. The rest as in `_filter`."""
    chosen, wanted = _filter(desk, tenant, destination, sender, recipient, state, why, older_than, younger_than)
    return page(desk, chosen, wanted, after, limit)


def _filter(
    desk: Desk,
    tenant: str = "",
    destination: str = "",
    sender: str | None = None,
    recipient: str = "",
    state: str = "",
    why: str = "",
    older_than: float | None = None,
    younger_than: float | None = None,
) -> tuple[Filter, Wanted]:
    """`older_than`, `younger_than`: seconds of age. `sender` "" means the null reverse-path; `why` a part of the reason
    that a row waits for; `recipient` an address, or `@domain`."""
    now = desk.clock()
    chosen = Filter(
        tenant=tenant,
        destination=destination.lower(),
        reverse_path=sender,
        state=state,
        older_than=None if older_than is None else now - older_than,
        younger_than=None if younger_than is None else now - younger_than,
    )
    return chosen, Wanted(why, recipient)


def _show(desk: Desk, id: str, reason: str = "") -> Json:
    """`reason`: for which an operator reads the names of files; see `reads_names`."""
    kept = accepted(desk, id, "")
    return shown(desk, kept, reads_names(desk, kept, "queue.show", reason))


def _summary(desk: Desk, tenant: str = "", by_destination: bool = False) -> Json:
    """{"states": recipients by state, "oldest_queued": seconds since 1970 | None, "clock_doubted_since": the same,
    "policy_refused": what is wrong with the policy folder, if it is,
    "damaged": queue ids of messages whose content is (of all tenants together only), "rows": by destination, state and
    reason if asked}."""
    clock = desk.listing.clock()
    summary: Json = {
        "states": desk.listing.counts(tenant),
        "oldest_queued": desk.listing.oldest_queued(),
        "policy_refused": desk.policy_refused(),
        "clock_doubted_since": None if clock is None else clock.doubted_since,
    }
    if not tenant:
        summary["damaged"] = [each.queue_id for each in desk.listing.damaged()]
    if by_destination:
        names = ("destination", "state", "reason", "recipients", "oldest")
        summary["rows"] = [dict(zip(names, row, strict=True)) for row in desk.listing.summary(tenant)]
    return summary


def _change(
    action: str,
    states: frozenset[State],
    target: State,
    desk: Desk,
    id: str,
    recipients: Sequence[str] = (),
    tenant: str = "",
    by: str = "",
    reason: str = "",
) -> Json:
    """One message's recipients, all or some. `by`: who was behind the operator's account. Returns {"changed":
    forward-paths, "busy": those under an attempt now, which stay as they were}."""
    now, who = desk.clock(), actor(by)
    selection = Selection(QueueId(id), states, frozenset(recipients), tenant)
    rows = desk.listing.rows_of(QueueId(id))
    waiting = [row for row in rows if selection.holds(row.tenant, row.n, row.forward_path, row.state)]
    if waiting and all(is_busy(row, now) for row in waiting):
        return {"changed": [], "busy": [row.forward_path for row in waiting]}

    def apply(spool: SpoolStore) -> Moved:
        return spool.move(selection, target, now, who, reason)

    def move() -> Moved:
        return desk.write(apply, lambda done: clear(desk, done))

    if waiting:
        desk.note(waiting[0].tenant, action, id, {"state": target})
        moved = noted_before(desk, waiting[0].tenant, action, id, move)
    else:
        moved = move()
    desk.wake()
    return {"changed": list(moved.changed), "busy": list(moved.busy)}


def _change_chosen(
    action: str,
    states: frozenset[State],
    target: State,
    desk: Desk,
    by: str = "",
    reason: str = "",
    after: str = "",
    **filters: Any,
) -> Json:
    """One step of all that `filters` (see `_filter`) choose. Returns counts of recipients {"changed", "busy",
    "unscanned": can't be released yet} and {"next": where the next step begins | None}."""
    check(partial(_filter, desk), action, filters)
    chosen, wanted = _filter(desk, **filters)
    step = look(desk, chosen, wanted, after, STEP)
    now = desk.clock()
    meant = [row for row in step.rows if not is_busy(row, now)]
    for owner in sorted({row.tenant for row in meant}):
        queue_ids = sorted({row.queue_id for row in meant if row.tenant == owner})
        desk.note(owner, action, f"{len(queue_ids)} messages", {"queue_ids": queue_ids})
    counts: Json = {"changed": 0, "busy": 0, "unscanned": 0, "next": written_key(step.next)}
    move = partial(_move_rows, step, states, target, now, actor(by), reason)

    def cleared(result: tuple[dict[str, Moved], int]) -> None:
        for each in result[0].values():
            clear(desk, each)

    moved, counts["unscanned"] = desk.write(move, cleared)
    for owner in sorted({row.tenant for row in meant}):
        queue_ids = sorted({row.queue_id for row in meant if row.tenant == owner and not _is_done(row, moved)})
        if queue_ids:
            desk.note(owner, action, f"{len(queue_ids)} messages", {"not_done": queue_ids})
    counts["changed"] = sum(len(each.changed) for each in moved.values())
    counts["busy"] = sum(len(each.busy) for each in moved.values())
    desk.wake()
    return counts


def _is_done(row: Row, moved: dict[str, Moved]) -> bool:
    return row.queue_id in moved and row.forward_path in moved[row.queue_id].changed


def _move_rows(
    step: Step, states: frozenset[State], target: State, now: float, by: str, reason: str, spool: SpoolStore
) -> tuple[dict[str, Moved], int]:
    """What was moved, by queue id, and how many recipients wait for the scanner first."""
    moved: dict[str, Moved] = {}
    unscanned = 0
    for queue_id, rows in groupby(step.rows, key=lambda row: row.queue_id):
        paths = frozenset(row.forward_path for row in rows)
        try:
            moved[queue_id] = spool.move(Selection(queue_id, states, paths), target, now, by, reason)
        except ConflictError:
            unscanned += len(paths)
        except NotFoundError:  # in another state, or gone since it was looked for
            continue
    return moved, unscanned


_CHANGES: dict[str, tuple[frozenset[State], State]] = {
    "retry": (frozenset({State.QUEUED}), State.QUEUED),
    "hold": (frozenset({State.QUEUED}), State.HELD),
    "release": (frozenset({State.HELD}), State.QUEUED),
    "delete": (frozenset({State.QUEUED, State.HELD}), State.DELETED),
}
COMMANDS: dict[str, Callable[..., Any]] = {
    "queue.list": _list,
    "queue.show": _show,
    "queue.summary": _summary,
    **{f"queue.{name}": partial(_change, f"queue.{name}", *change) for name, change in _CHANGES.items()},
    **{
        f"queue.{name}-chosen": partial(_change_chosen, f"queue.{name}-chosen", *change)
        for name, change in _CHANGES.items()
    },
}
