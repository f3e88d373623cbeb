"""`mailgate reload`: the running gateway reads its policies and certificates again."""

from __future__ import annotations

import contextlib
import os
import signal

import typer

from mailgate import settings
from mailgate.cli.connection import admin, is_running
from mailgate.cli.output import done, fail
from mailgate.cli.policy import warn_of_strangers
from mailgate.model.errors import UnavailableError, UserError
from mailgate.ops import layout, tls
from mailgate.policy import loader
from mailgate.settings import Settings


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
    with contextlib.suppress(UserError):  # the files may have changed since
        warn_of_strangers(None, loader.load(current.policy_dir, current.message_size_limit))
    done(f"policy {version} is in force")
    if why := _certificates(current):
        fail(f"certificates were not read again: {why}")
        raise typer.Exit(1)
    done("certificates are read again")


def _certificates(current: Settings) -> str:
    """Has the gateway read them again; empty, or why it does not. What is wrong with them it says in its log only, so
    it is found out here."""
    holder = layout.holder(current.data_dir)
    if not holder:
        return "the process of the gateway is not known here; give the command where it runs"
    try:
        if current.tls_cert is not None:
            tls.certificate(current)
        os.kill(holder, signal.SIGHUP)
    except UserError as error:
        return f"{error}. The ones before stay"
    except OSError as error:
        return f"process {holder}: {error.strerror}; give the command as its account or as root"
    return ""
