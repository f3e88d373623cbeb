"""`mailgate mailbox ...`: mailboxes and who may use them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from pydantic_core import PydanticCustomError

from mailgate.cli import output
from mailgate.cli.connection import admin
from mailgate.model.errors import UserError
from mailgate.policy.values import format_size, parse_size

app = typer.Typer(help="Mailboxes and the users that they are assigned to.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="The tenant's name.")]
Address = Annotated[str, typer.Argument(help="An address that leads to the mailbox, for example team@acme.example.")]
User = Annotated[str, typer.Argument(help="The user's login name.")]
Group = Annotated[str, typer.Option(help="A group, instead of a user.")]
RIGHTS = "A list of read, write, delete, send-as, administer; or letters of RFC 4314."


@app.command("add")
def add(
    tenant: Tenant,
    address: Address,
    user: Annotated[list[str] | None, typer.Option(help="A user to assign it to; may be repeated.")] = None,
) -> None:
    """Add a shared mailbox (a personal one comes with `mailgate user add`)."""
    mailbox = admin().call("mailbox.add", tenant=tenant, address=address, users=user or [])
    output.done(f"mailbox {mailbox['address']} added to tenant {tenant}, {_assigned(mailbox)}")


@app.command("list")
def list_(tenant: Tenant, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the mailboxes of a tenant."""
    mailboxes = admin().call("mailbox.list", tenant=tenant)
    if as_json:
        output.emit_json(mailboxes)
        return
    rows = [(m["address"], m["kind"], m["state"], _held(m), " ".join(m["addresses"])) for m in mailboxes]
    output.table(("mailbox", "kind", "state", "assigned to", "addresses"), rows)


@app.command("show")
def show(address: Address, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show a mailbox, its addresses, and who may do what in it."""
    mailbox = admin().call("mailbox.show", mailbox=address)
    if as_json:
        output.emit_json(mailbox)
        return
    facts = ("address", "kind", "state", "path")
    rows = [(name, mailbox[name]) for name in facts if mailbox[name] is not None]
    rows += [("quota", _quota(mailbox["quota"])), ("usage", f"{mailbox['usage']} bytes")]
    output.table(("mailbox", ""), rows)
    output.table(("addresses",), [(each,) for each in mailbox["addresses"]])
    _show_rights(mailbox)


@app.command("path")
def path(address: Address) -> None:
    """Print the folder of the mailbox (Maildir), and nothing else."""
    sys.stdout.write(f"{admin().call('mailbox.path', mailbox=address)}\n")


@app.command("assign")
def assign(
    address: Address, user: User = "", group: Group = "", rights: Annotated[str, typer.Option(help=RIGHTS)] = ""
) -> None:
    """Let a user or a group read the mailbox and send from its addresses, or what --rights says."""
    mailbox = admin().call("mailbox.assign", mailbox=address, user=user, group=group, rights=rights)
    output.done(f"mailbox {mailbox['address']} is {_assigned(mailbox)}")


@app.command("unassign")
def unassign(address: Address, user: User = "", group: Group = "") -> None:
    """Take the mailbox away from a user or a group. Assigned to nobody it goes on taking mail, and nobody reads it."""
    mailbox = admin().call("mailbox.unassign", mailbox=address, user=user, group=group)
    output.done(f"mailbox {mailbox['address']} is {_assigned(mailbox)}")


@app.command("rights")
def rights(
    address: Address,
    granted: Annotated[str, typer.Option("--set", metavar="RIGHTS", help=RIGHTS)] = "",
    user: User = "",
    group: Group = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who may do what in the mailbox, or change the rights of one user or group."""
    if bool(user or group) != bool(granted):
        raise UserError("to change rights, name a user (or --group NAME) and give --set RIGHTS")
    if granted:
        mailbox = admin().call("mailbox.rights", mailbox=address, user=user, group=group, rights=granted)
    else:
        mailbox = admin().call("mailbox.show", mailbox=address)
    if as_json:
        output.emit_json(mailbox["assignments"])
        return
    _show_rights(mailbox)


@app.command("quota")
def quota(
    address: Address,
    size: Annotated[str, typer.Argument(help='A size such as "5 GiB", "none", or "policy" for what the policy says.')],
) -> None:
    """Set how much the mailbox may hold. While it is full, senders are told so, as `[mailboxes]` in the policy says."""
    try:
        wanted = {"none": 0, "policy": None}[size] if size in ("none", "policy") else parse_size(size)
    except PydanticCustomError as error:
        raise UserError(f"quota {size!r} {error.message()}") from None
    mailbox = admin().call("mailbox.quota", mailbox=address, quota=wanted)
    output.done(f"mailbox {mailbox['address']}: quota {_quota(mailbox['quota'])}, {mailbox['usage']} bytes in use")


@app.command("disable")
def disable(address: Address) -> None:
    """Refuse new mail for the mailbox (550 5.2.1). What lies in it stays."""
    output.done(f"mailbox {admin().call('mailbox.disable', mailbox=address)} disabled: new mail is refused")


@app.command("enable")
def enable(address: Address) -> None:
    """Take new mail for the mailbox again."""
    output.done(f"mailbox {admin().call('mailbox.enable', mailbox=address)} enabled")


@app.command("remove")
def remove(
    address: Address,
    with_mail: Annotated[
        bool, typer.Option("--with-mail", help="Delete the mail in it for good; by operators.")
    ] = False,
    confirm: Annotated[str, typer.Option(help="The address once more, instead of being asked for it.")] = "",
) -> None:
    """Forget a mailbox and its addresses; refused while there is mail in it, unless --with-mail is given.

    With it the mailbox must be switched off before, and no mail may be on its way to it. The audit log keeps how much
    was deleted."""
    if not with_mail:
        output.done(f"mailbox {admin().call('mailbox.remove', mailbox=address)} removed")
        return
    found = admin().call("mailbox.show", mailbox=address)
    warning = f"All mail of {found['address']}, {format_size(found['usage'])}, will be deleted"
    output.ask_again(warning, "address", found["address"], confirm)
    erased = admin().call("mailbox.erase", mailbox=found["address"])
    size = format_size(erased["bytes"])
    output.done(f"mailbox {erased['address']} removed, with {erased['messages']} messages ({size})")


def _quota(quota: int | None) -> str:
    return "of the policy" if quota is None else format_size(quota) if quota else "none"


def _assigned(mailbox: dict[str, Any]) -> str:
    return f"assigned to {_held(mailbox) or 'nobody'}"


def _held(mailbox: dict[str, Any]) -> str:
    return ", ".join([*mailbox["users"], *(f"group {name}" for name in mailbox["groups"])])


def _show_rights(mailbox: dict[str, Any]) -> None:
    rows = [
        (held["user"] if "user" in held else f"group {held['group']}", " ".join(held["rights"]), held["letters"])
        for held in mailbox["assignments"]
    ]
    output.table(("assigned to", "rights", "letters"), rows)
