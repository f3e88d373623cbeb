"""The end of a mailbox with mail in it: an entry in the audit log, then the mail, then the mailbox.

In this order a crash leaves a mailbox that is switched off, and the same command ends what is left of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mailgate.model.envelope import MailboxId, TenantName
from mailgate.model.errors import ConflictError, UnavailableError
from mailgate.store.commands.on_spool.desk import Desk, Json, scrub
from mailgate.store.delivery.usage import Usage
from mailgate.tenancy.databases.folders import sync_folder
from mailgate.tenancy.databases.models import MailboxState
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.mailboxes import mailboxes

Leaving = tuple[TenantName, MailboxId, str, Path]
"""Whose it is, its id and address, and where its mail lies."""


def _erase(desk: Desk, mailbox: str) -> Json:
    """ConflictError while it takes mail, or while mail for it waits."""
    tenant, mailbox_id, address, folder = desk.ask(partial(_leaving, mailbox))
    waiting = desk.listing.waiting_for(mailbox_id)
    if waiting:
        raise ConflictError(
            f"{waiting} messages for {address} are on their way or in quarantine; once they are delivered or deleted "
            "give the command once more"
        )
    facts = {"messages": _messages(folder), "bytes": Usage().of(folder)}
    desk.note(tenant, "mailbox.erase", address, {"id": mailbox_id, **facts})
    _empty(folder)
    scrub(desk)
    desk.ask(partial(_remove, tenant, address))
    return {"address": address, **facts}


def _leaving(mailbox: str, directory: Directory) -> Leaving:
    tenant = directory.tenant_of(mailbox)
    with directory.reading(tenant) as work:
        found = mailboxes.find_to_administer(work, mailbox)
        if found.state is MailboxState.ACTIVE:
            raise ConflictError(f"mailbox {found.address} takes mail; first: mailgate mailbox disable {found.address}")
        return tenant, found.id, found.address, directory.maildir(found.id)


def _remove(tenant: TenantName, address: str, directory: Directory) -> None:
    with directory.changing(tenant) as work:
        removed = mailboxes.remove_mailbox(work, address)
        work.audit("mailbox.remove", removed.address, {"id": removed.id})


def _messages(folder: Path) -> int:
    return sum(1 for place in ("new", "cur", ".*/new", ".*/cur") for _ in folder.glob(f"{place}/*"))


def _empty(folder: Path) -> None:
    """Whatever lies in it, an IMAP server's indexes and scripts included. The folder stays, for mail that was accepted
    a moment ago."""
    try:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(mode=0o700)
        sync_folder(folder)
    except OSError as error:
        raise UnavailableError(f"{error.filename}: {error.strerror}; give the command once more") from error


COMMANDS: dict[str, Callable[..., Any]] = {"mailbox.erase": _erase}
