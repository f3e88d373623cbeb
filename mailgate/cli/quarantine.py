"""`mailgate quarantine`: what a tenant's policy keeps for a person to decide on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output, parts
from mailgate.cli.choosing import (
    AsJson,
    Id,
    Limit,
    OlderThan,
    ReadingReason,
    Reason,
    Recipients,
    Rule,
    Sender,
    Since,
    To,
    Until,
    Why,
    YoungerThan,
    behind_sudo,
    moment,
    seconds,
)
from mailgate.cli.connection import admin
from mailgate.cli.queue import PAGE, pages, show_message, show_rows, tell

app = typer.Typer(help="Messages in quarantine, always of one tenant.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The tenant that it belongs to.")]


@app.command("list")
def list_(
    tenant: Tenant,
    sender: Sender = None,
    recipient: To = "",
    why: Why = "",
    rule: Rule = "",
    since: Since = "",
    until: Until = "",
    older_than: OlderThan = "",
    younger_than: YoungerThan = "",
    limit: Limit = PAGE,
    as_json: AsJson = False,
) -> None:
    """One line a quarantined recipient, oldest message first."""
    rows = pages(
        admin(),
        "quarantine.list",
        limit,
        tenant=tenant,
        sender=sender,
        recipient=recipient,
        why=why,
        rule=rule,
        since=moment(since),
        until=moment(until),
        older_than=seconds(older_than),
        younger_than=seconds(younger_than),
    )
    show_rows(rows, limit, as_json)


@app.command("show")
def show(id: Id, tenant: Tenant, reason: ReadingReason = "", as_json: AsJson = False) -> None:
    """The envelope, why it is here, the header, and what was found in each part; nothing of the body."""
    shown = admin().call("quarantine.show", id=id, tenant=tenant, reason=reason)
    show_message(shown, as_json)
    if not as_json:
        _show_inside(shown)


def _show_inside(shown: dict[str, Any]) -> None:
    if shown["decision"]:
        output.say(f"  reason: {shown['decision']['reason']}")
    output.say("header", "bold")
    for name, value in shown["header"]:
        output.say(f"  {name}: {value}")
    inspection = shown["inspection"]
    if inspection is not None:
        output.say(f"parts: {inspection['verdict']}, signatures {inspection['signatures'] or 'unknown'}", "bold")
        parts.show(inspection["parts"], indent=2)
        for defect in inspection["defects"]:
            output.say(f"  defect at {defect['place'] or 'the message'}: {defect['name']} {defect['detail']}".rstrip())


@app.command("release")
def release(
    id: Id,
    tenant: Tenant,
    recipient: Recipients = None,
    reason: Reason = "",
    confirm_infected: Annotated[
        bool, typer.Option("--confirm-infected", help="Deliver it though it is infected; needs --reason.")
    ] = False,
    confirm_signature: Annotated[
        str, typer.Option(help="And though it is this that it is infected with, by the signatures of today.")
    ] = "",
) -> None:
    """Scan it again with today's signatures, then deliver the same bytes after all."""
    moved = admin().call(
        "quarantine.release",
        id=id,
        tenant=tenant,
        recipients=recipient or [],
        by=behind_sudo(),
        reason=reason,
        confirm_infected=confirm_infected,
        confirm_signature=confirm_signature,
    )
    found = f"{moved['verdict']} ({moved['signature']})" if moved["signature"] else moved["verdict"]
    tell(f"scanned again: {found}; released", moved)


@app.command("delete")
def delete(id: Id, tenant: Tenant, recipient: Recipients = None, reason: Reason = "") -> None:
    """Never deliver; the sender is not told."""
    moved = admin().call(
        "quarantine.delete", id=id, tenant=tenant, recipients=recipient or [], by=behind_sudo(), reason=reason
    )
    tell("deleted", moved)
