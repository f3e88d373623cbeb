"""`mailgate group ...`: people who are given rights together."""

from __future__ import annotations

from typing import Annotated

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin

app = typer.Typer(help="Groups of users.", no_args_is_help=True)
member_app = typer.Typer(help="The members of a group.", no_args_is_help=True)
app.add_typer(member_app, name="member")

Tenant = Annotated[str, typer.Argument(help="The tenant's name.")]
Name = Annotated[str, typer.Argument(help="The group's name, for example accounts.")]
User = Annotated[str, typer.Argument(help="The user's login name.")]


@app.command("add")
def add(
    tenant: Tenant,
    name: Name,
    user: Annotated[list[str] | None, typer.Option(help="A member; may be repeated.")] = None,
) -> None:
    """Add a group."""
    group = admin().call("group.add", tenant=tenant, name=name, users=user or [])
    output.done(f"group {group['name']} added to tenant {tenant} ({_members(group['members'])})")


@app.command("list")
def list_(tenant: Tenant, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the groups of a tenant with their members."""
    groups = admin().call("group.list", tenant=tenant)
    if as_json:
        output.emit_json(groups)
        return
    rows = [(group["name"], " ".join(group["members"]), output.moment(group["created_at"])) for group in groups]
    output.table(("group", "members", "created"), rows)


@app.command("remove")
def remove(tenant: Tenant, name: Name) -> None:
    """Remove a group; its members lose what they were allowed through it."""
    output.done(f"group {admin().call('group.remove', tenant=tenant, name=name)} removed")


@member_app.command("add")
def add_member(tenant: Tenant, name: Name, user: User) -> None:
    """Make a user a member."""
    group = admin().call("group.member.add", tenant=tenant, name=name, user=user)
    output.done(f"group {group['name']}: {_members(group['members'])}")


@member_app.command("remove")
def remove_member(tenant: Tenant, name: Name, user: User) -> None:
    """Take a user out of a group."""
    group = admin().call("group.member.remove", tenant=tenant, name=name, user=user)
    output.done(f"group {group['name']}: {_members(group['members'])}")


def _members(logins: list[str]) -> str:
    return ", ".join(logins) or "no members"
