"""How commands are run: by the service for what comes through the admin socket, or alone where no gateway runs."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

from mailgate.model.errors import UserError
from mailgate.policy.snapshot import Snapshot
from mailgate.settings import Settings
from mailgate.store import admin_groups, admin_mailboxes, admin_tenancy, dkim_keys, spool_commands
from mailgate.store.desk import Desk
from mailgate.store.opening import open_spool
from mailgate.store.policies import Policies
from mailgate.tenancy.directory import Directory


def run(handler: Callable[..., Any], command: str, arguments: dict[str, Any]) -> Any:
    """UserError where the arguments don't fit the command."""
    try:
        inspect.signature(handler).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{command}: {error}") from error
    return handler(**arguments)


def run_alone(settings: Settings, command: str, arguments: dict[str, Any]) -> Any:
    """Without a gateway: the caller holds the lock of the data directory. UserError for an unknown command."""
    if command in spool_commands.NAMES:
        return _run_on_spool(settings, command, arguments)
    directory = open_directory(settings, time.time)
    try:
        handler = on_directory(directory).get(command)
        if handler is None:
            raise UserError(f"there is no command {command!r}")
        return run(handler, command, arguments)
    finally:
        directory.close()


def on_directory(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> handler, of all commands on tenants and what is theirs."""
    on_people = admin_tenancy.handlers(directory) | admin_groups.handlers(directory)
    return on_people | admin_mailboxes.handlers(directory) | dkim_keys.handlers(directory)


def open_directory(settings: Settings, clock: Callable[[], float]) -> Directory:
    return Directory(settings.data_dir, clock, settings.master_key_file, settings.hostname)


def _run_on_spool(settings: Settings, command: str, arguments: dict[str, Any]) -> Any:
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
            write=spool.write,
            listing=spool.listing,
            contents=spool.contents,
            clock=time.time,
            wake=lambda: None,
            policy=lambda: policies().current,
            reload=reload,
        )
        return run(spool_commands.handlers(desk)[command], command, arguments)
    finally:
        spool.close()
