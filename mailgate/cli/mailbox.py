"""`mailgate mailbox ...`: mailboxes and who may use them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin
from mailgate.model.errors import UserError

app = typer.Typer(help="Mailboxes and the users that they are assigned to.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="The tenant's name.")]
Address = Annotated[str, typer.Argument(help="An address that leads to the mailbox, for example team@acme.example.")]
User = Annotated[str, typer.Argument(help="The user's login name.")]
RIGHTS = "A list of read, write, delete, send-as, administer; or letters of RFC 4314."


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


@app.command("show")
def show(address: Address, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show a mailbox, its addresses, and who may do what in it."""
    mailbox = admin().call("mailbox.show", mailbox=address)
    if as_json:
        output.emit_json(mailbox)
        return
    facts = ("address", "kind", "state", "path")
    output.table(("mailbox", ""), [(name, mailbox[name]) for name in facts])
    output.table(("addresses",), [(each,) for each in mailbox["addresses"]])
    _show_rights(mailbox)


@app.command("path")
def path(address: Address) -> None:
    """Print the folder of the mailbox (Maildir), and nothing else."""
    sys.stdout.write(f"{admin().call('mailbox.path', mailbox=address)}\n")


@app.command("assign")
def assign(address: Address, user: User, rights: Annotated[str, typer.Option(help=RIGHTS)] = "") -> None:
    """Let a user read the mailbox and send from its addresses, or what --rights says."""
    mailbox = admin().call("mailbox.assign", mailbox=address, user=user, rights=rights)
    output.done(f"mailbox {mailbox['address']} is {_assigned(mailbox['users'])}")


@app.command("unassign")
def unassign(address: Address, user: User) -> None:
    """Take the mailbox away from a user. Without any user it goes on taking mail, and nobody reads it."""
    mailbox = admin().call("mailbox.unassign", mailbox=address, user=user)
    output.done(f"mailbox {mailbox['address']} is {_assigned(mailbox['users'])}")


@app.command("rights")
def rights(
    address: Address,
    user: Annotated[str, typer.Argument(help="The user whose rights change; without one all are shown.")] = "",
    granted: Annotated[str, typer.Argument(metavar="[RIGHTS]", help=RIGHTS)] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who may do what in the mailbox, or change the rights of one user."""
    if user and not granted:
        raise UserError(f"say which rights {user} is to have: {RIGHTS}")
    if user:
        mailbox = admin().call("mailbox.rights", mailbox=address, user=user, rights=granted)
    else:
        mailbox = admin().call("mailbox.show", mailbox=address)
    if as_json:
        output.emit_json(mailbox["assignments"])
        return
    _show_rights(mailbox)


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


def _show_rights(mailbox: dict[str, Any]) -> None:
    rows = [(held["user"], " ".join(held["rights"]), held["letters"]) for held in mailbox["assignments"]]
    output.table(("user", "rights", "letters"), rows)
