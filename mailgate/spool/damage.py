"""Messages whose content is not what was accepted: they are held, and the administrators of their tenants told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from mailgate.model.envelope import QueueId, TenantName

DAMAGED = "damaged: "
"""Begins the reason of a recipient that is held for it."""

_MARK = "INSERT OR IGNORE INTO damaged SELECT id, ?2, ?3, 0 FROM message WHERE id = ?1"
# what was delivered, or deleted, after all is nobody's trouble any more
_WAITS = """EXISTS (SELECT 1 FROM recipient WHERE recipient.message = d.message)
    OR EXISTS (SELECT 1 FROM notice WHERE notice.message = d.message)"""
_FOUND = f"""SELECT d.message, m.queue_id, m.tenant, m.received_at, d.what FROM damaged d JOIN message m
    ON m.id = d.message WHERE ({_WAITS})"""  # noqa: S608
_UNTOLD = f"{_FOUND} AND NOT d.told ORDER BY d.message LIMIT ?"
_ALL = f"{_FOUND} ORDER BY d.message"


@dataclass(frozen=True, slots=True)
class DamagedMessage:
    """`what` is wrong with the content; `received_at` in seconds since 1970."""

    message: int
    queue_id: QueueId
    tenant: TenantName
    received_at: float
    what: str


def damaged(connection: apsw.Connection) -> list[DamagedMessage]:
    """All that wait, oldest first."""
    return [DamagedMessage(*row) for row in connection.execute(_ALL)]


def untold_damage(connection: apsw.Connection, limit: int) -> list[DamagedMessage]:
    """Those that nobody was told of, oldest first."""
    return [DamagedMessage(*row) for row in connection.execute(_UNTOLD, (limit,))]


class Damage:
    """Writes through the spool's connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def mark(self, message: int, now: float, what: str) -> bool:
        """False where it was known."""
        self._connection.execute(_MARK, (message, now, what))
        return self._connection.changes() > 0

    def told(self, messages: Sequence[int]) -> None:
        self._connection.executemany("UPDATE damaged SET told = 1 WHERE message = ?", [(each,) for each in messages])

    def forget(self, queue_id: QueueId) -> None:
        """Somebody has put the content right; if not, it is found again."""
        self._connection.execute(
            "DELETE FROM damaged WHERE message = (SELECT id FROM message WHERE queue_id = ?)", (queue_id,)
        )
