"""The end of a tenant: mail on its way, then everything on disk, then the registry's rows.

In this order a crash leaves a tenant that is switched off, and the same command ends what is left of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mailgate.model.errors import ConflictError, UnavailableError
from mailgate.spool.queue import Forgotten, SpoolStore
from mailgate.store.commands.on_spool.desk import Desk, Json, scrub
from mailgate.tenancy.databases.folders import sync_folder
from mailgate.tenancy.registry import Tenant

STEP = 500


def _remove(desk: Desk, name: str) -> Json:
    """ConflictError while the tenant is active, or one of its messages is under an attempt."""
    tenant, folder = desk.ask(lambda directory: directory.life.leaving(name))
    messages = _forget_mail(desk, tenant)
    _remove_folder(folder)
    desk.ask(lambda directory: directory.life.remove(name, {"messages": messages}))
    messages += _forget_mail(desk, tenant)  # what was committed while the tenant was being switched off
    scrub(desk)
    return {"name": tenant.name, "domains": list(tenant.domains), "messages": messages}


def _forget_mail(desk: Desk, tenant: Tenant) -> int:
    messages = busy = 0
    after: int | None = 0
    while after is not None:
        step: Forgotten = desk.write(partial(_step, tenant, desk.clock(), after), partial(_clear, desk))
        messages, busy, after = messages + step.messages, busy + step.busy, step.last
    if busy:
        raise ConflictError(
            f"{busy} messages of tenant {tenant.name} are being delivered at this moment; give the command once more"
        )
    return messages


def _step(tenant: Tenant, now: float, after: int, spool: SpoolStore) -> Forgotten:
    return spool.forget_tenant(tenant.name, now, after, STEP)


def _clear(desk: Desk, step: Forgotten) -> None:
    for queue_id, content in step.freed:
        desk.contents.remove(queue_id, content)


def _remove_folder(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise UnavailableError(f"{error.filename}: {error.strerror}; give the command once more") from error


COMMANDS: dict[str, Callable[..., Any]] = {"tenant.remove": _remove}
