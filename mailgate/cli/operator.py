"""`mailgate operator ...`: who looks after the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailgate.cli import output
from mailgate.cli.choosing import AsJson
from mailgate.cli.connection import admin
from mailgate.model.errors import UserError

app = typer.Typer(
    help="Operators of the gateway. Once there is one, the admin socket takes commands from nobody without a login.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="What the audit log calls the operator.")]


@app.command("add")
def add(
    name: Name,
    key: Annotated[str, typer.Option(help="The Ed25519 public key: a file, or the line `ssh-ed25519 ...` itself.")],
) -> None:
    """Let somebody in by key."""
    added = admin().call("operator.add", name=name, key=key if key.startswith("ssh-") else _read(Path(key)))
    output.done(f"operator {added['name']} added ({added['key']})")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the operators and their keys' fingerprints."""
    operators = admin().call("operator.list")
    if as_json:
        output.emit_json(operators)
        return
    rows = [(each["name"], each["key"], output.moment(each["created_at"])) for each in operators]
    output.table(("operator", "key", "since"), rows)


@app.command("remove")
def remove(name: Name) -> None:
    """Let somebody in no more."""
    left = admin().call("operator.remove", name=name)["left"]
    output.done(f"operator {name} removed")
    if not left:
        output.hint("that was the last one: whoever may open the admin socket is the operator again")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or 'not a public key'}") from None
