"""A data directory, opened: the spool (writing side, reading side, content files) and the directory of tenants."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mailgate.settings import Settings
from mailgate.spool import durable
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Listing
from mailgate.spool.queue import SpoolStore
from mailgate.spool.sqlite import SqliteSpool
from mailgate.tenancy.directory import Directory

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenSpool:
    store: SpoolStore
    listing: Listing
    contents: ContentFolder

    def write(self, apply: Callable[[SpoolStore], T], synced: Callable[[T], None] | None = None) -> T:
        """One change in a transaction of its own, for where no writer thread runs."""
        self.store.begin()
        try:
            result = apply(self.store)
            self.store.commit()
        except BaseException:
            self.store.rollback()
            raise
        if synced is not None:
            synced(result)
        return result

    def close(self) -> None:
        self.listing.close()
        self.store.close()


def open_spool(settings: Settings) -> OpenSpool:
    """Makes the database where there is none; UserError where it is not usable."""
    folder = settings.data_dir / "spool"
    store = SqliteSpool(folder / "spool.db")
    contents = ContentFolder(folder / "content")
    contents.root.mkdir(mode=0o700, exist_ok=True)
    # SQLite syncs the folder with its log, which may come before the rest
    durable.sync_folder(folder)
    durable.sync_folder(settings.data_dir)
    with contextlib.suppress(PermissionError):  # not ours, and then not made by us either
        durable.sync_folder(settings.data_dir.absolute().parent)
    return OpenSpool(store, Listing(store.path), contents)


def open_directory(settings: Settings, clock: Callable[[], float]) -> Directory:
    return Directory(settings.data_dir, clock, settings.master_key_file, settings.hostname)
