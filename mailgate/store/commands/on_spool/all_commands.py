"""All commands on the spool by name: queue, quarantine, timelines, policies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError
from mailgate.records.timeline import timeline
from mailgate.spool.listing import Kept
from mailgate.store.commands.on_spool import dmarc, inspection, offboarding, quarantine, queue, transport
from mailgate.store.commands.on_spool.desk import Desk, Json, kept_of, rows_of


def handlers(desk: Desk) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError, NotFoundError, ConflictError and
    UnavailableError."""
    return {name: partial(command, desk) for name, command in _COMMANDS.items()}


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


def _policy_reload(desk: Desk) -> str:
    """The version that is in force now."""
    before = desk.policy().version
    after = desk.reload().version
    if after != before:
        desk.note(TenantName(""), "policy.reload", after, {"before": before})
    return after


def _policy_show(desk: Desk, version: str = "") -> Json:
    """The snapshot in force, or the one of an earlier version."""
    if not version:
        current = desk.policy()
        return {"version": current.version, "snapshot": msgspec.json.decode(current.encode())}
    kept = desk.listing.policy(version)
    if kept is None:
        raise NotFoundError(f"policy version {version} was never in force here")
    return {"version": version, "snapshot": msgspec.json.decode(kept)}


_COMMANDS: dict[str, Callable[..., Any]] = {
    **queue.COMMANDS,
    **quarantine.COMMANDS,
    **inspection.COMMANDS,
    **dmarc.COMMANDS,
    **transport.COMMANDS,
    **offboarding.COMMANDS,
    "trace": _trace,
    "policy.reload": _policy_reload,
    "policy.show": _policy_show,
}
NAMES = frozenset(_COMMANDS)
