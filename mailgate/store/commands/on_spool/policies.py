"""Commands on the policy that is in force, and on those that were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError
from mailgate.store.commands.on_spool.desk import Desk, Json


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


COMMANDS: dict[str, Callable[..., Any]] = {"policy.reload": _policy_reload, "policy.show": _policy_show}
