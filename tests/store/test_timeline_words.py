"""Timelines in words: what people read, and that nothing known is left out."""

from __future__ import annotations

import json

import pytest

from mailgate.model.decision import Action, Decision
from mailgate.model.event import Event
from mailgate.model.verdict import Inspection, PartReport, Unscanned, Verdict
from mailgate.records.timeline import timeline
from tests.spool.making import envelope, local, outside

CLEAN = Inspection((PartReport("raw", "", "message/rfc822", "", 9, "d", Verdict.CLEAN),), signatures="27001")
MIXED = Inspection(
    (
        PartReport("1", "a.txt", "text/plain", "text/plain", 9, "d", Verdict.CLEAN),
        PartReport("2", "b.exe", "", "", 9, "d", Verdict.INFECTED, signature="Eicar-Test"),
        PartReport("3", "c.zip", "", "", 9, "d", Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED),
    )
)
DECISION = Decision(Action.QUARANTINE, 'gateway.toml: attachments[1] "no programs"', "a program is inside", "abc123")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            Event(1, "received", {"size": 10, "client": "192.0.2.1", "helo": "mx.x", "tls": "TLSv1.3"}),
            ["10 bytes", "192.0.2.1", "TLSv1.3"],
        ),
        (Event(1, "received", {"size": 10, "client": "192.0.2.1", "helo": "mx.x", "tls": ""}), ["without TLS"]),
        (
            Event(1, "decided", {"action": "reject", "rule": "r1", "reason": "no", "policy": "v9"}),
            ["reject", "r1", "no", "v9"],
        ),
        (Event(1, "committed", {"state": "queued", "size": 7, "recipients": 2}), ["queued", "7 bytes", "2 recipients"]),
        (Event(1, "not_forwarded", {"forwarders": ["info@acme.example"]}), ["not again by info@acme.example"]),
        (
            Event(1, "relayed", {"attempt": 1, "forwarded_by": "a@b.example", "reverse_path": "", "sealed": "yes"}),
            ["forwarded by a@b.example as <>, sealed"],
        ),
        (Event(1, "refused", {"reply": "554 5.7.1 No", "cause": "infected"}), ["554 5.7.1 No", "infected"]),
        (Event(1, "deferred", {"reply": "451 4.7.1 Later", "cause": ""}), ["451 4.7.1 Later"]),
        (
            Event(1, "deferred", {"attempt": 3, "text": "mailbox full", "reply": "452 4.2.2"}),
            ["attempt 3", "mailbox full", "452 4.2.2"],
        ),
        (Event(1, "delivered", {"attempt": 1, "text": "delivered to the mailbox"}), ["attempt 1", "delivered"]),
        (
            Event(1, "released", {"by": "ops", "reason": "harmless", "before": "held"}),
            ["by ops", "harmless", "was held"],
        ),
        (
            Event(1, "expired", {"by": "retention", "reason": "too old", "before": "quarantined"}),
            ["by retention", "too old"],
        ),
        (
            Event(
                1, "authenticated", {"iprev": "pass", "spf": "fail", "dmarc": ["fail a.x asks for reject"], "dkim": []}
            ),
            ["SPF fail; DMARC fail a.x asks for reject; iprev pass"],
        ),
        (Event(1, "authenticated", {"forged_results_removed": 2}), ["taken out: 2"]),
        (Event(1, "something-new", {"a": 1, "empty": "", "b": "two"}), ["a 1", "b two"]),
    ],
)
def test_words(event: Event, words: list[str]) -> None:
    (line,) = timeline(envelope(), [event], accepted=True).events
    assert (line.at, line.kind) == (event.at, event.kind)
    for word in words:
        assert word in line.text


def test_inspection_and_decision_stand_in_their_place() -> None:
    events = [Event(1, "received", {}), Event(3, "committed", {}), Event(4, "delivered", {"attempt": 1}, "bob")]
    made = timeline(envelope(), events, accepted=True, decision=DECISION, inspection=CLEAN)
    assert [line.kind for line in made.events] == ["received", "inspected", "decided", "committed", "delivered"]
    assert "27001" in made.events[1].text
    assert DECISION.rule in made.events[2].text


def test_what_the_edge_told_is_not_told_twice() -> None:
    events = [Event(1, "inspected", {"verdict": "clean"}), Event(2, "decided", {"action": "accept"})]
    made = timeline(envelope(), events, accepted=True, decision=DECISION, inspection=CLEAN)
    assert [line.kind for line in made.events] == ["inspected", "decided"]


def test_a_refused_message_without_a_decision() -> None:
    made = timeline(envelope(), [Event(1, "refused", {"reply": "554"})], accepted=False, inspection=CLEAN)
    assert [line.kind for line in made.events] == ["refused", "inspected"]


def test_the_ledger_names_every_part_that_is_not_clean() -> None:
    (line,) = timeline(envelope(), [], accepted=True, inspection=MIXED).events
    assert "infected" in line.text and "3 parts" in line.text
    assert "2 infected (Eicar-Test)" in line.text
    assert "3 not-scanned (encrypted)" in line.text
    assert [part["name"] for part in line.facts["parts"]] == ["a.txt", "b.exe", "c.zip"]


def test_as_json_it_is_plain() -> None:
    given = envelope(local(), outside("x@else.example"))
    waiting = [("x@else.example", "queued", "")]
    made = timeline(given, [Event(1, "committed", {})], accepted=True, size=5, waiting=waiting)
    plain = json.loads(json.dumps(made.as_json()))
    assert plain["queue_id"] == given.queue_id
    assert plain["recipients"] == ["bob@acme.example", "x@else.example"]
    assert plain["waiting"] == [{"recipient": "x@else.example", "state": "queued", "reason": ""}]
    assert plain["events"][0]["kind"] == "committed"
