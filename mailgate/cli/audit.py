"""`mailgate audit ...`: what was changed, by whom, and whether the log of it was tampered with."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.choosing import AsJson, seconds
from mailgate.cli.connection import admin

app = typer.Typer(help="What was changed, by whom, and whether the log of it is whole.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The log of this tenant; that of the gateway itself without it.")]

COLUMNS = ("n", "time", "actor", "action", "object", "before", "after", "reason", "request")


@app.command("list")
def list_(
    tenant: Tenant = "",
    since: Annotated[str, typer.Option(help="Only what was done since, e.g. 15m, 2h, 3d ago.")] = "",
    object: Annotated[str, typer.Option(help="Only what was done to this, e.g. bob@acme.example.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Entries at most, the newest.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List changes, the oldest first."""
    age = seconds(since)
    after = 0.0 if age is None else time.time() - age
    entries = admin().call("audit.list", tenant=tenant, since=after, object=object, limit=limit)
    if as_json:
        output.emit_json(entries)
        return
    output.table(COLUMNS, [_cells(entry) for entry in entries])


@app.command("verify")
def verify(
    tenant: Tenant = "",
    expect: Annotated[str, typer.Option(help="A head that was written down before: NUMBER:HASH.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check that no entry was changed, put in or taken out. Exit code 1 where one was. Keep the head that this prints
    in another place: who writes the whole log anew is found by it."""
    found = admin().call("audit.verify", tenant=tenant, expected=expect)
    if as_json:
        output.emit_json(found)
    elif found["faults"]:
        for fault in found["faults"]:
            output.fail(fault)
    else:
        output.done(f"{found['entries']} entries, none was tampered with; head {found['head']}")
    if found["faults"]:
        raise typer.Exit(1)


def _cells(entry: dict[str, Any]) -> tuple[object, ...]:
    return (
        entry["n"],
        output.moment(entry["at"]),
        entry["actor"],
        entry["action"],
        entry["object"],
        _facts(entry["before"]),
        _facts(entry["after"]),
        entry["reason"],
        entry["request"],
    )


def _facts(facts: dict[str, Any] | None) -> str:
    return "" if facts is None else ", ".join(f"{name}={json.dumps(value)}" for name, value in facts.items())
