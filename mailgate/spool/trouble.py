"""What errors of the spool's database mean. No room is an answer; after any other trouble of the disk nothing can be
promised any more, and a damaged database must not be written on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import apsw

from mailgate.ipc.frames import StorageFullError
from mailgate.spool import durable

RESTORE = "stop the gateway and put spool.db back from a backup (docs/operations.md, Backup)"

P = ParamSpec("P")
T = TypeVar("T")


class HasPath(Protocol):
    @property
    def path(self) -> Path: ...


S = TypeVar("S", bound=HasPath)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """StorageFullError where there is no room; damage, and any other trouble of the disk, ends the process."""
    try:
        yield
    except apsw.FullError as error:
        raise StorageFullError(f"no room for the spool database: {error}") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        durable.die(f"{path} is damaged ({error}): {RESTORE}")
    except apsw.IOError as error:
        durable.die(f"{path}: {error}")


def translated(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method of something on the database `path`, with its errors so named."""

    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except apsw.Error:
            with named(self.path):
                raise

    return run


class WatchfulCursor(apsw.Cursor):
    """Of a connection that only reads: damage that it comes upon ends the process, too, since the one that writes would
    go on upon it."""

    def execute(self, *args: Any, **kwargs: Any) -> apsw.Cursor:
        with _damage_named(self):
            return super().execute(*args, **kwargs)

    def __next__(self) -> Any:
        with _damage_named(self):
            return super().__next__()

    def fetchall(self) -> list[Any]:
        with _damage_named(self):
            return super().fetchall()

    def fetchone(self) -> Any:
        with _damage_named(self):
            return super().fetchone()


@contextmanager
def _damage_named(cursor: apsw.Cursor) -> Iterator[None]:
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        durable.die(f"{cursor.connection.filename} is damaged ({error}): {RESTORE}")
