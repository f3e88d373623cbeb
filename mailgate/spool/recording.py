"""Outcomes of attempts: final ones leave the spool, deferrals get their next time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apsw

from mailgate.model.envelope import QueueId
from mailgate.model.outcome import Outcome
from mailgate.spool.queue import Attempt, Content, Finished, Recorded
from mailgate.spool.retry import Deferral, after
from mailgate.spool.schedule import Schedule
from mailgate.spool.timeline import Timeline

_DEFER = """UPDATE recipient SET next_attempt_at = ?, notice_at = ?, reason = ?, reply_code = ?, reply_enhanced = ?,
    lease_holder = '', lease_until = 0, listed = 1 WHERE message = ? AND n = ? AND lease_holder = ?"""
_FINISH = "DELETE FROM recipient WHERE message = ? AND n = ? AND lease_holder = ?"
_DROP_CONTENT = "DELETE FROM content WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM recipient WHERE message = ?1)"


class Recording:
    def __init__(
        self, connection: apsw.Connection, timeline: Timeline, schedule: Schedule, chance: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._timeline = timeline
        self._schedule = schedule
        self._chance = chance

    def record(self, finished: Sequence[Finished], now: float) -> Recorded:
        ended: list[Attempt] = []
        due: list[float] = []
        for item in finished:
            change = after(item.attempt, item.outcome, now, self._schedule, self._chance())
            if isinstance(change, Deferral):
                self._defer(item, change, now)
                due.append(change.next_attempt_at)
            else:
                self._finish(item, change, now)
                ended.append(item.attempt)
        freed = drop_contents(self._connection, ((e.message, e.queue_id, e.content) for e in ended))
        return Recorded(freed, min(due, default=None))

    def _defer(self, item: Finished, change: Deferral, now: float) -> None:
        attempt, outcome = item.attempt, item.outcome
        self._connection.execute(
            _DEFER,
            (
                change.next_attempt_at,
                change.notice_at,
                outcome.text,
                outcome.code,
                outcome.enhanced,
                attempt.message,
                attempt.n,
                attempt.holder,
            ),
        )
        facts = {**_facts(item, outcome), "next_attempt_at": change.next_attempt_at}
        self._timeline.add(attempt.message, now, "deferred", attempt.forward_path, facts)

    def _finish(self, item: Finished, outcome: Outcome, now: float) -> None:
        attempt = item.attempt
        self._connection.execute(_FINISH, (attempt.message, attempt.n, attempt.holder))
        self._timeline.add(attempt.message, now, outcome.state, attempt.forward_path, _facts(item, outcome))


def _facts(item: Finished, outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {"attempt": item.attempt.number, "text": outcome.text, **item.facts}
    if item.attempt.mailbox:
        facts["mailbox"] = item.attempt.mailbox
    if outcome.code:
        facts["reply"] = f"{outcome.code} {outcome.enhanced}".strip()
    return facts


def drop_contents(
    connection: apsw.Connection, ended: Iterable[tuple[int, QueueId, Content]]
) -> tuple[tuple[QueueId, Content], ...]:
    """Deletes the inline contents that no recipient needs any more; returns the files that can go after the commit."""
    freed: dict[QueueId, Content] = {}
    for message, queue_id, content in ended:
        if not content.in_file:
            connection.execute(_DROP_CONTENT, (message,))
        elif connection.execute("SELECT NOT EXISTS (SELECT 1 FROM recipient WHERE message = ?)", (message,)).get:
            freed[queue_id] = content
    return tuple(freed.items())
