"""Commands on the audit logs: what was changed, by whom, and whether anything in them was tampered with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from mailgate.model.errors import UserError
from mailgate.tenancy import acting
from mailgate.tenancy.acting import Caller, Role
from mailgate.tenancy.audit.chain import Entry, Head, Verified
from mailgate.tenancy.directory import Directory

LONGEST_LIST = 10_000

Json = dict[str, Any]


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def _list(directory: Directory, tenant: str = "", since: float = 0.0, object: str = "", limit: int = 100) -> list[Json]:
    """The newest `limit` entries, the oldest of them first; of the gateway itself where no tenant is given. A user gets
    what that user did; what was done to a mailbox that does not exist for the caller is told without its name."""
    if not 1 <= limit <= LONGEST_LIST:
        raise UserError(f"limit {limit}: give 1 to {LONGEST_LIST}")
    caller = acting.current().caller
    with directory.audit(tenant) as (log, session):
        if caller.is_operator:
            return [_facts(entry) for entry in log.newest(session, since=since, object=object, limit=limit)]
        entries = log.newest(session, since=since, limit=LONGEST_LIST)
    visible = directory.visible_addresses(tenant)
    own = [entry for entry in entries if caller.role is not Role.USER or entry.actor == caller.name]
    told = [_told(entry, caller, visible) for entry in own]
    return [_facts(entry) for entry in told if object in ("", entry.object)][-limit:]


def _told(entry: Entry, caller: Caller, visible: frozenset[str]) -> Entry:
    if entry.actor == caller.name or not entry.action.startswith(("mailbox.", "alias.")):
        return entry
    named = {entry.object} if entry.action.startswith("mailbox.") else _targets(entry)
    return entry if named <= visible else replace(entry, object="a private mailbox", before=None, after=None)


def _targets(entry: Entry) -> set[str]:
    """The mailboxes that an alias led to or leads to."""
    facts: list[Json] = [msgspec.json.decode(text) for text in (entry.before, entry.after) if text is not None]
    return {mailbox for each in facts for mailbox in each.get("mailboxes", ())}


def _verify(directory: Directory, tenant: str = "", expected: str = "") -> Json:
    """`expected` is a head that was written down: NUMBER:HASH. Returns {"entries", "head", "faults": [text]}."""
    try:
        noted = [Head.parse(expected)] if expected else []
    except ValueError:
        raise UserError(
            f"{expected!r} is not the head of an audit log: give NUMBER:HASH as verify printed it"
        ) from None
    checkpoint = directory.audit_checkpoint(tenant) if tenant else None
    with directory.audit(tenant) as (log, session):
        found: Verified = log.verify(session, (*noted, checkpoint) if checkpoint else tuple(noted))
    return {"entries": found.entries, "head": str(found.head), "faults": list(found.faults)}


def _facts(entry: Entry) -> Json:
    return {
        "n": entry.n,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "before": None if entry.before is None else msgspec.json.decode(entry.before),
        "after": None if entry.after is None else msgspec.json.decode(entry.after),
        "reason": entry.reason,
        "request": entry.request,
    }


_COMMANDS: dict[str, Callable[..., Any]] = {
    "audit.list": _list,
    "audit.verify": _verify,
}
