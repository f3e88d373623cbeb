"""The command that tells what happened to a message, or why somebody's mail was refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from mailgate.ipc.calls import Resolved
from mailgate.model.address import AddressError, parse_address
from mailgate.model.errors import NotFoundError
from mailgate.records.timeline import timeline
from mailgate.spool.listing import Kept
from mailgate.spool.turned_away import TurnedAwayRow
from mailgate.store.commands.on_spool.desk import Desk, Json, kept_of, rows_of
from mailgate.store.commands.on_spool.masking import has_names
from mailgate.store.commands.on_spool.view import View
from mailgate.store.turned_away import domain_of
from mailgate.tenancy.acting import current
from mailgate.tenancy.directory import Directory


def _trace(desk: Desk, id: str) -> list[Json]:
    """The timelines of all messages with this queue id or Message-ID; where it is an address of mail or of a client,
    also who was refused in the dialogue (see `_turned_away`). Oldest first."""
    found = [_timeline(desk, kept) for kept in kept_of(desk, id)]
    found += _turned_away(desk, id.strip().removeprefix("<").removesuffix(">"))
    if not found:
        raise NotFoundError(
            f"{id}: no message with this queue id or Message-ID is on record, and nobody who was refused"
        )
    return found


def _timeline(desk: Desk, kept: Kept) -> Json:
    """An operator who reads the names of files leaves an entry in the tenant's audit log."""
    rows = rows_of(desk, kept)
    told = timeline(
        kept.envelope,
        kept.events,
        accepted=kept.accepted,
        size=kept.size,
        decision=kept.decision,
        inspection=kept.inspection,
        waiting=[(row.forward_path, row.state, row.reason) for row in rows],
    ).as_json()
    names = any(event["kind"] == "inspected" and has_names(event["facts"]) for event in told["events"])
    if names and current().caller.is_operator:
        desk.note(kept.envelope.tenant, "trace", kept.envelope.queue_id, {"shown": "file names"})
    return told


def _turned_away(desk: Desk, address: str) -> list[Json]:
    """{"turned_away": times, "first", "last": seconds since 1970, "client", "helo", "listener", "tls", "command",
    "sender", "recipient", "reply", "reason", "queue_id"} of each sender, recipient, client and reply."""
    try:
        rows = desk.listing.turned_away_client(str(ipaddress.ip_address(address)))
    except ValueError:
        rows = desk.listing.turned_away_path(_canonical(address)) if "@" in address else []
    view = desk.view()
    if view is not None:
        rows = [row for row in rows if row.tenant == view.tenant]
        found = desk.ask(lambda directory: [_resolved(directory, view, row) for row in rows])
        rows = [row for row, about in zip(rows, found, strict=True) if _is_shown(view, about)]
    return [
        {
            "turned_away": row.times,
            "first": row.first,
            "last": row.last,
            "client": row.client,
            "sender": row.sender,
            "recipient": row.recipient,
            "reply": row.reply,
            "tenant": row.tenant,
            "helo": row.around.helo,
            "listener": row.around.listener,
            "tls": row.around.tls,
            "command": row.around.command,
            "reason": row.around.reason,
            "queue_id": row.around.queue_id,
        }
        for row in reversed(rows)
    ]


def _canonical(address: str) -> str:
    """As the edge writes it, where it is valid."""
    try:
        return str(parse_address(address))
    except AddressError:
        return address


def _resolved(directory: Directory, view: View, row: TurnedAwayRow) -> Resolved:
    """Behind the address of the tenant that the row is about."""
    own = {domain for tenant in directory.tenants if tenant.name == view.tenant for domain in tenant.domains}
    path = row.recipient if domain_of(row.recipient) in own else row.sender
    try:
        address = parse_address(path)
    except AddressError:
        return Resolved("unknown")
    return directory.recipients.resolve(address.local, address.domain)


def _is_shown(view: View, about: Resolved) -> bool:
    """As with mail: who has the mailbox sees it, and an administrator what is about none. Whose one is that is switched
    off can't be told here."""
    if about.mailboxes:
        return not view.mailboxes.isdisjoint(about.mailboxes)
    return view.is_administrator and about.kind not in ("disabled", "unavailable")


COMMANDS: dict[str, Callable[..., Any]] = {"trace": _trace}
