"""Overwrites what was deleted. SQLite keeps the old bytes in pages that became free until they are used again: here all
of them are used by a table of zeros, whose pages are cleared as they are freed."""

from __future__ import annotations

import apsw

STEP_PAGES = 1_024  # 4 MiB: some milliseconds of the writer's time

_ROW_BYTES = 4_000  # one row a page
_FILL = f"""WITH RECURSIVE pages (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM pages WHERE n < ?)
    INSERT INTO scrubbed SELECT zeroblob({_ROW_BYTES}) FROM pages"""  # noqa: S608
_EMPTY = "DELETE FROM scrubbed WHERE rowid IN (SELECT rowid FROM scrubbed LIMIT ?)"


class Scrubbing:
    """`step` runs in a transaction, and again until it returns False. In between the spool goes on."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._fills_left: int | None = None

    def step(self) -> bool:
        """Whether another one is needed."""
        free: int = self._connection.pragma("freelist_count")
        if self._fills_left is None:
            # what others free in the meantime may cost some more, not more and more
            self._fills_left = 64 + 2 * free // STEP_PAGES
            self._connection.execute("CREATE TABLE IF NOT EXISTS scrubbed (bytes BLOB NOT NULL)")
        elif free and self._fills_left:
            self._fills_left -= 1
            self._connection.execute(_FILL, (min(free, STEP_PAGES),))
        else:
            self._fills_left = 0
            return self._free()
        return True

    def _free(self) -> bool:
        self._connection.pragma("secure_delete", "on")
        try:
            self._connection.execute(_EMPTY, (STEP_PAGES,))
            if self._connection.changes() == STEP_PAGES:
                return True
            self._connection.execute("DROP TABLE IF EXISTS scrubbed")
        finally:
            self._connection.pragma("secure_delete", "fast")
        self._fills_left = None
        return False
