"""Is a SQLite file sound? Looked at by a connection of its own that only reads, beside whoever works on it.

Never in the process that works on the file by another copy of SQLite: the locks are the process's, and closing one
descriptor drops them all (sqlite.org/howtocorrupt.html, sections 2.2 and 2.3). `python -m` of this module is a process
for it: paths by name as JSON on stdin, a line of JSON with name and fault for each."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import msgspec

SECONDS = 10.0  # for one file of many
_STEPS = 20_000  # of SQLite's machine, between looks at the clock: some milliseconds


@dataclass(frozen=True, slots=True)
class Soundness:
    """`fault` is empty where none was found; `is_whole`: all of the file was looked at."""

    fault: str
    is_whole: bool = True


def look(path: Path, table: str, seconds: float | None = None) -> Soundness:
    """For at most `seconds`. An empty file has no `table`, which counts as a fault."""
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        return Soundness("is gone")
    except OSError as error:
        return Soundness(error.strerror or str(error))
    end = None if seconds is None else time.monotonic() + seconds
    try:
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            connection.set_busy_timeout(5_000)
            if end is not None:
                connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except apsw.InterruptError:
        return Soundness("", is_whole=False)
    except apsw.Error as error:
        return Soundness(str(error))
    if found == ("ok",):
        return Soundness("")
    lines = str(found[0]).splitlines() if found else [""]
    return Soundness(f"is damaged: {lines[-1]}")  # the first only names the database


def main() -> None:
    """The process: see above."""
    os.nice(10)
    paths = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[str, str])
    for name, path in paths.items():
        fault = look(Path(path), "alembic_version", SECONDS).fault
        sys.stdout.buffer.write(msgspec.json.encode((name, fault)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
