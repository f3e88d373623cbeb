"""What policies do with what the checks of senders found."""

from __future__ import annotations

import datetime

import pytest

from mailgate.model.decision import Action
from mailgate.model.sender import Seal, Sender
from mailgate.policy.evaluate import evaluate
from tests.policy.making import facts, infected, part, policy, problems, snapshot, write

FAILS = Sender(author="bank.example", spf="fail", dmarc="fail", asked_for="reject")
ASKS_FOR_QUARANTINE = Sender(author="bank.example", dmarc="fail", asked_for="quarantine")
ASKS_FOR_NOTHING = Sender(author="bank.example", dmarc="fail", asked_for="none")
PUZZLE = Sender(problem="2 From fields", dmarc="permerror")
UNKNOWN = Sender(author="bank.example", dmarc="temperror")
NOW = datetime.datetime(2027, 3, 31, 12, tzinfo=datetime.UTC).timestamp()
DAY = 86_400.0


def decided(sender: Sender | None, gateway: str = "", tenant: str = "", at: float = NOW) -> tuple[Action, str]:
    decision = evaluate(policy(gateway, tenant), facts(part(), sender=sender, at=at))
    return decision.action, decision.rule


@pytest.mark.parametrize(
    ("sender", "gateway", "expected"),
    [
        (None, "", (Action.ACCEPT, "built-in: clean")),
        (Sender(author="bank.example", dmarc="pass"), "", (Action.ACCEPT, "built-in: clean")),
        (FAILS, "", (Action.REJECT, "built-in: authentication.dmarc_reject")),
        (ASKS_FOR_QUARANTINE, "", (Action.QUARANTINE, "built-in: authentication.dmarc_quarantine")),
        (ASKS_FOR_NOTHING, "", (Action.ACCEPT, "built-in: clean")),
        (PUZZLE, "", (Action.REJECT, "built-in: authentication.malformed_from")),
        (UNKNOWN, "", (Action.ACCEPT, "built-in: clean")),
        (
            UNKNOWN,
            '[authentication]\ndns_failure = "defer"',
            (Action.DEFER, "gateway.toml: authentication.dns_failure"),
        ),
        (
            FAILS,
            '[authentication]\ndmarc_reject = "quarantine"',
            (Action.QUARANTINE, "gateway.toml: authentication.dmarc_reject"),
        ),
        (
            PUZZLE,
            '[authentication]\nmalformed_from = "accept"',
            (Action.ACCEPT, "gateway.toml: authentication.malformed_from"),
        ),
    ],
)
def test_actions(sender: Sender | None, gateway: str, expected: tuple[Action, str]) -> None:
    assert decided(sender, gateway) == expected


def test_a_rejection_for_dmarc_is_a_550() -> None:
    assert evaluate(policy(), facts(part(), sender=FAILS)).code == 550
    assert evaluate(policy(), facts(infected(), sender=FAILS)).code == 554


def test_malware_is_named_before_the_sender() -> None:
    assert evaluate(policy(), facts(infected(), sender=FAILS)).rule == "built-in: scanning.infected"


def test_the_strictest_of_sender_and_attachments_counts() -> None:
    rule = '[[attachments]]\nname = "wait"\naction = "quarantine"\nfilename = "*"\n'
    assert evaluate(policy(rule), facts(part("a.txt"), sender=FAILS)).action is Action.REJECT
    rule = rule.replace("quarantine", "reject")
    assert evaluate(policy(rule), facts(part("a.txt"), sender=ASKS_FOR_QUARANTINE)).action is Action.REJECT


EXCEPTION = '[[exceptions]]\ndomain = "{}"\nreason = "their forwarder breaks it"\nexpires = 2027-03-31\n'


@pytest.mark.parametrize(
    ("domain", "at", "expected"),
    [
        ("bank.example", NOW, Action.ACCEPT),
        ("*.example", NOW, Action.ACCEPT),
        ("bank.example", NOW + DAY, Action.REJECT),
        ("*.bank.example", NOW, Action.REJECT),
        ("other.example", NOW, Action.REJECT),
    ],
)
def test_exceptions(domain: str, at: float, expected: Action) -> None:
    decision = evaluate(policy("", EXCEPTION.format(domain)), facts(part(), sender=FAILS, at=at))
    assert decision.action is expected
    if expected is Action.ACCEPT:
        assert "their forwarder breaks it" in decision.reason


def test_an_exception_lets_no_attachment_pass() -> None:
    rule = '[[attachments]]\nname = "no"\naction = "reject"\nfilename = "*"\n'
    found = evaluate(policy(EXCEPTION.format("bank.example") + rule), facts(part("a.txt"), sender=FAILS, at=NOW))
    assert found.action is Action.REJECT


TRUST = '[authentication]\ntrusted_sealers = ["lists.example", "*.trusted.example"]\n'


@pytest.mark.parametrize(
    ("seals", "expected"),
    [
        ([("lists.example", "pass")], Action.ACCEPT),
        ([("a.trusted.example", "fail"), ("lists.example", "pass")], Action.ACCEPT),
        ([("lists.example", "fail")], Action.REJECT),
        ([("evil.example", "pass")], Action.REJECT),
        ([("evil.example", "pass"), ("lists.example", "pass")], Action.REJECT),
        ([("lists.example", "fail"), ("evil.example", "pass")], Action.REJECT),
        ([], Action.REJECT),
    ],
)
def test_trusted_sealers(seals: list[tuple[str, str]], expected: Action) -> None:
    sender = Sender("bank.example", "", "fail", "fail", "reject", tuple(Seal(*seal) for seal in seals))
    assert decided(sender, TRUST)[0] is expected


def test_what_is_wrong_is_told(tmp_path: object) -> None:
    folder = write(tmp_path, '[authentication]\ndmarc_reject = "hold"\n[[exceptions]]\ndomain = "a.example"\n')  # type: ignore[arg-type]
    assert problems(folder) == [
        'gateway.toml:2: authentication.dmarc_reject: "hold" is not one of accept, quarantine, reject',
        "gateway.toml:3: exceptions[1]: expires is missing; add it: the last day on which it holds (UTC), e.g. "
        "`2027-03-31`",
        "gateway.toml:3: exceptions[1]: reason is missing; add it: why; timelines show it",
    ]


def test_snapshots_keep_dates() -> None:
    made = snapshot(EXCEPTION.format("bank.example"))
    read = type(made).decode(made.encode())
    assert read.for_gateway.exceptions == made.for_gateway.exceptions
