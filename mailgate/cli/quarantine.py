"""`mailgate quarantine`: what a tenant's policy keeps for a person to decide on."""

from __future__ import annotations

from typing import Annotated

import typer

from mailgate.cli.connection import admin
from mailgate.cli.queue import AsJson, Id, Recipients, pages, show_message, show_rows, tell

app = typer.Typer(help="Messages in quarantine, always of one tenant.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The tenant that it belongs to.")]
Reason = Annotated[str, typer.Option(help="Kept in the timeline.")]


@app.command("list")
def list_(tenant: Tenant, as_json: AsJson = False) -> None:
    """One line a quarantined recipient, oldest message first."""
    show_rows(pages(admin(), "quarantine.list", tenant=tenant), as_json)


@app.command("show")
def show(id: Id, tenant: Tenant, as_json: AsJson = False) -> None:
    """The envelope, the decision and the recipients of one message."""
    show_message(admin().call("quarantine.show", id=id, tenant=tenant), as_json)


@app.command("release")
def release(id: Id, tenant: Tenant, recipient: Recipients = None, reason: Reason = "") -> None:
    """Deliver it after all."""
    moved = admin().call("quarantine.release", id=id, tenant=tenant, recipients=recipient or [], reason=reason)
    tell("released", moved)


@app.command("delete")
def delete(id: Id, tenant: Tenant, recipient: Recipients = None, reason: Reason = "") -> None:
    """Never deliver; the sender is not told."""
    moved = admin().call("quarantine.delete", id=id, tenant=tenant, recipients=recipient or [], reason=reason)
    tell("deleted", moved)
