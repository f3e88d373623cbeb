"""Lines added to the timelines of messages after they were kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw
import msgspec

_encode = msgspec.json.Encoder().encode


class Timeline:
    """Writes through the spool's connection. Numbers grow over all messages, so that each one's lines are in order."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._next = 1 + (connection.execute("SELECT max(seq) FROM timeline").get or 0)

    def add(self, message: int, at: float, kind: str, recipient: str, facts: Mapping[str, Any]) -> None:
        self._connection.execute(
            "INSERT INTO timeline VALUES (?,?,?,?,?,?)", (message, self._next, at, kind, recipient, _encode(facts))
        )
        self._next += 1
