"""Suspicious mail: its own value, weaker than malware, never a way past what was not scanned."""

from __future__ import annotations

from typing import Any

import pytest

from mailgate.model.decision import Action
from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName
from mailgate.model.verdict import Inspection, PartReport, Unscanned, Verdict
from mailgate.policy.evaluate import evaluate
from mailgate.policy.releasing import is_only_encrypted
from tests.policy.making import facts, infected, part, policy, unscanned

NAME = "Heuristics.Phishing.Email.SpoofedDomain"
DIGEST = "ab" * 32
ENVELOPE = Envelope(
    QueueId("1m8q5pmqd6y1wjpq"),
    TenantName("acme"),
    Direction.INBOUND,
    "alice@elsewhere.example",
    (Recipient("bob@acme.example"),),
    Client("192.0.2.1"),
    1_800_000_000.0,
)
GROUNDS = 'made_by = "eve@acme.example"\nreason = "checked by hand"\nexpires = 2027-03-31\n'
BY_NAME = f'[[scanner_exceptions]]\n{GROUNDS}signature = "{NAME}"\n'


def suspicious(name: str = "", **more: Any) -> PartReport:
    return part(name, verdict=Verdict.SUSPICIOUS, **{"signature": NAME, **more})


@pytest.mark.parametrize("action", [Action.ACCEPT, Action.QUARANTINE, Action.REJECT])
@pytest.mark.parametrize("direction", Direction)
def test_the_value_decides_for_mail_of_both_directions(action: Action, direction: Direction) -> None:
    wanted = policy('[scanning]\nsuspicious = "reject"\n', f'[scanning]\nsuspicious = "{action}"\n')
    decision = evaluate(wanted, facts(part(), suspicious(place="2"), direction=direction))
    if direction is Direction.OUTBOUND and action is Action.QUARANTINE:
        action = Action.REJECT  # submission.withheld: nobody could release it
    assert (decision.action, decision.rule) == (action, "tenants/acme.toml: scanning.suspicious")
    assert NAME in decision.reason
    assert "infected" not in decision.reason


@pytest.mark.parametrize(
    ("tenant", "parts", "action", "key"),
    [
        ("", (suspicious(),), Action.QUARANTINE, "scanning.suspicious"),
        ("", (suspicious(), infected(place="2")), Action.REJECT, "scanning.infected"),
        ("accept", (suspicious(), infected(place="2")), Action.REJECT, "scanning.infected"),
        ("accept", (suspicious(), unscanned(Unscanned.LIMIT, place="2/*")), Action.QUARANTINE, "unscanned.limit"),
        ("accept", (suspicious(), unscanned(Unscanned.SCANNER_DOWN)), Action.DEFER, "scanning.scanner_down"),
        ("reject", (suspicious(), unscanned(Unscanned.LIMIT, place="2")), Action.REJECT, "scanning.suspicious"),
    ],
)
def test_beside_other_findings(tenant: str, parts: tuple[PartReport, ...], action: Action, key: str) -> None:
    own = f'[scanning]\nsuspicious = "{tenant}"\n' if tenant else ""
    decision = evaluate(policy("", own), facts(*parts))
    assert (decision.action, decision.key) == (action, key)


@pytest.mark.parametrize(
    ("parts", "action"),
    [
        ((suspicious(),), Action.ACCEPT),
        ((part(), suspicious(place="raw")), Action.ACCEPT),
        ((suspicious(signature="PUA.Other"),), Action.QUARANTINE),
        ((suspicious("a.zip", digest=DIGEST, classes=("archive",), place="2"),), Action.QUARANTINE),
        (
            (suspicious("a.bin", digest=DIGEST, place="2"), unscanned(Unscanned.LIMIT, place="2/*")),
            Action.QUARANTINE,
        ),
    ],
)
def test_exceptions_from_the_scanner_take_its_names(parts: tuple[PartReport, ...], action: Action) -> None:
    decision = evaluate(policy("", BY_NAME), facts(*parts))
    assert decision.action is action
    if action is Action.ACCEPT:
        assert decision.exceptions[0].waived == f"suspicious: {NAME}"


def test_what_is_suspicious_too_is_not_its_recipients_to_release() -> None:
    held = Inspection((unscanned(Unscanned.ENCRYPTED, "a.zip"), suspicious("b.bin", place="2")))
    for value, may in (("quarantine", False), ("reject", False), ("accept", True)):
        own = policy(f'[scanning]\nsuspicious = "{value}"\n')
        assert is_only_encrypted(own, ENVELOPE, "bob@acme.example", held, 1_800_000_000.0) is may
