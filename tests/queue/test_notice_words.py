from __future__ import annotations

from mailgate.model.event import Event
from mailgate.records.timeline import timeline
from tests.spool.making import NOW, envelope


def words(kind: str, **facts: object) -> str:
    (line,) = timeline(envelope(), [Event(NOW, kind, facts)], accepted=True).events
    return line.text


def test_what_the_timeline_says_of_notices() -> None:
    assert words("notified", notice="id2", about="failed", recipients=["a@b.example", "c@d.example"]) == (
        "the sender is told by id2: failed for a@b.example, c@d.example"
    )
    assert words("notified", dropped="the sender's address is unknown").endswith("the sender's address is unknown")
    assert words("composed", about="id1", notice="failed") == "a notice to the sender of id1: failed"


def test_quarantined_after_an_attempt_or_by_a_person() -> None:
    assert words("quarantined", attempt=3, text="not delivered", reply="550 5.1.1") == (
        "attempt 3: not delivered (550 5.1.1)"
    )
    assert words("quarantined", by="scanner", reason="infected", before="held") == "by scanner: infected (was held)"
