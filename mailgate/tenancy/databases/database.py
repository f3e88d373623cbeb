"""SQLite files: one connection each, opened on demand, closed when idle. Calls come from one thread at a time."""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases.ids import TenantId
from mailgate.tenancy.databases.schema import TENANT, Schema

OPEN_LIMIT = 128  # databases; each holds three descriptors
IDLE_SECONDS = 600.0

_COMPILED: dict[Any, Any] = {}
"""Statements as SQL text; as many as this program has."""


class Database:
    """Raises UnavailableError where the file can't be opened, is damaged, or has a schema this release can't use.
    `must_exist`: an empty file is a damaged one, too; else it gets the tables."""

    def __init__(self, path: Path, schema: Schema, must_exist: bool = False) -> None:
        self._path = path
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise UnavailableError(f"{path}: {error.strerror}") from error
        self._engine = Engine(
            StaticPool(partial(sqlite3.connect, path, check_same_thread=False)),
            _dialect(),
            URL.create("sqlite", database=str(path)),
            execution_options={"compiled_cache": _COMPILED},
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        try:
            with self._errors_named(), self._engine.begin() as connection:
                schema.bring_up(connection, must_exist)
        except UnavailableError as error:
            self.close()
            raise UnavailableError(f"{path}: {error}") if str(path) not in str(error) else error from None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction: committed (and synced) at the end of the block, rolled back where it raises."""
        with self._errors_named(), Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise UnavailableError(f"{self._path}: {_words(error.orig)}") from error

    def close(self) -> None:
        self._engine.dispose()


def _words(error: BaseException | None) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"is damaged ({error}); put it back from a backup"
    if code == sqlite3.SQLITE_FULL:
        return "no room on its file system; nothing was changed"
    if code == sqlite3.SQLITE_IOERR:
        return f"{error}; nothing was changed; see whether the disk is full, or broken"
    return str(error)


@cache
def _dialect() -> Dialect:
    """One for all files: what it compiles is found again by it. To make one for each would triple the time of opening
    a tenant's database."""
    pattern = create_engine("sqlite://")
    pattern.connect().close()
    return pattern.dialect


def _configure(connection: sqlite3.Connection, record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """The driver begins a transaction before a change of rows only: without this, DDL would commit by itself."""
    connection.exec_driver_sql("BEGIN")


class TenantDatabases:
    """The open databases of tenants; `path_of` says where one lies. `clock` in seconds."""

    def __init__(self, path_of: Callable[[TenantId], Path], clock: Callable[[], float]) -> None:
        self._path_of = path_of
        self._clock = clock
        self._open: OrderedDict[TenantId, tuple[Database, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def create(self, tenant: TenantId) -> None:
        """A fresh, empty database in a folder that exists."""
        Database(self._path_of(tenant), TENANT).close()

    def get(self, tenant: TenantId) -> Database:
        """Raises UnavailableError; a file that is gone counts as damaged and is not made anew."""
        now = self._clock()
        database, _ = self._open.pop(tenant, (None, now))
        if database is None:
            path = self._path_of(tenant)
            try:
                path.stat()
            except FileNotFoundError:
                raise UnavailableError(f"{path}: the database is gone; put it back from a backup") from None
            except OSError as error:
                raise UnavailableError(f"{path}: {error.strerror}; `mailgate doctor` says what to do") from None
            database = Database(path, TENANT, must_exist=True)
        self._open[tenant] = database, now
        self._close_idle(now)
        return database

    def close(self, tenant: TenantId) -> None:
        database, _ = self._open.pop(tenant, (None, 0.0))
        if database is not None:
            database.close()

    def close_all(self) -> None:
        for tenant in list(self._open):
            self.close(tenant)

    def _close_idle(self, now: float) -> None:
        """From the one unused for longest: those beyond the limit, and those idle for too long."""
        for tenant, (_, used) in list(self._open.items()):
            if len(self._open) <= OPEN_LIMIT and now - used <= IDLE_SECONDS:
                return
            self.close(tenant)
