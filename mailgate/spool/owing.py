"""What senders are to be told: put on record with the outcome that it is about, settled with the notice. So a crash in
between neither loses a notice nor doubles it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from mailgate.model.envelope import TenantName
from mailgate.model.outcome import Outcome, State
from mailgate.spool.dropping import drop_contents
from mailgate.spool.queue import (
    CONTENT_COLUMNS,
    Attempt,
    Content,
    NewRow,
    Owed,
    Recorded,
    Selection,
    WithheldRow,
)
from mailgate.spool.retry import Deferral
from mailgate.spool.rows import WITHHELD
from mailgate.spool.timeline import Timeline

_OWE = "INSERT INTO notice (message, position, at, outcome, retry_until) VALUES (?,?,?,?,?)"
_IN_QUARANTINE = """SELECT r.message, r.n, r.position, r.forward_path, r.tenant, r.notify
    FROM message m JOIN recipient r ON r.message = m.id WHERE m.queue_id = ? AND r.state = 'quarantined'"""
_HAND_OVER = """UPDATE recipient SET handed = 1 WHERE message = ? AND n = ? AND state = 'quarantined' AND handed = 0
    RETURNING forward_path"""
_HANDED = """SELECT m.queue_id, r.forward_path FROM recipient r JOIN message m ON m.id = r.message
    WHERE r.tenant = ? AND r.handed = 1 AND r.state = 'quarantined'"""
_REMINDED = "UPDATE recipient SET notice_at = NULL WHERE message = ? AND n = ?"
_WITHHELD = """SELECT message, n, position, tenant, received_at, state, reason FROM recipient
    WHERE state = ?1 AND listed = 1 AND notice_at <= ?2 AND (notify LIKE '%DELAY%' OR notify LIKE '%WITHHELD%')
    AND (message, n) > (?3, ?4) ORDER BY message, n LIMIT ?5"""
_SETTLE = "DELETE FROM notice WHERE id = ? AND message = ?"
_CONTENT = f"SELECT m.queue_id, {CONTENT_COLUMNS} FROM message m WHERE m.id = ?"  # noqa: S608

_encode = msgspec.json.Encoder().encode


def withheld(
    connection: apsw.Connection, state: State, before: float, after: tuple[int, int], limit: int
) -> list[WithheldRow]:
    """What waits in `state` (held or quarantined) and whose sender wants to know, but was not told again yet."""
    rows = connection.execute(_WITHHELD, (state, before, *after, limit))
    return [
        WithheldRow(message, n, position, TenantName(tenant), at, State(kept), reason)
        for message, n, position, tenant, at, kept, reason in rows
    ]


def handed(connection: apsw.Connection, tenant: str) -> frozenset[tuple[str, str]]:
    """Queue id and forward-path of what was handed to the administrators, and still waits."""
    rows: list[tuple[str, str]] = list(connection.execute(_HANDED, (tenant,)))
    return frozenset(rows)


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

    def owe_withheld(self, message: int, rows: Iterable[NewRow], reason: str, now: float) -> None:
        """Senders of what is quarantined as it comes are told at once, once for each recipient."""
        told = {
            row.position for row in rows if row.state is State.QUARANTINED and {"DELAY", WITHHELD} & set(row.notify)
        }
        for position in sorted(told):
            self.owe(message, position, Outcome(State.QUARANTINED, reason, 0, "4.7.1"), now, now)

    def owe_unreleased(self, selection: Selection, text: str, now: float) -> bool:
        """The senders of what leaves quarantine for nowhere; whether there are any that want to know."""
        rows: list[Any] = self._connection.execute(_IN_QUARANTINE, (selection.queue_id,)).fetchall()
        told = {
            (message, position)
            for message, n, position, path, tenant, notify in rows
            if {"FAILURE", WITHHELD} & set(notify.split(",")) and selection.holds(tenant, n, path, State.QUARANTINED)
        }
        for message, position in sorted(told):
            self.owe(message, position, Outcome(State.DELETED, text, 0, "5.7.1"), now, now)
        return bool(told)

    def hand_over(self, message: int, numbers: Sequence[int], now: float, by: str) -> None:
        for number in numbers:
            handed = self._connection.execute(_HAND_OVER, (message, number)).fetchall()
            for (forward_path,) in handed:
                self._timeline.add(message, now, "handed", str(forward_path), {"by": by})

    def remind(self, rows: Sequence[WithheldRow], now: float) -> None:
        """Their senders are told that they still wait: once."""
        self._connection.executemany(_REMINDED, [(row.message, row.n) for row in rows])
        for row in {(row.message, row.position): row for row in rows}.values():
            self.owe(row.message, row.position, Outcome(row.state, row.reason, 0, "4.7.1"), now, now)

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
