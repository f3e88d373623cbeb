"""What senders are to be told: put on record with the outcome that it is about, settled with the notice. So a crash in
between neither loses a notice nor doubles it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from mailgate.model.outcome import Outcome, State
from mailgate.spool.dropping import drop_contents
from mailgate.spool.queue import CONTENT_COLUMNS, Attempt, Content, Owed, Recorded
from mailgate.spool.retry import Deferral
from mailgate.spool.timeline import Timeline

_OWE = "INSERT INTO notice (message, position, at, outcome, retry_until) VALUES (?,?,?,?,?)"
_SETTLE = "DELETE FROM notice WHERE id = ? AND message = ?"
_CONTENT = f"SELECT m.queue_id, {CONTENT_COLUMNS} FROM message m WHERE m.id = ?"  # noqa: S608

_encode = msgspec.json.Encoder().encode


class Owing:
    def __init__(self, connection: apsw.Connection, timeline: Timeline) -> None:
        self._connection = connection
        self._timeline = timeline

    def note(self, attempt: Attempt, outcome: Outcome, change: Deferral | Outcome, now: float) -> bool:
        """Whether the sender is to be told of what came of an attempt; then that is on record."""
        wish = _wish(change)
        if wish not in attempt.notify:
            return False
        self.owe(
            attempt.message,
            attempt.position,
            outcome if isinstance(change, Deferral) else change,
            now,
            attempt.expires_at,
        )
        return True

    def owe(self, message: int, position: int, outcome: Outcome, now: float, retry_until: float) -> None:
        self._connection.execute(_OWE, (message, position, now, _encode(outcome), retry_until))

    def settle(self, message: int, owed: Sequence[Owed], now: float, facts: dict[str, Any]) -> Recorded:
        self._connection.executemany(_SETTLE, [(each.id, message) for each in owed])
        self._timeline.add(message, now, "notified", "", facts)
        kept = self._connection.execute(_CONTENT, (message,))
        contents = [(message, queue_id, Content.of_row(*content)) for queue_id, *content in kept]
        return Recorded(drop_contents(self._connection, contents))


def _wish(change: Deferral | Outcome) -> str:
    """The word of NOTIFY (RFC 3461 section 4.1) that asks for a notice of this; empty where none does."""
    if isinstance(change, Deferral):
        return "DELAY" if change.is_notice_due else ""
    if change.state in (State.BOUNCED, State.EXPIRED):
        return "FAILURE"
    if change.state is State.DELIVERED or (change.state is State.RELAYED and not change.takes_dsn):
        return "SUCCESS"
    return ""
