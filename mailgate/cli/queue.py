"""`mailgate queue`: what waits in the spool, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.choosing import (
    AsJson,
    Destination,
    Id,
    Limit,
    OlderThan,
    ReadingReason,
    Reason,
    Recipients,
    Sender,
    Tenant,
    To,
    Why,
    YoungerThan,
    behind_sudo,
    seconds,
)
from mailgate.cli.connection import Gateway, admin
from mailgate.model.errors import ConflictError, UserError

app = typer.Typer(help="Messages that wait: queued, held or quarantined.", no_args_is_help=True)

PAGE = 1000
COLUMNS = ("queue id", "state", "tenant", "sender", "recipient", "size", "since", "attempts", "next attempt", "why")
SUMMARY = ("destination", "state", "recipients", "oldest", "why")


@app.command("list")
def list_(
    tenant: Tenant = "",
    destination: Destination = "",
    sender: Sender = None,
    recipient: To = "",
    state: Annotated[str, typer.Option(help="Only queued, held or quarantined.")] = "",
    why: Why = "",
    older_than: OlderThan = "",
    younger_than: YoungerThan = "",
    limit: Limit = PAGE,
    as_json: AsJson = False,
) -> None:
    """One line a waiting recipient, oldest message first."""
    rows = pages(
        admin(),
        "queue.list",
        limit,
        tenant=tenant,
        destination=destination,
        sender=sender,
        recipient=recipient,
        state=state,
        why=why,
        older_than=seconds(older_than),
        younger_than=seconds(younger_than),
    )
    show_rows(rows, limit, as_json)


@app.command("summary")
def summary(tenant: Tenant = "", as_json: AsJson = False) -> None:
    """How many wait for which destination and why, most first."""
    found = admin().call("queue.summary", tenant=tenant, by_destination=True)
    if as_json:
        output.emit_json(found)
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(found["states"].items())) or "nothing waits"
    output.say(f"{states}; oldest in the queue: {output.moment(found['oldest_queued'])}", "bold")
    rows = found["rows"]
    output.table(
        SUMMARY,
        [
            (row["destination"], row["state"], row["recipients"], output.moment(row["oldest"]), row["reason"])
            for row in rows
        ],
    )


@app.command("show")
def show(id: Id, reason: ReadingReason = "", as_json: AsJson = False) -> None:
    """The envelope, the decision and the waiting recipients of one message."""
    show_message(admin().call("queue.show", id=id, reason=reason), as_json)


def _changing(name: str, done: str) -> Callable[..., None]:
    """The command `queue <name>`; the four that change something take the same options."""

    def run(
        id: Annotated[str, typer.Argument(metavar="ID", help="A queue id; without one the options choose.")] = "",
        recipient: Recipients = None,
        tenant: Tenant = "",
        destination: Destination = "",
        sender: Sender = None,
        why: Why = "",
        older_than: OlderThan = "",
        younger_than: YoungerThan = "",
        everything: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
        reason: Reason = "",
    ) -> None:
        chosen = {
            "destination": destination,
            "sender": sender,
            "why": why,
            "older_than": seconds(older_than),
            "younger_than": seconds(younger_than),
        }
        given = {option: value for option, value in chosen.items() if value not in ("", None) or value == sender == ""}
        noted = {"by": behind_sudo(), "reason": reason}
        if id:
            if given or everything:
                raise UserError("give a queue id or options that choose, not both")
            tell(done, admin().call(f"queue.{name}", id=id, tenant=tenant, recipients=recipient or [], **noted))
            return
        if recipient and len(recipient) > 1:
            raise UserError("give one --recipient, or a queue id")
        given |= {"tenant": tenant} if tenant else {}
        given |= {"recipient": recipient[0]} if recipient else {}
        if bool(given) == everything:
            raise UserError("give a queue id, or options that choose, or --all")
        tell_counts(done, change_chosen(admin(), f"queue.{name}-chosen", **given, **noted))

    return run


app.command("retry", help="Try to deliver now.")(_changing("retry", "tried now"))
app.command("hold", help="Stop deliveries until `mailgate queue release`.")(_changing("hold", "held"))
app.command("release", help="Deliver what was held.")(_changing("release", "released"))
app.command("delete", help="Never deliver; the sender is not told.")(_changing("delete", "deleted"))


def pages(gateway: Gateway, command: str, limit: int = 0, **filters: Any) -> list[dict[str, Any]]:
    """The rows of the pages of a listing command; up to `limit`, and one more where there are more, or all for 0."""
    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        wanted = PAGE if not limit else min(PAGE, limit + 1 - len(rows))
        page = gateway.call(command, **filters, after=after, limit=wanted)
        rows += page["rows"]
        if page["next"] is None or (limit and len(rows) > limit):
            return rows
        after = page["next"]


def change_chosen(gateway: Gateway, command: str, **arguments: Any) -> dict[str, int]:
    """All steps of a change, their counts added."""
    counts = {"changed": 0, "busy": 0, "unscanned": 0}
    after = ""
    while True:
        step = gateway.call(command, **arguments, after=after)
        counts = {name: count + step[name] for name, count in counts.items()}
        if step["next"] is None:
            return counts
        after = step["next"]


def show_rows(rows: list[dict[str, Any]], limit: int, as_json: bool) -> None:
    """One more row than `limit` means that there are more."""
    shown = rows[:limit] if limit else rows
    if as_json:
        output.emit_json(shown)
    else:
        output.table(COLUMNS, [_cells(row) for row in shown])
    if len(shown) < len(rows):
        output.hint(f"there are more than {limit}; choose fewer, or give --limit 0 for all")


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


def tell_counts(what: str, counts: dict[str, int]) -> None:
    output.done(f"{what}: {counts['changed']} recipients")
    if counts["busy"]:
        output.say(f"being delivered at this moment, and left as they were: {counts['busy']}", "yellow")
    if counts["unscanned"]:
        output.say(f"not scanned yet, and left as they were: {counts['unscanned']}", "yellow")
