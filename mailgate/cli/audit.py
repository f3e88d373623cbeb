"""`mailgate audit ...`: what was changed, by whom, and whether the log of it was tampered with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.choosing import AsJson, seconds
from mailgate.cli.connection import admin

app = typer.Typer(help="What was changed, by whom, and whether the log of it is whole.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The log of this tenant; that of the gateway itself without it.")]

COLUMNS = ("n", "time", "actor", "action", "object", "what", "request")


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
        "; ".join(_changes(entry)),
        entry["request"],
    )


def _changes(entry: dict[str, Any]) -> Iterator[str]:
    """`role: user -> administrator`, `members: was bob@acme.example`."""
    before, after = entry["before"] or {}, entry["after"] or {}
    for name in dict.fromkeys([*before, *after]):
        was, became = (_value(name, facts[name]) if name in facts else "" for facts in (before, after))
        if name not in after:
            became = f"was {was}"
        elif name in before and was != became:
            became = f"{was} -> {became}"
        yield f"{name.replace('_', ' ')}: {became}"
    if entry["reason"]:
        yield f"reason: {entry['reason']}"


def _value(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name.endswith(("_at", "_until")):
        return output.moment(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value('', each)}" for key, each in value.items()) or "nobody"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
