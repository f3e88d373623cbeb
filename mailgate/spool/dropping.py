"""Contents go when nobody needs them any more: no recipient waits, and no notice is to be written."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from mailgate.model.envelope import QueueId
from mailgate.spool.queue import Content

_NOBODY_NEEDS = """NOT EXISTS (SELECT 1 FROM recipient WHERE message = ?1)
    AND NOT EXISTS (SELECT 1 FROM notice WHERE message = ?1)"""
_DROP_CONTENT = f"DELETE FROM content WHERE id = ?1 AND {_NOBODY_NEEDS}"  # noqa: S608


def drop_contents(
    connection: apsw.Connection, ended: Iterable[tuple[int, QueueId, Content]]
) -> tuple[tuple[QueueId, Content], ...]:
    """Deletes the inline contents that nobody needs; returns the files that can go after the commit."""
    freed: dict[QueueId, Content] = {}
    for message, queue_id, content in ended:
        if not content.in_file:
            connection.execute(_DROP_CONTENT, (message,))
        elif connection.execute(f"SELECT {_NOBODY_NEEDS}", (message,)).get:
            freed[queue_id] = content
    return tuple(freed.items())
