"""`mailgate reload`: the running gateway reads its policies and certificates again."""

from __future__ import annotations

import os
import signal

import typer

from mailgate import settings
from mailgate.cli.connection import admin, is_running
from mailgate.cli.output import done, fail
from mailgate.model.errors import UnavailableError, UserError
from mailgate.ops import layout


def run() -> None:
    """Publish the policy folder's present content; where it has errors, they are listed and the last good one stays."""
    current = settings.load()
    if not is_running(current):
        raise UnavailableError(f"no gateway runs on {current.data_dir}; it reads everything when it starts")
    try:
        version = admin(current).call("policy.reload")
    except UserError as error:  # the answer is no, as it is for `mailgate policy check`
        fail(str(error))
        raise typer.Exit(1) from None
    holder = layout.holder(current.data_dir)
    if holder:
        os.kill(holder, signal.SIGHUP)
    done(f"policy {version} is in force; certificates are read again")
