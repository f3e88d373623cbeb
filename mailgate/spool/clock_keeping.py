"""The state of the clock in the spool's database, and the times that a step of it moves."""

from __future__ import annotations

from typing import Any

import apsw

from mailgate.spool.clock_steps import ClockState, Reading

_READ = "SELECT wall, since_boot, boot_id, is_synchronised, doubted_since, shift, was_free FROM clock"
_KEEP = "INSERT OR REPLACE INTO clock VALUES (1,?,?,?,?,?,?,?)"
_MOVE = (
    """UPDATE recipient SET received_at = received_at + ?1, next_attempt_at = next_attempt_at + ?1,
        expires_at = expires_at + ?1, notice_at = notice_at + ?1,
        lease_until = CASE WHEN lease_holder = '' THEN lease_until ELSE lease_until + ?1 END""",
    "UPDATE notice SET at = at + ?1, retry_until = retry_until + ?1",
)
_NO_DIGEST_OF_TOMORROW = "UPDATE digest SET day = ?1 WHERE day > ?1"


def read_clock(connection: apsw.Connection) -> ClockState | None:
    """None before the first reading."""
    row: tuple[Any, ...] | None = connection.execute(_READ).fetchone()
    if row is None:
        return None
    wall, since_boot, boot_id, is_synchronised, doubted_since, shift, was_free = row
    reading = Reading(wall, since_boot, boot_id, bool(is_synchronised))
    return ClockState(reading, doubted_since, shift, bool(was_free))


def keep_clock(connection: apsw.Connection, state: ClockState) -> None:
    reading = state.reading
    known = (reading.wall, reading.since_boot, reading.boot_id, reading.is_synchronised)
    connection.execute(_KEEP, (*known, state.doubted_since, state.shift, state.was_free))


def move_times(connection: apsw.Connection, seconds: float, today: int) -> None:
    """Of all that waits. `today` as days since 1970, by the clock as it is now."""
    for statement in _MOVE:
        connection.execute(statement, (seconds,))
    connection.execute(_NO_DIGEST_OF_TOMORROW, (today,))
