"""Outcomes of attempts: final ones leave the spool, deferrals get their next time; what the sender is to be told of is
put on record in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw

from mailgate.model.outcome import Outcome
from mailgate.spool.dropping import drop_contents
from mailgate.spool.owing import Owing
from mailgate.spool.queue import Attempt, Finished, Recorded
from mailgate.spool.retry import Deferral, after
from mailgate.spool.schedule import Schedule
from mailgate.spool.timeline import Timeline

_DEFER = """UPDATE recipient SET next_attempt_at = ?, notice_at = ?, reason = ?, reply_code = ?, reply_enhanced = ?,
    lease_holder = '', lease_until = 0, listed = 1 WHERE message = ? AND n = ? AND lease_holder = ?"""
_FINISH = "DELETE FROM recipient WHERE message = ? AND n = ? AND lease_holder = ?"
_PARK = """UPDATE recipient SET state = ?, reason = ?, reply_code = ?, reply_enhanced = ?, lease_holder = '',
    lease_until = 0, listed = 1 WHERE message = ? AND n = ? AND lease_holder = ?"""


class Recording:
    def __init__(
        self,
        connection: apsw.Connection,
        timeline: Timeline,
        owing: Owing,
        schedule: Schedule,
        chance: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._timeline = timeline
        self._owing = owing
        self._schedule = schedule
        self._chance = chance

    def record(self, finished: Sequence[Finished], now: float) -> Recorded:
        ended: list[Attempt] = []
        due: list[float] = []
        owes = False
        for item in finished:
            change = after(item.attempt, item.outcome, now, self._schedule, self._chance())
            if self._apply(item, change, now):
                owes = self._owing.note(item.attempt, item.outcome, change, now) or owes
            if isinstance(change, Deferral):
                due.append(change.next_attempt_at)
            elif change.state.is_final:
                ended.append(item.attempt)
        freed = drop_contents(self._connection, ((e.message, e.queue_id, e.content) for e in ended))
        return Recorded(freed, min(due, default=None), owes)

    def _apply(self, item: Finished, change: Deferral | Outcome, now: float) -> bool:
        """False where the row has gone, or is another holder's: then only the timeline tells of the attempt."""
        attempt, outcome = item.attempt, item.outcome
        key = (attempt.message, attempt.n, attempt.holder)
        if isinstance(change, Deferral):
            times = (change.next_attempt_at, change.notice_at)
            self._connection.execute(_DEFER, (*times, outcome.text, outcome.code, outcome.enhanced, *key))
            kind, facts = "deferred", {**_facts(item, outcome), "next_attempt_at": change.next_attempt_at}
        else:
            if change.state.is_final:
                self._connection.execute(_FINISH, key)
            else:
                self._connection.execute(_PARK, (change.state, change.text, change.code, change.enhanced, *key))
            kind, facts = str(change.state), _facts(item, change)
        is_ours = self._connection.changes() > 0
        self._timeline.add(attempt.message, now, kind, attempt.forward_path, facts)
        return is_ours


def _facts(item: Finished, outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {"attempt": item.attempt.number, "text": outcome.text, **item.facts}
    if item.attempt.mailbox:
        facts["mailbox"] = item.attempt.mailbox
    if outcome.code:
        facts["reply"] = f"{outcome.code} {outcome.enhanced}".strip()
    return facts
