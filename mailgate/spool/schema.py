"""How the spool database is opened."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from mailgate.model.errors import UserError
from mailgate.spool.migrations import STEPS, migrate
from mailgate.spool.trouble import RESTORE, WatchfulCursor

VERSION = len(STEPS)
LOG_BYTES = 16 << 20  # what stays of a write-ahead log that was longer for a while

BUSY_MILLISECONDS = 10_000


class NewerSchemaError(UserError):
    """The spool was written by a newer mailgate."""


def open_database(path: Path) -> apsw.Connection:
    """The one writing connection: WAL, every commit synced, checkpoints by hand. Creates the database where there is
    none, and brings an older one up to date. UserError where it is newer than this program or is no spool database."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        # SQLite would make it for everybody to read; its -wal and -shm take over this mode
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(str(path), statementcachesize=200)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("journal_size_limit", LOG_BYTES)
        connection.pragma("cache_size", -65_536)
        # deleted rows are overwritten inside their page; whole pages that become free are by `scrub`, since "on" would
        # write each content a second time: 40 % of the messages a second
        connection.pragma("secure_delete", "fast")
        found = connection.pragma("user_version")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise UserError(f"{path} is damaged ({error}): {RESTORE}") from error
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
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.cursor_factory = WatchfulCursor
    return connection
