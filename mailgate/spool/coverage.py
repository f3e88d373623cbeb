"""How many parts of each tenant's messages were scanned, by day, and how many verdicts were remembered. Counted when a
message is put on record, in the same transaction; holds nothing of a person, so it may outlive the timelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import apsw

from mailgate.model.event import Event
from mailgate.model.verdict import Inspection

DAY = 86_400
KEPT_DAYS = 400

_COUNT = """INSERT INTO coverage VALUES (?,?,?,?,?)
    ON CONFLICT DO UPDATE SET parts = parts + excluded.parts"""
_REMEMBER = """INSERT INTO remembered VALUES (?,?,?,?) ON CONFLICT DO UPDATE
    SET contents = contents + excluded.contents, remembered = remembered + excluded.remembered"""


class Coverage:
    """Writes through the spool's connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def count(self, tenant: str, at: float, inspection: Inspection | None, events: Iterable[Event] = ()) -> None:
        """The parts of `inspection`, or of those that `events` tell of. `at` in seconds since 1970."""
        if inspection is not None:
            found = Counter((str(part.verdict), str(part.reason or "")) for part in inspection.parts)
            contents, remembered = sum(bool(part.digest) for part in inspection.parts), inspection.remembered
        else:
            inspected = [event.facts for event in events if event.kind == "inspected"]
            parts = [part for facts in inspected for part in facts.get("parts", ())]
            found = Counter((part["verdict"], part["reason"] or "") for part in parts)
            contents = sum(bool(part.get("digest")) for part in parts)
            remembered = sum(facts.get("remembered", 0) for facts in inspected)
        for (verdict, reason), parts_found in found.items():
            self._connection.execute(_COUNT, (day_of(at), tenant, verdict, reason, parts_found))
        if contents:
            self._connection.execute(_REMEMBER, (day_of(at), tenant, contents, remembered))

    def forget(self, before: int) -> None:
        """Days before this one."""
        self._connection.execute("DELETE FROM coverage WHERE day < ?", (before,))
        self._connection.execute("DELETE FROM remembered WHERE day < ?", (before,))


def day_of(at: float) -> int:
    """The day since 1970 (UTC) of a moment in seconds since 1970."""
    return int(at // DAY)
