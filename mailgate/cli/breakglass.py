"""`mailgate breakglass ...`: access to a private mailbox in an emergency."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.choosing import AsJson
from mailgate.cli.connection import admin

app = typer.Typer(
    help="Access to a private mailbox in an emergency: one administrator asks, another confirms, it ends by itself.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `mailgate breakglass list` shows it.")]
Tenant = Annotated[str, typer.Option(help="The tenant; not needed by who is logged in to one.")]
COLUMNS = ("id", "mailbox", "state", "asked for by", "confirmed by", "until", "reason")


@app.command("request")
def request(
    mailbox: Annotated[str, typer.Argument(help="Its address.")],
    reason: Annotated[str, typer.Option(help="Read by those who use the mailbox.")],
    hours: Annotated[int, typer.Option(min=1, max=72, help="For how long, once it is confirmed.")] = 4,
) -> None:
    """Ask for access. Nothing is opened until another administrator confirms it."""
    asked = admin().call("breakglass.request", mailbox=mailbox, reason=reason, hours=hours)
    output.done(f"asked; another administrator confirms it by: mailgate breakglass confirm {asked['id']}")


@app.command("confirm")
def confirm(id: Id, tenant: Tenant = "") -> None:
    """Open the mailbox to the administrator who asked. Those who use it are told."""
    asked = admin().call("breakglass.confirm", tenant=tenant, id=id)
    until = output.moment(asked["expires_at"])
    output.done(f"{asked['mailbox']} is open to {asked['requested_by']} until {until}; its users were told")


@app.command("end")
def end(id: Id, tenant: Tenant = "") -> None:
    """End it before its time, or take a request back."""
    output.done(f"{admin().call('breakglass.end', tenant=tenant, id=id)['id']} has ended")


@app.command("list")
def list_(tenant: Tenant = "", as_json: AsJson = False) -> None:
    """List all that was asked for, the newest first; to a user, what concerns the own mailboxes."""
    asked = admin().call("breakglass.list", tenant=tenant)
    if as_json:
        output.emit_json(asked)
        return
    output.table(COLUMNS, [_cells(each) for each in asked])


def _cells(asked: dict[str, Any]) -> tuple[object, ...]:
    return (
        asked["id"],
        asked["mailbox"],
        asked["state"],
        asked["requested_by"],
        asked["confirmed_by"],
        output.moment(asked["expires_at"]),
        asked["reason"],
    )
