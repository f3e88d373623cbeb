"""`mailgate directory ...`: all people and mailboxes of a tenant as a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mailgate.cli import output
from mailgate.cli.connection import admin
from mailgate.model.errors import UserError

app = typer.Typer(help="All users, groups, mailboxes and aliases of a tenant as a file.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The tenant's name.")]
_STYLES = {"+": "green", "-": "red", "~": "yellow"}


@app.command("export")
def export(tenant: Tenant) -> None:
    """Print the file that `mailgate directory apply` takes. It holds no passwords."""
    sys.stdout.write(admin().call("directory.export", tenant=tenant))


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="As `mailgate directory export` writes it.")],
    tenant: Tenant,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the tenant's users, groups, mailboxes and aliases equal to the file; what is not in it goes.

    All of it or nothing. A mailbox that holds mail is not deleted: it is switched off and assigned to nobody."""
    text, source = _read(file), str(file)
    found = admin().call("directory.compare", tenant=tenant, text=text, source=source)
    is_asked = not (dry_run or yes)
    if not as_json or is_asked:
        _show(found)
    if found["changes"] and not dry_run:
        if is_asked:
            _confirm(tenant)
        found = admin().call("directory.apply", tenant=tenant, text=text, source=source, plan=found["plan"])
        if not as_json:
            output.done(f"{len(found['changes'])} changes made to tenant {tenant}")
            for login in found["without_password"]:
                output.say(f"{login} can't log in yet: mailgate user passwd {login}")
    if as_json:
        output.emit_json({"changes": found["changes"], "is_done": not dry_run})


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{file}:{line}: is not UTF-8; save the file as UTF-8 text") from None


def _show(found: dict[str, Any]) -> None:
    for change in found["changes"]:
        facts = f": {', '.join(change['facts'])}" if change["facts"] else ""
        output.say(f"{change['sign']} {change['kind']} {change['name']}{facts}", _STYLES[change["sign"]])
    if not found["changes"]:
        output.say("nothing to do: the tenant is as the file says")


def _confirm(tenant: str) -> None:
    if not sys.stdin.isatty():
        raise UserError("no terminal to ask whether to go on: give --yes, or --dry-run to look only")
    typer.confirm(f"Make these changes to tenant {tenant}?", abort=True)
