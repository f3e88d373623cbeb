"""How the spool database is opened."""

from __future__ import annotations

from pathlib import Path

import apsw

from mailgate.model.errors import UserError
from mailgate.spool.migrations import STEPS, migrate

VERSION = len(STEPS)
LOG_BYTES = 16 << 20  # what stays of a write-ahead log that was longer for a while


class NewerSchemaError(UserError):
    """The spool was written by a newer mailgate."""


def open_database(path: Path) -> apsw.Connection:
    """The one writing connection: WAL, every commit synced, checkpoints by hand. Creates the database where there is
    none, and brings an older one up to date. UserError where it is newer than this program or is no spool database."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        connection = apsw.Connection(str(path), statementcachesize=200)
        connection.set_busy_timeout(10_000)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("journal_size_limit", LOG_BYTES)
        connection.pragma("cache_size", -65_536)
        found = connection.pragma("user_version")
    except apsw.Error as error:
        raise UserError(f"{path}: not a usable spool database: {error}") from error
    if found > VERSION:
        connection.close()
        raise NewerSchemaError(
            f"{path} has schema version {found}, this mailgate knows {VERSION}. Start the newer mailgate that wrote it"
        )
    try:
        migrate(connection)
    except apsw.Error as error:
        connection.close()
        raise UserError(f"{path}: cannot be brought from schema version {found} to {VERSION}: {error}") from error
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that only reads, for lists and reports beside the writer; it sees what is committed."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(10_000)
    return connection
