"""Which recipients are to be told of mail of theirs in quarantine, and that they have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from mailgate.model.decision import ENCRYPTED_KEYS, Decision
from mailgate.model.envelope import MailboxId, QueueId, TenantName
from mailgate.spool.queue import UntoldRow
from mailgate.spool.timeline import Timeline

_UNTOLD = """SELECT r.message, r.n, m.queue_id, r.tenant, r.mailbox, r.reverse_path, r.forward_path, r.received_at,
    r.reason, m.decision FROM recipient r JOIN message m ON m.id = r.message
    WHERE r.untold = ?1 AND r.untold > 0 AND r.state = 'quarantined'"""
_ALONE = f"{_UNTOLD} ORDER BY r.message, r.n LIMIT ?2"
_OF_MAILBOX = f"{_UNTOLD} AND r.tenant = ?2 AND r.mailbox = ?3 ORDER BY r.message, r.n"
_MAILBOXES = """SELECT DISTINCT tenant, mailbox FROM recipient
    WHERE untold > 0 AND untold = 1 AND state = 'quarantined'
    AND NOT EXISTS (SELECT 1 FROM digest WHERE digest.mailbox = recipient.mailbox AND day >= ?)"""
_TOLD = "UPDATE recipient SET untold = ? WHERE message = ? AND n = ? AND state = 'quarantined' AND untold > 0"

_decision = msgspec.json.Decoder(Decision).decode


def untold_alone(connection: apsw.Connection, limit: int) -> list[UntoldRow]:
    """Those that a notice of their own is due for, oldest first."""
    return [_row(*row) for row in connection.execute(_ALONE, (2, limit))]


def untold_of_mailbox(connection: apsw.Connection, tenant: str, mailbox: str) -> list[UntoldRow]:
    """All that the mailbox' next digest is about, oldest first."""
    return [_row(*row) for row in connection.execute(_OF_MAILBOX, (1, tenant, mailbox))]


def mailboxes_for_digest(connection: apsw.Connection, day: int) -> list[tuple[TenantName, MailboxId]]:
    """Those with something to be told that have had no digest on this day (since 1970) yet."""
    return list(connection.execute(_MAILBOXES, (day,)))


def _row(message: int, n: int, queue_id: str, tenant: str, mailbox: str, *rest: Any) -> UntoldRow:
    reverse_path, forward_path, received_at, reason, decision = rest
    is_encrypted = _decision(decision).key in ENCRYPTED_KEYS
    names = QueueId(queue_id), TenantName(tenant), MailboxId(mailbox)
    return UntoldRow(message, n, *names, reverse_path, forward_path, received_at, reason, is_encrypted)


class Telling:
    """Writes through the spool's connection."""

    def __init__(self, connection: apsw.Connection, timeline: Timeline) -> None:
        self._connection = connection
        self._timeline = timeline

    def told(self, rows: Sequence[UntoldRow], now: float, notice: QueueId) -> None:
        """By the message `notice`; what has left quarantine in the meantime gets no line in its timeline."""
        for row in rows:
            self._connection.execute(_TOLD, (0, row.message, row.n))
            if self._connection.changes():
                self._timeline.add(row.message, now, "told", row.forward_path, {"notice": notice})

    def tell_later(self, rows: Sequence[UntoldRow]) -> None:
        for row in rows:
            self._connection.execute(_TOLD, (1, row.message, row.n))

    def had_digest(self, mailbox: MailboxId, day: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO digest VALUES (?,?)", (mailbox, day))
