"""The spool of a data directory, opened: the writing side, the reading side, the content files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mailgate.settings import Settings
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Listing
from mailgate.spool.queue import SpoolStore
from mailgate.spool.sqlite import SqliteSpool

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
    return OpenSpool(store, Listing(store.path), ContentFolder(folder / "content"))
