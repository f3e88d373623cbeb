"""The `mailgate` command: gathers one file a command group, and maps errors to exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import mailgate
from mailgate.cli import (
    alias,
    app_password,
    audit,
    breakglass,
    clock,
    connection,
    directory,
    dkim,
    dmarc,
    dns,
    doctor,
    group,
    inspection,
    mailbox,
    operator,
    policy,
    quarantine,
    queue,
    reload,
    scan,
    serve,
    tenant,
    trace,
    transport,
    user,
    user_import,
)
from mailgate.cli.output import fail, hint
from mailgate.model.errors import ConflictError, MailgateError, NotFoundError, UserError
from mailgate.policy.problems import PolicyErrors
from mailgate.settings import CONFIG_FILE, ignored_config

app = typer.Typer(
    name="mailgate",
    help="A mail gateway that scans every attachment, and keeps evidence of what it did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # texts name tables of the policy, [like_this], which markup would swallow
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _command in (serve, reload, doctor, scan, trace):
    app.command(name=_command.__name__.rpartition(".")[2])(_command.run)
_ON_PEOPLE = (tenant, directory, user, group, mailbox, alias, breakglass, operator, audit)
_ON_MAIL = (queue, quarantine, inspection, policy, dkim, dmarc, transport, dns, clock)
for _group in (*_ON_PEOPLE, *_ON_MAIL):
    app.add_typer(_group.app, name=_group.__name__.rpartition(".")[2])

app.add_typer(app_password.app, name="apppassword")
user.app.command("import")(user_import.run)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mailgate {mailgate.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    login: Annotated[
        str, typer.Option("--as", metavar="LOGIN", help="Give the command as this user, with the user's password.")
    ] = "",
    operator_key: Annotated[
        Path | None, typer.Option(help="Give it as the operator whose Ed25519 private key this is.")
    ] = None,
) -> None:
    """Settings come from MAILGATE_* in the environment, then from the file that MAILGATE_CONFIG names, or
    /etc/mailgate/mailgate.toml."""
    if ignored := ignored_config():
        hint(f"{ignored} is not read: name it in MAILGATE_CONFIG, or move it to {CONFIG_FILE}")
    connection.act_as(login)
    if operator_key is not None:
        os.environ["MAILGATE_OPERATOR_KEY"] = str(operator_key)


def exit_code(error: MailgateError) -> int:
    """The one place that says how a command ends."""
    if isinstance(error, NotFoundError | ConflictError | PolicyErrors):
        return 1
    return 2 if isinstance(error, UserError) else 3


def run() -> None:
    """The console script: errors of the gateway's own become one message and an exit code."""
    try:
        app()
    except MailgateError as error:
        fail(str(error))
        sys.exit(exit_code(error))
