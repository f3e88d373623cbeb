"""`mailgate apppassword ...`: passwords for single mail programs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin

app = typer.Typer(help="App passwords: one for each mail program.", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="The user's login name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("add")
def add(
    login: Login,
    name: Annotated[str, typer.Option(help="Where it is used, for example 'phone'.")],
    scope: Annotated[list[str] | None, typer.Option(help="imap or smtp; may be repeated. Both if not given.")] = None,
    days: Annotated[int | None, typer.Option(help="Days until it expires; never if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an app password and show it, this once."""
    made = admin().call("apppassword.add", login=login, name=name, scopes=scope or ["imap", "smtp"], days=days)
    if as_json:
        output.emit_json(made)
        return
    output.done(f"app password {made['id']} for {login} made: {' and '.join(made['scopes'])}, {_end(made)}")
    output.say(made["password"])
    output.hint("it is not shown again; spaces, dashes and capitals make no difference")


@app.command("list")
def list_(login: Login, as_json: AsJson = False) -> None:
    """List a user's app passwords, without the passwords."""
    found = admin().call("apppassword.list", login=login)
    if as_json:
        output.emit_json(found)
        return
    rows = [
        (each["id"], each["name"], " ".join(each["scopes"]), _end(each), output.moment(each["last_used_at"]))
        for each in found
    ]
    output.table(("id", "name", "scope", "ends", "last used"), rows)


@app.command("revoke")
def revoke(login: Login, id: Annotated[str, typer.Argument(help="As `mailgate apppassword list` shows it.")]) -> None:
    """Take an app password back; sessions that it opened end."""
    revoked = admin().call("apppassword.revoke", login=login, id=id)
    output.done(f"app password {revoked['name']!r} of {login} revoked")


def _end(facts: dict[str, Any]) -> str:
    return "never expires" if facts["expires_at"] is None else f"until {output.moment(facts['expires_at'])}"
