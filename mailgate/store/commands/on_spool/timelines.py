"""The command that tells what happened to a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailgate.model.errors import NotFoundError
from mailgate.records.timeline import timeline
from mailgate.spool.listing import Kept
from mailgate.store.commands.on_spool.desk import Desk, Json, kept_of, rows_of


def _trace(desk: Desk, id: str) -> list[Json]:
    """The timelines of all messages with this queue id or Message-ID, oldest first."""
    found = kept_of(desk, id)
    if not found:
        raise NotFoundError(f"{id}: no message with this queue id or Message-ID is on record")
    return [_timeline(desk, kept) for kept in found]


def _timeline(desk: Desk, kept: Kept) -> Json:
    rows = rows_of(desk, kept)
    return timeline(
        kept.envelope,
        kept.events,
        accepted=kept.accepted,
        size=kept.size,
        decision=kept.decision,
        inspection=kept.inspection,
        waiting=[(row.forward_path, row.state, row.reason) for row in rows],
    ).as_json()


COMMANDS: dict[str, Callable[..., Any]] = {"trace": _trace}
