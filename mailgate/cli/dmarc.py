"""`mailgate dmarc`: what others report of mail in the names of our domains."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.choosing import AsJson, Tenant, seconds
from mailgate.cli.connection import admin

app = typer.Typer(help="What others report of mail in the names of our domains.", no_args_is_help=True)

DAY = 86_400
_COLUMNS = ("source", "messages", "failed", "by DKIM", "by SPF", "done with those that failed")


@app.callback()
def _group() -> None:
    """Keeps `summary` a command of its own while the group has no other."""


@app.command()
def summary(
    domain: Annotated[str, typer.Argument(help="A domain of a tenant; those below it count too.")],
    since: Annotated[str, typer.Option(help="So far back, e.g. 30d.")] = "30d",
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Who sends in the domain's name, by the reports that came: the addresses whose mail failed DMARC first."""
    days = max(1, -(-int(seconds(since) or 0) // DAY))
    found = admin().call("dmarc.summary", domain=domain, tenant=tenant, days=days)
    if as_json:
        output.emit_json(found)
        return
    reporters = ", ".join(f"{name or '?'} {number}" for name, number in found["reporters"].items())
    output.hint(f"{found['domain']}, {found['days']} days: {found['reports']} reports ({reporters or 'from nobody'})")
    output.table(_COLUMNS, [_cells(row) for row in found["sources"]])


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    done = ", ".join(f"{number} {disposition}" for disposition, number in row["failed_and"].items()) or "-"
    return (row["source"], row["messages"], row["failed"], row["dkim"], row["spf"], done)
