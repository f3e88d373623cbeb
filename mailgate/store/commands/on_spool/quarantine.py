"""Commands on the quarantine, always for one tenant. What leaves it is scanned first, with today's signatures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from mailgate.dsn.returned import HEADER_LIMIT, header_of
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.model.event import Event
from mailgate.model.outcome import State
from mailgate.model.verdict import Inspection, Verdict
from mailgate.records.timeline import inspection_facts
from mailgate.spool.listing import Filter, Kept
from mailgate.spool.queue import Moved, Selection, SpoolStore
from mailgate.spool.search import Wanted
from mailgate.store.commands.on_spool.desk import (
    Desk,
    Json,
    Scan,
    accepted,
    actor,
    clear,
    noted_before,
    page,
    reads_names,
    rows_of,
    shown,
)
from mailgate.store.commands.on_spool.masking import masked_header

_IN_QUARANTINE = frozenset({State.QUARANTINED})


def _list(
    desk: Desk,
    tenant: str,
    sender: str | None = None,
    recipient: str = "",
    why: str = "",
    rule: str = "",
    since: float | None = None,
    until: float | None = None,
    older_than: float | None = None,
    younger_than: float | None = None,
    after: str = "",
    limit: int = 100,
) -> Json:
    """Arguments and result as those of `queue.list`, and `rule`: text within the name of the rule; `since`, `until`:
    seconds since 1970 of the arrival."""
    now = desk.clock()
    ends = [until, None if older_than is None else now - older_than]
    starts = [since, None if younger_than is None else now - younger_than]
    chosen = Filter(
        tenant=tenant,
        reverse_path=sender,
        state=State.QUARANTINED,
        older_than=min((moment for moment in ends if moment is not None), default=None),
        younger_than=max((moment for moment in starts if moment is not None), default=None),
    )
    return page(desk, chosen, Wanted(why, recipient, rule), after, limit)


def _show(desk: Desk, id: str, tenant: str, reason: str = "") -> Json:
    """As `queue.show`, and "header": [name, value] of each field. Nothing of the body. `reason`: for which an operator
    reads subject and file names; see `reads_names`."""
    kept = _quarantined(desk, id, tenant)
    header = _header(_content(desk, kept))
    with_names = reads_names(desk, kept, "quarantine.show", reason)
    return shown(desk, kept, with_names) | {"header": header if with_names else masked_header(header)}


def _quarantined(desk: Desk, id: str, tenant: str) -> Kept:
    kept = accepted(desk, id, tenant)
    if all(row.state != State.QUARANTINED for row in rows_of(desk, kept)):
        raise NotFoundError(f"{id} is not in quarantine")
    return kept


def _content(desk: Desk, kept: Kept) -> bytes | Path:
    assert kept.content is not None, "an accepted message has a content"
    return desk.reading.content(kept.message, kept.envelope.queue_id, kept.content)


def _header(content: bytes | Path) -> list[list[str]]:
    if isinstance(content, bytes):
        header = header_of(content)
    else:
        with content.open("rb") as file:
            header = header_of(file.read(HEADER_LIMIT + 2))
    unfolded = header.decode("utf-8", "replace").replace("\r\n ", " ").replace("\r\n\t", " ")
    fields = (line.partition(":") for line in unfolded.split("\r\n") if line)
    return [[name, value.strip()] for name, _, value in fields]


def _release(
    desk: Desk,
    id: str,
    tenant: str,
    recipients: Sequence[str] = (),
    by: str = "",
    reason: str = "",
    confirm_infected: bool = False,
    confirm_signature: str = "",
) -> Generator[Scan, Inspection, Json]:
    """Delivers the same bytes after all. ConflictError for infected mail without a reason, `confirm_infected` and the
    name of the signature that is found today; UnavailableError where it can't be scanned now: then nothing changes.
    Returns {"changed": forward-paths, "busy": […], "verdict", "signature"}."""
    kept = _quarantined(desk, id, tenant)
    inspection = yield Scan(_content(desk, kept), kept.envelope)
    if inspection.is_transient:
        raise UnavailableError("the scanner gave no verdict, so nothing was released; try again later")
    is_confirmed = reason and confirm_infected and confirm_signature == inspection.signature
    if inspection.verdict is Verdict.INFECTED and not is_confirmed:
        raise ConflictError(
            f"{id} is infected with {inspection.signature}: it is released only with a reason, and twice confirmed "
            f"(--reason ... --confirm-infected --confirm-signature {inspection.signature})"
        )
    selection = _selection(desk, kept, recipients)
    _note(desk, "quarantine.release", kept, {"verdict": inspection.verdict, "signature": inspection.signature})
    now, who = desk.clock(), actor(by)

    def apply(spool: SpoolStore) -> Moved:
        spool.note(kept.envelope, (Event(now, "inspected", inspection_facts(inspection)),))
        return spool.move(selection, State.QUEUED, now, who, reason)

    moved = noted_before(desk, kept.envelope.tenant, "quarantine.release", id, lambda: desk.write(apply))
    desk.wake()
    return {
        "changed": list(moved.changed),
        "busy": list(moved.busy),
        "verdict": str(inspection.verdict),
        "signature": inspection.signature,
    }


def _delete(desk: Desk, id: str, tenant: str, recipients: Sequence[str] = (), by: str = "", reason: str = "") -> Json:
    """Returns {"changed": forward-paths, "busy": […]}."""
    kept = _quarantined(desk, id, tenant)
    selection = _selection(desk, kept, recipients)
    _note(desk, "quarantine.delete", kept, {})
    now, who = desk.clock(), actor(by)

    def apply(spool: SpoolStore) -> Moved:
        spool.owe_unreleased(selection, f"deleted by an administrator{reason and ': '}{reason}", now)
        return spool.move(selection, State.DELETED, now, who, reason)

    def move() -> Moved:
        return desk.write(apply, lambda done: clear(desk, done))

    moved = noted_before(desk, kept.envelope.tenant, "quarantine.delete", id, move)
    return {"changed": list(moved.changed), "busy": list(moved.busy)}


def _note(desk: Desk, action: str, kept: Kept, facts: Json) -> None:
    """Neither sender nor recipients: who may see them asks for the timeline."""
    desk.note(kept.envelope.tenant, action, kept.envelope.queue_id, facts)


def _selection(desk: Desk, kept: Kept, recipients: Sequence[str]) -> Selection:
    """Of the recipients that exist for the caller; NotFoundError where none of them is meant."""
    chosen = [row for row in rows_of(desk, kept) if not recipients or row.forward_path in recipients]
    numbers = frozenset(row.n for row in chosen if row.state == State.QUARANTINED)
    if not numbers:
        raise NotFoundError(f"{kept.envelope.queue_id} has no such recipient in quarantine")
    return Selection(kept.envelope.queue_id, _IN_QUARANTINE, tenant=kept.envelope.tenant, numbers=numbers)


COMMANDS: dict[str, Callable[..., Any]] = {
    "quarantine.list": _list,
    "quarantine.show": _show,
    "quarantine.release": _release,
    "quarantine.delete": _delete,
}
