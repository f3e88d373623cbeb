"""`mailgate queue`: what waits in the spool, and what to do with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.connection import Gateway, admin
from mailgate.model.errors import ConflictError

app = typer.Typer(help="Messages that wait: queued, held or quarantined.", no_args_is_help=True)

PAGE = 1000
COLUMNS = ("queue id", "state", "tenant", "sender", "recipient", "size", "since", "attempts", "next attempt", "why")

Id = Annotated[str, typer.Argument(metavar="ID", help="A queue id, as `mailgate queue list` shows it.")]
Recipients = Annotated[
    list[str] | None, typer.Option("--recipient", help="Only this recipient; may be repeated. All where not given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tenant = Annotated[str, typer.Option(help="Only what belongs to this tenant.")]


@app.command("list")
def list_(
    tenant: Tenant = "",
    destination: Annotated[str, typer.Option(help="Only what goes to this domain.")] = "",
    sender: Annotated[str | None, typer.Option(help="Only this reverse-path; '' for the null one.")] = None,
    state: Annotated[str, typer.Option(help="Only queued, held or quarantined.")] = "",
    as_json: AsJson = False,
) -> None:
    """One line a waiting recipient, oldest message first."""
    show_rows(pages(admin(), "queue.list", tenant=tenant, destination=destination, sender=sender, state=state), as_json)


@app.command("show")
def show(id: Id, as_json: AsJson = False) -> None:
    """The envelope, the decision and the waiting recipients of one message."""
    show_message(admin().call("queue.show", id=id), as_json)


@app.command("retry")
def retry(id: Id, recipient: Recipients = None) -> None:
    """Try to deliver now."""
    tell("tried now", admin().call("queue.retry", id=id, recipients=recipient or []))


@app.command("hold")
def hold(
    id: Id,
    recipient: Recipients = None,
    reason: Annotated[str, typer.Option(help="Kept in the timeline.")] = "",
) -> None:
    """Stop deliveries until `mailgate queue release`."""
    tell("held", admin().call("queue.hold", id=id, recipients=recipient or [], reason=reason))


@app.command("release")
def release(id: Id, recipient: Recipients = None) -> None:
    """Deliver what was held."""
    tell("released", admin().call("queue.release", id=id, recipients=recipient or []))


@app.command("delete")
def delete(
    id: Id,
    recipient: Recipients = None,
    reason: Annotated[str, typer.Option(help="Kept in the timeline.")] = "",
) -> None:
    """Never deliver; the sender is not told."""
    tell("deleted", admin().call("queue.delete", id=id, recipients=recipient or [], reason=reason))


def pages(gateway: Gateway, command: str, **filters: Any) -> list[dict[str, Any]]:
    """The rows of all pages of a listing command."""
    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        page = gateway.call(command, **filters, after=after, limit=PAGE)
        rows += page["rows"]
        if page["next"] is None:
            return rows
        after = page["next"]


def show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        output.emit_json(rows)
        return
    output.table(COLUMNS, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    due = output.moment(row["next_attempt_at"]) if row["state"] == "queued" else "-"
    return (
        row["queue_id"],
        row["state"],
        row["tenant"],
        f"<{row['reverse_path']}>",
        row["forward_path"],
        row["size"],
        output.moment(row["received_at"]),
        row["attempts"],
        due,
        row["reason"],
    )


def show_message(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.emit_json(shown)
        return
    envelope, decision = shown["envelope"], shown["decision"] or {}
    output.say(f"{envelope['queue_id']}  {shown['size']} bytes  {output.moment(envelope['received_at'])}", "bold")
    output.say(f"  {envelope['direction']} for tenant {envelope['tenant']}, from <{envelope['reverse_path']}>")
    if decision:
        output.say(f"  decision: {decision['action']} by {decision['rule']} (policy {decision['policy']})")
    output.table(COLUMNS, [_cells(row) for row in shown["recipients"]])


def tell(what: str, moved: dict[str, Any]) -> None:
    """What an administrative change did; exit 1 where nothing could be changed."""
    if moved["changed"]:
        output.done(f"{what}: {', '.join(moved['changed'])}")
    if moved["busy"]:
        busy = f"being delivered at this moment, and left as it was: {', '.join(moved['busy'])}"
        if not moved["changed"]:
            raise ConflictError(f"{busy}; try again")
        output.say(busy, "yellow")
