"""Runs a command where no gateway runs."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

from mailgate.policy import loader
from mailgate.policy.effective import GATEWAY_FILE
from mailgate.policy.schema import GatewayPolicy, built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.settings import Settings
from mailgate.store.commands import catalogue, permissions
from mailgate.store.commands.callers import by_account
from mailgate.store.commands.on_spool.desk import Desk
from mailgate.store.commands.running import run
from mailgate.store.keeping.opening import open_directory, open_spool
from mailgate.store.keeping.reading import Reading
from mailgate.store.policies import Policies
from mailgate.tenancy.acting import Caller
from mailgate.tenancy.directory import Directory


def run_alone(settings: Settings, command: str, arguments: dict[str, Any]) -> Any:
    """Without a gateway: the caller holds the lock of the data directory, and is the operator.
    UserError for an unknown command."""
    caller = by_account(os.getuid())  # root may work as the data's owner, and stays who gave the command
    directory = open_directory(settings, time.time)
    try:
        if command in catalogue.ON_SPOOL:
            return _run_on_spool(settings, directory, command, arguments, caller)
        handler = catalogue.on_directory(directory, partial(_policy_at_rest, settings)).get(command)
        if handler is None:
            raise permissions.unknown(command)
        return run(handler, command, arguments, caller)
    finally:
        directory.close()


def _policy_at_rest(settings: Settings) -> Snapshot:
    """Of the policy folder; what is built in where there is none yet, since tenants may be made before it."""
    size_limit = settings.message_size_limit
    if (settings.policy_dir / GATEWAY_FILE).exists():
        return loader.load(settings.policy_dir, size_limit)
    return Snapshot(built_in=built_in(size_limit), gateway=GatewayPolicy(), tenants={})


def _run_on_spool(
    settings: Settings, directory: Directory, command: str, arguments: dict[str, Any], caller: Caller
) -> Any:
    spool = open_spool(settings)
    now = time.time()

    def policies() -> Policies:
        return Policies(
            settings, lambda version, encoded: spool.write(lambda held: held.publish_policy(version, now, encoded))
        )

    def reload() -> Snapshot:
        return policies().reload()

    try:
        # nobody runs, so nobody holds a lease
        spool.write(lambda held: held.release_leases(now))
        desk = Desk(
            settings=settings,
            write=spool.write,
            listing=spool.listing,
            contents=spool.contents,
            reading=Reading(spool.listing, spool.contents, spool.write, time.time),
            clock=time.time,
            wake=lambda: None,
            policy=lambda: policies().current,
            reload=reload,
            note=directory.note_deed,
            ask=lambda question: question(directory),
        )
        return run(catalogue.on_spool(desk)[command], command, arguments, caller)
    finally:
        spool.close()
