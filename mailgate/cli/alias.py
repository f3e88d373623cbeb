"""`mailgate alias ...`: further addresses of mailboxes."""

from __future__ import annotations

from typing import Annotated

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin

app = typer.Typer(help="Further addresses that lead to mailboxes.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="The tenant's name.")]
Address = Annotated[str, typer.Argument(help="The alias, for example info@acme.example.")]


@app.command("add")
def add(
    tenant: Tenant,
    address: Address,
    mailbox: Annotated[list[str], typer.Argument(help="The mailboxes that it leads to, by an address of theirs.")],
) -> None:
    """Add an address that leads to one or more mailboxes of the tenant."""
    alias = admin().call("alias.add", tenant=tenant, address=address, targets=mailbox)
    output.done(f"alias {alias['address']} added; it leads to {', '.join(alias['mailboxes'])}")


@app.command("list")
def list_(tenant: Tenant, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the aliases of a tenant."""
    aliases = admin().call("alias.list", tenant=tenant)
    if as_json:
        output.emit_json(aliases)
        return
    output.table(("alias", "mailboxes"), [(a["address"], " ".join(a["mailboxes"])) for a in aliases])


@app.command("remove")
def remove(address: Address) -> None:
    """Remove an alias. Mail in the mailboxes stays."""
    output.done(f"alias {admin().call('alias.remove', address=address)} removed")
