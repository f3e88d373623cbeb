"""All commands by name: those on mail, and those on tenants and what is theirs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mailgate.policy.snapshot import Snapshot
from mailgate.store.commands.on_directory import (
    audit,
    break_glass,
    dkim_keys,
    groups,
    importing,
    mailboxes,
    operators,
    people,
    roster,
    tenants,
)
from mailgate.store.commands.on_directory.break_glass import Tell, nobody_to_tell
from mailgate.store.commands.on_directory.people import PeopleDesk
from mailgate.store.commands.on_spool import (
    clock,
    dmarc,
    erasing,
    inspection,
    offboarding,
    policies,
    quarantine,
    queue,
    timelines,
    transport,
)
from mailgate.store.commands.on_spool.desk import Desk
from mailgate.tenancy.directory import Directory

_ON_SPOOL: dict[str, Callable[..., Any]] = {
    **queue.COMMANDS,
    **quarantine.COMMANDS,
    **timelines.COMMANDS,
    **policies.COMMANDS,
    **inspection.COMMANDS,
    **dmarc.COMMANDS,
    **transport.COMMANDS,
    **offboarding.COMMANDS,
    **erasing.COMMANDS,
    **clock.COMMANDS,
}
ON_SPOOL = frozenset(_ON_SPOOL)


def on_spool(desk: Desk) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError, NotFoundError, ConflictError and
    UnavailableError."""
    return {name: partial(command, desk) for name, command in _ON_SPOOL.items()}


def on_directory(
    directory: Directory, policy: Callable[[], Snapshot], tell: Tell = nobody_to_tell
) -> dict[str, Callable[..., Any]]:
    """The same on tenants and what is theirs. `tell` puts a notice into a mailbox."""
    desk = PeopleDesk(directory, lambda tenant: policy().for_tenant(tenant).passwords)
    on_people = people.handlers(desk) | importing.handlers(desk) | groups.handlers(directory)
    on_mail = mailboxes.handlers(directory) | dkim_keys.handlers(directory)
    days = lambda tenant: policy().for_tenant(tenant).mailboxes.confirmer_days  # noqa: E731
    on_access = break_glass.handlers(directory, days, tell) | operators.handlers(directory)
    on_tenants = tenants.handlers(directory) | roster.handlers(directory)
    return on_tenants | on_people | on_mail | on_access | audit.handlers(directory)
