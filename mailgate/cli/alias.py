"""`mailgate alias ...`: addresses that lead to mailboxes, to groups, to other addresses."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin

app = typer.Typer(
    help="Addresses that lead to mailboxes, groups, other addresses here, and people elsewhere.", no_args_is_help=True
)

Tenant = Annotated[str, typer.Argument(help="The tenant's name.")]
Address = Annotated[str, typer.Argument(help="The alias, for example info@acme.example.")]
Targets = Annotated[list[str] | None, typer.Argument(help="Mailboxes and other aliases of the tenant, by address.")]
Groups = Annotated[list[str] | None, typer.Option("--group", help="A group: every member's own mailbox.")]
Forwards = Annotated[list[str] | None, typer.Option("--forward", help="An address elsewhere.")]


@app.command("add")
def add(
    tenant: Tenant,
    address: Annotated[str, typer.Argument(help="The alias; @acme.example for all others of the domain.")],
    targets: Targets = None,
    group: Groups = None,
    forward: Forwards = None,
) -> None:
    """Add an address that leads to mailboxes, groups, other addresses of the tenant, or people elsewhere."""
    leads = {"targets": targets or [], "groups": group or [], "forwards": forward or []}
    alias = admin().call("alias.add", tenant=tenant, address=address, **leads)
    output.done(f"alias {alias['address']} added; it leads to {_leads(alias)}")


@app.command("extend")
def extend(address: Address, targets: Targets = None, group: Groups = None, forward: Forwards = None) -> None:
    """Lead an address further, also that of a mailbox, which keeps its mail."""
    _change("alias.extend", address, targets, group, forward)


@app.command("shrink")
def shrink(address: Address, targets: Targets = None, group: Groups = None, forward: Forwards = None) -> None:
    """Take some of what an address leads to away."""
    _change("alias.shrink", address, targets, group, forward)


@app.command("list")
def list_(tenant: Tenant, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the aliases of a tenant."""
    aliases = admin().call("alias.list", tenant=tenant)
    if as_json:
        output.emit_json(aliases)
        return
    output.table(("alias", "leads to"), [(alias["address"], _leads(alias)) for alias in aliases])


@app.command("remove")
def remove(address: Address) -> None:
    """Remove an alias. Mail in the mailboxes stays."""
    output.done(f"alias {admin().call('alias.remove', address=address)} removed")


def _change(
    command: str, address: str, targets: list[str] | None, groups: list[str] | None, forwards: list[str] | None
) -> None:
    leads = {"targets": targets or [], "groups": groups or [], "forwards": forwards or []}
    alias = admin().call(command, address=address, **leads)
    output.done(f"{alias['address']} leads to {_leads(alias)}")


def _leads(alias: dict[str, Any]) -> str:
    return ", ".join(alias["leads"]) or "nobody"
