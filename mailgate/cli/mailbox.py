"""`mailgate mailbox ...`: mailboxes and who may use them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin

app = typer.Typer(help="Mailboxes and the users that they are assigned to.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="The tenant's name.")]
Address = Annotated[str, typer.Argument(help="An address that leads to the mailbox, for example team@acme.example.")]
User = Annotated[str, typer.Argument(help="The user's login name.")]


@app.command("add")
def add(
    tenant: Tenant,
    address: Address,
    user: Annotated[list[str] | None, typer.Option(help="A user to assign it to; may be repeated.")] = None,
) -> None:
    """Add a shared mailbox (a personal one comes with `mailgate user add`)."""
    mailbox = admin().call("mailbox.add", tenant=tenant, address=address, users=user or [])
    output.done(f"mailbox {mailbox['address']} added to tenant {tenant}, {_assigned(mailbox['users'])}")


@app.command("list")
def list_(tenant: Tenant, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the mailboxes of a tenant."""
    mailboxes = admin().call("mailbox.list", tenant=tenant)
    if as_json:
        output.emit_json(mailboxes)
        return
    rows = [(m["address"], m["kind"], m["state"], " ".join(m["users"]), " ".join(m["addresses"])) for m in mailboxes]
    output.table(("mailbox", "kind", "state", "users", "addresses"), rows)


@app.command("path")
def path(address: Address) -> None:
    """Print the folder of the mailbox (Maildir), and nothing else."""
    sys.stdout.write(f"{admin().call('mailbox.path', mailbox=address)}\n")


@app.command("assign")
def assign(address: Address, user: User) -> None:
    """Let a user read the mailbox and send from its addresses."""
    mailbox = admin().call("mailbox.assign", mailbox=address, user=user)
    output.done(f"mailbox {mailbox['address']} is {_assigned(mailbox['users'])}")


@app.command("unassign")
def unassign(address: Address, user: User) -> None:
    """Take the mailbox away from a user. Without any user it goes on taking mail, and nobody reads it."""
    mailbox = admin().call("mailbox.unassign", mailbox=address, user=user)
    output.done(f"mailbox {mailbox['address']} is {_assigned(mailbox['users'])}")


@app.command("disable")
def disable(address: Address) -> None:
    """Refuse new mail for the mailbox (550 5.2.1). What lies in it stays."""
    output.done(f"mailbox {admin().call('mailbox.disable', mailbox=address)} disabled: new mail is refused")


@app.command("enable")
def enable(address: Address) -> None:
    """Take new mail for the mailbox again."""
    output.done(f"mailbox {admin().call('mailbox.enable', mailbox=address)} enabled")


@app.command("remove")
def remove(address: Address) -> None:
    """Forget an empty mailbox and its addresses; refused while there is mail in it."""
    output.done(f"mailbox {admin().call('mailbox.remove', mailbox=address)} removed")


def _assigned(users: list[str]) -> str:
    return f"assigned to {', '.join(users)}" if users else "assigned to nobody"
