"""`mailgate inspection`: how much of the mail was really scanned."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.choosing import AsJson, Tenant
from mailgate.cli.connection import admin

app = typer.Typer(help="How much of the mail was really scanned.", no_args_is_help=True)

_NOT_COUNTED = "Not counted, since it is not scanned: what mail programs put into mailboxes by IMAP (copies, drafts)."
_COLUMNS = ("day", "tenant", "parts", "fully scanned", "infected", "suspicious", "not scanned", "remembered")


@app.callback()
def _group() -> None:
    """Keeps `report` a command of its own while the group has no other."""


@app.command()
def report(
    tenant: Tenant = "",
    days: Annotated[int, typer.Option(min=1, help="So many days, today included (UTC).")] = 7,
    as_json: AsJson = False,
) -> None:
    """The share of parts that were fully scanned, by day and tenant, why the others were not, and of which share the
    verdict was remembered from an earlier scan of the same content. What mail programs put into mailboxes by IMAP is
    not scanned, and not counted."""
    found = admin().call("inspection.report", tenant=tenant, days=days)
    if as_json:
        output.emit_json(found)
    else:
        output.table(_COLUMNS, [_cells(row) for row in found])
        output.hint(_NOT_COUNTED)


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    reasons = ", ".join(f"{number} {reason}" for reason, number in row["not_scanned"].items()) or "-"
    share, remembered = _percent(row["share"]), _percent(row["remembered"])
    return (
        row["day"],
        row["tenant"],
        row["parts"],
        share,
        row["infected"],
        row.get("suspicious", 0),
        reasons,
        remembered,
    )


def _percent(share: float) -> str:
    """Cut, never rounded up: 100.00 % means every part."""
    return f"{int(share * 10_000) / 100:.2f} %"
