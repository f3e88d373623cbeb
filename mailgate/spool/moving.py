"""What people do to waiting recipients: retry, hold, release, delete; retention's expiry goes the same way."""

from __future__ import annotations

from typing import Any

import apsw

from mailgate.model.envelope import QueueId
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.model.outcome import State
from mailgate.spool.dropping import drop_contents
from mailgate.spool.queue import CONTENT_COLUMNS, Content, Moved, Selection
from mailgate.spool.schedule import Schedule
from mailgate.spool.timeline import Timeline

_WAITING = f"""SELECT r.message, r.n, r.forward_path, r.state, r.lease_until, m.tenant, r.unscanned, {CONTENT_COLUMNS}
    FROM message m JOIN recipient r ON r.message = m.id WHERE m.queue_id = ? ORDER BY r.n"""  # noqa: S608
_RETRY = "UPDATE recipient SET next_attempt_at = ?, listed = 1 WHERE message = ? AND n = ?"
_RELEASE = """UPDATE recipient SET state = 'queued', next_attempt_at = ?1, attempts = 0, reason = '', expires_at = ?2,
    notice_at = ?3, lease_holder = '', listed = 1,
    handed = 0 WHERE message = ?4 AND n = ?5"""
_SCANNED = "UPDATE recipient SET unscanned = 0 WHERE message = ? AND n = ?"
_PARK = """UPDATE recipient SET state = ?1, reason = ?2, lease_holder = '', listed = 1,
    untold = ?1 = 'quarantined' AND mailbox <> '' WHERE message = ?3 AND n = ?4"""


class Moving:
    def __init__(self, connection: apsw.Connection, timeline: Timeline, schedule: Schedule) -> None:
        self._connection = connection
        self._timeline = timeline
        self._schedule = schedule

    def move(self, selection: Selection, state: State, now: float, by: str, reason: str, is_scanned: bool) -> Moved:
        """NotFoundError where none of the selected recipients waits, ConflictError where they wait for the scanner."""
        found = self._connection.execute(_WAITING, (selection.queue_id,))
        rows = [row for row in found if selection.holds(row[5], row[1], row[2], row[3])]
        if not rows:
            states = " or ".join(sorted(selection.states))
            raise NotFoundError(
                f"{selection.queue_id} has no such recipient that is {states}; `mailgate trace {selection.queue_id}` "
                "tells what became of it"
            )
        if state is State.QUEUED and not is_scanned and any(row[6] for row in rows):
            raise ConflictError(
                f"{selection.queue_id} has not been scanned yet; it goes on by itself once a scanner has answered"
            )
        free = [row for row in rows if row[4] <= now]
        for row in free:
            if is_scanned:
                self._connection.execute(_SCANNED, row[:2])
            self._change(row, state, now, by, reason)
        freed: tuple[tuple[QueueId, Content], ...] = ()
        if state.is_final and free:
            freed = drop_contents(self._connection, [(rows[0][0], selection.queue_id, Content.of_row(*rows[0][7:]))])
        return Moved(_paths(free), _paths([row for row in rows if row[4] > now]), freed)

    def _change(self, row: tuple[Any, ...], state: State, now: float, by: str, reason: str) -> None:
        message, n, forward_path, before = row[:4]
        if state.is_final:
            self._connection.execute("DELETE FROM recipient WHERE message = ? AND n = ?", (message, n))
            kind = str(state)
        elif state is not State.QUEUED:
            self._connection.execute(_PARK, (state, reason, message, n))
            kind = str(state)
        elif before == State.QUEUED:
            self._connection.execute(_RETRY, (now, message, n))
            kind = "retry"
        else:
            times = (now, self._schedule.expires_at(now), self._schedule.notice_at(now, now))
            self._connection.execute(_RELEASE, (*times, message, n))
            kind = "released"
        self._timeline.add(message, now, kind, forward_path, {"by": by, "reason": reason, "before": before})


def _paths(rows: list[tuple[Any, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row[2] for row in rows))
