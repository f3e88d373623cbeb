"""`mailgate user ...`: the people of a tenant."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin
from mailgate.model.errors import UserError

app = typer.Typer(help="Users: who can log in.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="The tenant's name.")]
Login = Annotated[str, typer.Argument(help="The login name, for example bob@acme.example.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]


@app.command("add")
def add(tenant: Tenant, login: Login, password_stdin: PasswordStdin = False) -> None:
    """Add a user, with a personal mailbox whose address is the login name."""
    user = admin().call("user.add", tenant=tenant, login=login, password=_password(password_stdin))
    output.done(f"user {user['login']} added to tenant {tenant}, with a mailbox of the same address")


@app.command("list")
def list_(tenant: Tenant, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the users of a tenant."""
    users = admin().call("user.list", tenant=tenant)
    if as_json:
        output.emit_json(users)
        return
    columns = ("login", "state", "role", "groups", "mailboxes", "password since")
    output.table(columns, [_cells(user) for user in users])


def _cells(user: dict[str, Any]) -> tuple[str, ...]:
    names = (" ".join(user["groups"]), " ".join(user["mailboxes"]))
    return (user["login"], user["state"], user["role"], *names, output.moment(user["password_changed_at"]))


@app.command("passwd")
def passwd(login: Login, password_stdin: PasswordStdin = False) -> None:
    """Set a new password."""
    found = admin().call("user.passwd", login=login, password=_password(password_stdin))
    output.done(f"password of {found} changed")


@app.command("disable")
def disable(login: Login) -> None:
    """Refuse logins of the user. Mail for the mailbox still arrives; see: mailgate mailbox disable."""
    output.done(f"user {admin().call('user.disable', login=login)} disabled: no login; mail still arrives")


@app.command("enable")
def enable(login: Login) -> None:
    """Take logins again of a user who is disabled or locked."""
    output.done(f"user {admin().call('user.enable', login=login)} enabled")


@app.command("unlock")
def unlock(login: Login) -> None:
    """Let a user try again at once who failed to log in too often."""
    output.done(f"user {admin().call('user.unlock', login=login)} may log in again")


@app.command("logins")
def logins(
    login: Login,
    limit: Annotated[int, typer.Option(help="How many lines.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List when, how and from where somebody logged in as the user, or tried; the latest first."""
    lines = admin().call("user.logins", login=login, limit=limit)
    if as_json:
        output.emit_json(lines)
        return
    columns = ("last", "protocol", "address", "result", "app password", "times", "since")
    names = ("protocol", "address", "result", "app_password", "times")
    rows = [
        (output.moment(line["last_at"]), *(line[name] for name in names), output.moment(line["first_at"]))
        for line in lines
    ]
    output.table(columns, rows)


@app.command("role")
def role(login: Login, role: Annotated[str, typer.Argument(help="user or administrator.")]) -> None:
    """Make a user an administrator of the own tenant, or an ordinary user again."""
    output.done(f"{admin().call('user.role', login=login, role=role)} has the role {role} now")


@app.command("remove")
def remove(login: Login) -> None:
    """Remove a user. The mailboxes stay with all their mail; those that nobody else uses are switched off."""
    removed = admin().call("user.remove", login=login)
    output.done(f"user {removed['login']} removed")
    for address in removed["kept"]:
        output.say(
            f"mailbox {address} is kept with its mail and takes no new mail; "
            f"`mailgate mailbox assign {address} USER` gives it to somebody, `mailgate mailbox enable {address}` "
            f"takes mail again, `mailgate mailbox remove {address}` frees the address once it is empty"
        )


@app.command("release")
def release(login: Login) -> None:
    """Deliver what is held since the user sent unusually much, and hold no more."""
    output.done(f"mail of {admin().call('user.release', login=login)} is held no more, and what was held goes on")


@app.command("leave")
def leave(
    login: Login,
    successor: Annotated[str, typer.Option(help="Who gets the personal mailbox.")] = "",
) -> None:
    """End all that somebody who leaves could use: sessions, password, app passwords, groups, role and mailboxes."""
    left = admin().call("user.leave", login=login, successor=successor)
    output.done(
        f"user {left['login']} has left: {_count(len(left['mailboxes']), 'mailbox', 'mailboxes')}, "
        f"{_count(len(left['groups']), 'group', 'groups')} and "
        f"{_count(left['app_passwords'], 'app password', 'app passwords')} are theirs no more, open sessions end"
    )
    for address in left["passed_on"]:
        output.say(f"mailbox {address} is assigned to {successor} now")
    for address in left["switched_off"]:
        output.say(
            f"mailbox {address} is kept, takes no new mail and is read by nobody; "
            f"`mailgate mailbox assign {address} USER` gives it to somebody, `mailgate mailbox enable {address}` "
            "takes mail again"
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _password(from_stdin: bool) -> str:
    if from_stdin:
        try:
            return sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            raise UserError("the password on stdin is not valid UTF-8") from None
    if not sys.stdin.isatty():
        raise UserError("no terminal to ask for the password: give it on stdin with --password-stdin")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
