"""Commands on what is in force: the policy, and those that were; the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError
from mailgate.policy.changes import changes
from mailgate.policy.snapshot import Snapshot
from mailgate.store.commands.on_spool.desk import Desk, Json, NoteDeed
from mailgate.tenancy.directory import Directory


def _policy_reload(desk: Desk) -> str:
    """The version that is in force now."""
    before = desk.policy()
    after = desk.reload()
    if after.version != before.version:
        note_changes(desk.note, desk.ask(names_of_tenants), before, after)
    return after.version


def names_of_tenants(directory: Directory) -> list[TenantName]:
    return [tenant.name for tenant in directory.tenants]


def note_changes(note: NoteDeed, tenants: Iterable[TenantName], before: Snapshot, after: Snapshot) -> None:
    """One entry in the gateway's audit log, and one in that of each tenant for which something changed."""
    note(TenantName(""), "policy.reload", after.version, {"before": before.version})
    for tenant in tenants:
        if changed := changes(before.for_tenant(tenant), after.for_tenant(tenant)):
            note(tenant, "policy.change", after.version, {"changed": changed, "before": before.version})


def _policy_show(desk: Desk, version: str = "") -> Json:
    """The snapshot in force, or the one of an earlier version."""
    if not version:
        current = desk.policy()
        return {"version": current.version, "snapshot": msgspec.json.decode(current.encode())}
    kept = desk.listing.policy(version)
    if kept is None:
        raise NotFoundError(f"policy version {version} was never in force here")
    return {"version": version, "snapshot": msgspec.json.decode(kept)}


def _settings_show(desk: Desk) -> dict[str, str]:
    """Those that the gateway was started with, as MAILGATE_* variables; of keys and passwords only the files' names."""
    return desk.settings.absolute().variables()


COMMANDS: dict[str, Callable[..., Any]] = {
    "policy.reload": _policy_reload,
    "policy.show": _policy_show,
    "settings.show": _settings_show,
}
