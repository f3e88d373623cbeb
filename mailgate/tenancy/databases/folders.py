"""Where tenants' data lie: DATA_DIR/tenants/<tenant id>/{tenant.db,mail/<mailbox id>/{cur,new,tmp},acl/<user id>}; and
DATA_DIR/postmaster/{cur,new,tmp}, for the operator's mail while nobody is named to read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases.ids import GATEWAY_MAILBOX, TenantId, UserId, tenant_of_mailbox


class Folders:
    """Folders are made with mode 0700 and synced before anything in a database speaks of them."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.absolute()
        self._tenants = self._data_dir / "tenants"

    def database(self, tenant: TenantId) -> Path:
        return self._tenants / tenant / "tenant.db"

    def maildir(self, mailbox: MailboxId) -> Path:
        """Reads nothing: it answers for any well-formed id. Raises NotFoundError for others."""
        if mailbox == GATEWAY_MAILBOX:
            return self._data_dir / GATEWAY_MAILBOX
        return self._tenants / tenant_of_mailbox(mailbox) / "mail" / mailbox

    def acl(self, tenant: TenantId, user: UserId) -> Path:
        """What the user may do, for the IMAP server; written at each login."""
        return self._tenants / tenant / "acl" / user

    def make_tenant(self, tenant: TenantId) -> None:
        _make([self._tenants, self._tenants / tenant, self._tenants / tenant / "mail"])

    def make_maildir(self, mailbox: MailboxId) -> None:
        path = self.maildir(mailbox)
        _make([path, path / "tmp", path / "new", path / "cur"])

    def holds_mail(self, mailbox: MailboxId) -> bool:
        """Whether any message lies in the Maildir or in one of its subfolders (Maildir++: `.Sent`)."""
        return next(_messages(self.maildir(mailbox)), None) is not None


def _make(paths: list[Path]) -> None:
    try:
        for path in paths:
            path.mkdir(mode=0o700, exist_ok=True)
        for parent in dict.fromkeys(path.parent for path in paths):
            sync_folder(parent)
    except OSError as error:
        raise UnavailableError(f"{error.filename}: {error.strerror}") from error


def _messages(maildir: Path) -> Iterator[Path]:
    for place in ("new", "cur", ".*/new", ".*/cur"):
        for folder in maildir.glob(place):
            yield from folder.iterdir()


def sync_folder(path: Path) -> None:
    """What was made in this folder survives a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
