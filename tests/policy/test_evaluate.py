"""Promise 2 (nothing unscanned passes), promise 7 (one reply) and the order of precedence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Direction
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import PartReport, Unscanned, Verdict
from mailgate.policy.evaluate import Ruling, evaluate, evaluate_each, one_reply
from mailgate.policy.facts import Facts
from mailgate.policy.rules import is_attachment
from tests.policy.making import facts, infected, part, policy, unscanned

ACCEPT_ALL = '[[attachments]]\nname = "let it in"\naction = "accept"\nfilename = "*"\n'
NO_PROGRAMS = '[[attachments]]\nname = "no programs"\naction = "reject"\nclass = "executable"\n'
MACROS_WAIT = '[[attachments]]\nname = "macros wait"\naction = "quarantine"\nclass = "macro"\n'
PROGRAM = part("setup.exe", classes=("executable",))
MACRO = part("sheet.xlsm", classes=("macro",), place="2")


def decided(gateway: str, message: Facts, tenant: str = "") -> tuple[Action, str]:
    decision = evaluate(policy(gateway, tenant), message)
    return decision.action, decision.rule


def test_clean_message_is_accepted() -> None:
    found = policy()
    assert evaluate(found, facts(part())) == Decision(
        Action.ACCEPT, "built-in: clean", "every part was scanned and is clean", found.version
    )


@pytest.mark.parametrize(
    ("gateway", "message", "expected"),
    [
        ("", facts(infected()), (Action.REJECT, "built-in: scanning.infected")),
        ("", facts(part(), infected(), part()), (Action.REJECT, "built-in: scanning.infected")),
        (
            '[scanning]\ninfected = "quarantine"',
            facts(infected()),
            (Action.QUARANTINE, "gateway.toml: scanning.infected"),
        ),
        ("", facts(), (Action.DEFER, "built-in: scanning.scanner_down")),
        ("", facts(unscanned(Unscanned.SCANNER_DOWN)), (Action.DEFER, "built-in: scanning.scanner_down")),
        ("", facts(part(), unscanned(Unscanned.SCANNER_ERROR)), (Action.DEFER, "built-in: scanning.scanner_down")),
        ("", facts(unscanned(Unscanned.LIMIT)), (Action.QUARANTINE, "built-in: unscanned.limit")),
        ("", facts(unscanned(Unscanned.ENCRYPTED)), (Action.QUARANTINE, "built-in: unscanned.encrypted")),
        ("", facts(unscanned(Unscanned.WORKER)), (Action.QUARANTINE, "built-in: unscanned.worker")),
        ("", facts(unscanned(None)), (Action.QUARANTINE, "built-in: unscanned.worker")),
        (
            '[unscanned]\nencrypted = "reject"',
            facts(unscanned(Unscanned.LIMIT), unscanned(Unscanned.ENCRYPTED)),
            (Action.REJECT, "gateway.toml: unscanned.encrypted"),
        ),
        ("", facts(part(), defects=("bom",)), (Action.ACCEPT, "built-in: clean")),
        ("", facts(part(), defects=("message-partial",)), (Action.QUARANTINE, "built-in: defects.message-partial")),
        ("", facts(part(), defects=("external-body",)), (Action.QUARANTINE, "built-in: defects.external-body")),
        ('[defects]\n"*" = "reject"', facts(part(), defects=("bom",)), (Action.REJECT, "gateway.toml: defects.*")),
        (
            '[defects]\nexternal-body = "scan"',
            facts(part(), defects=("external-body",)),
            (Action.ACCEPT, "built-in: clean"),
        ),
        ("", facts(part(), received_hops=50), (Action.ACCEPT, "built-in: clean")),
        ("", facts(part(), received_hops=51), (Action.REJECT, "built-in: limits.received_hops")),
        ('[limits]\nmessage_size = "64 KiB"', facts(part(), size=65_536), (Action.ACCEPT, "built-in: clean")),
        (
            '[limits]\nmessage_size = "64 KiB"',
            facts(part(), size=65_537),
            (Action.REJECT, "gateway.toml: limits.message_size"),
        ),
    ],
)
def test_built_in_steps(gateway: str, message: Facts, expected: tuple[Action, str]) -> None:
    assert decided(gateway, message) == expected


@pytest.mark.parametrize(
    ("direction", "setting", "action"),
    [
        (Direction.OUTBOUND, "hold", Action.HOLD),
        (Direction.OUTBOUND, "defer", Action.DEFER),
        (Direction.INBOUND, "hold", Action.DEFER),
    ],
)
def test_scanner_down(direction: Direction, setting: str, action: Action) -> None:
    message = facts(unscanned(Unscanned.SCANNER_DOWN), direction=direction)
    assert decided(f'[scanning]\nscanner_down = "{setting}"', message)[0] is action


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (facts(infected(), unscanned(Unscanned.SCANNER_DOWN), received_hops=99), "built-in: limits.received_hops"),
        (facts(infected(), unscanned(Unscanned.SCANNER_DOWN)), "gateway.toml: scanning.infected"),
        (facts(PROGRAM, infected(), unscanned(Unscanned.LIMIT)), "gateway.toml: scanning.infected"),
        (facts(PROGRAM, unscanned(Unscanned.SCANNER_DOWN)), "built-in: scanning.scanner_down"),
        (facts(PROGRAM, unscanned(Unscanned.LIMIT)), 'gateway.toml: attachments[1] "no programs"'),
        (facts(MACRO, unscanned(Unscanned.LIMIT)), "built-in: unscanned.limit"),
        (facts(MACRO, defects=("message-partial",)), "built-in: defects.message-partial"),
        (facts(unscanned(Unscanned.LIMIT), defects=("message-partial",)), "built-in: unscanned.limit"),
        (facts(PROGRAM, defects=("message-partial",)), 'gateway.toml: attachments[1] "no programs"'),
        (facts(MACRO, PROGRAM), 'gateway.toml: attachments[1] "no programs"'),
        (facts(MACRO, part()), 'gateway.toml: attachments[2] "macros wait"'),
    ],
)
def test_order_of_precedence(message: Facts, rule: str) -> None:
    """`infected` only quarantines here, so that a stricter rule would win if it were weighed against it."""
    assert decided('[scanning]\ninfected = "quarantine"\n' + NO_PROGRAMS + MACROS_WAIT, message)[1] == rule


def test_first_matching_rule_acts_the_tenants_before_the_gateways() -> None:
    assert decided(NO_PROGRAMS, facts(PROGRAM), ACCEPT_ALL) == (
        Action.ACCEPT,
        'tenants/acme.toml: attachments[1] "let it in"',
    )
    assert decided(ACCEPT_ALL, facts(PROGRAM), NO_PROGRAMS)[0] is Action.REJECT
    assert decided(ACCEPT_ALL + NO_PROGRAMS, facts(PROGRAM))[0] is Action.ACCEPT


def test_rule_may_be_stricter_on_a_part_that_could_not_be_scanned() -> None:
    locked = unscanned(Unscanned.ENCRYPTED, "a.zip", classes=("archive",))
    rule = NO_PROGRAMS.replace('class = "executable"', 'class = "archive"\nencrypted = true')
    assert decided(rule, facts(locked)) == (Action.REJECT, 'gateway.toml: attachments[1] "no programs"')


def test_accept_ends_the_rules_for_its_part_only() -> None:
    accept_macro = ACCEPT_ALL.replace('filename = "*"', 'class = "macro"')
    assert decided(NO_PROGRAMS + MACROS_WAIT, facts(MACRO), accept_macro)[0] is Action.ACCEPT
    assert decided(NO_PROGRAMS + MACROS_WAIT, facts(MACRO, PROGRAM), accept_macro)[0] is Action.REJECT


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (part("a.txt", "text/plain"), True),
        (part("", "text/plain"), False),
        (part("", "text/html", is_attachment=True), True),
        (part("", "image/png"), True),
        (part("", ""), True),
        (part("", "message/rfc822", place="raw"), False),
        (part("", "message/rfc822", place="raw", classes=("macro",)), True),
        (part("", "message/rfc822", place="raw", encrypted=True), True),
    ],
)
def test_what_rules_look_at(report: PartReport, expected: bool) -> None:
    assert is_attachment(report) is expected
    rejected = decided(ACCEPT_ALL.replace("accept", "reject"), facts(report))[0] is Action.REJECT
    assert rejected is expected


def test_decision_names_part_and_reason_for_the_sender() -> None:
    decision = evaluate(policy(NO_PROGRAMS), facts(part(), PROGRAM))
    assert (decision.place, decision.reason) == ("1", 'the attachment "setup.exe" is not accepted here')
    own_words = NO_PROGRAMS + 'reply = "Please send a link"'
    assert evaluate(policy(own_words), facts(PROGRAM)).reason == "Please send a link"


def test_reason_names_the_signature() -> None:
    decision = evaluate(policy(), facts(infected(place="2/1")))
    assert (decision.place, decision.reason) == ("2/1", "the message is infected with Eicar-Signature")


@given(st.text(max_size=300))
def test_reason_is_one_short_line_of_ascii_whatever_the_names(name: str) -> None:
    reports = (
        part(name, classes=("executable",)),
        part("", verdict=Verdict.INFECTED, signature=name),
        unscanned(Unscanned.LIMIT, name),
    )
    for report in reports:
        reason = evaluate(policy(NO_PROGRAMS), facts(report)).reason
        assert reason.isascii() and reason.isprintable() and len(reason) < 200


BY_RECIPIENT = NO_PROGRAMS + 'recipient = "strict*@acme.example"\n'


def test_recipients_who_are_treated_alike_share_a_ruling() -> None:
    recipients = ("strict1@acme.example", "bob@acme.example", "STRICT2@acme.example", "eve@acme.example")
    rulings = evaluate_each(policy(BY_RECIPIENT), facts(PROGRAM, recipients=recipients))
    assert [(ruling.recipients, ruling.decision.action) for ruling in rulings] == [
        (recipients[::2], Action.QUARANTINE),
        (recipients[1::2], Action.ACCEPT),
    ]
    assert rulings[0].decision.rule == 'gateway.toml: attachments[1] "no programs"'


def test_one_decision_for_recipients_who_are_treated_differently_withholds() -> None:
    mixed = facts(PROGRAM, recipients=("bob@acme.example", "strict@acme.example"))
    assert decided(BY_RECIPIENT, mixed)[0] is Action.QUARANTINE
    assert decided(BY_RECIPIENT, facts(PROGRAM, recipients=("strict@acme.example",)))[0] is Action.REJECT
    assert decided(BY_RECIPIENT, facts(PROGRAM))[0] is Action.ACCEPT


def _ruling(action: Action) -> Ruling:
    return Ruling((f"{action}@acme.example",), Decision(action, f"rule {action}", "reason", "version"))


@given(st.lists(st.sampled_from(Action), min_size=1, max_size=5))
def test_there_is_one_reply_for_all(actions: list[Action]) -> None:
    answered = [ruling.decision.action for ruling in one_reply([_ruling(action) for action in actions])]
    if Action.DEFER in actions:
        assert set(answered) == {Action.DEFER}
    elif set(actions) == {Action.REJECT}:
        assert answered == actions
    else:
        assert answered == [Action.QUARANTINE if action is Action.REJECT else action for action in actions]


_PARTS = st.builds(
    lambda verdict, reason, name, classes, **more: part(
        name,
        verdict=verdict,
        reason=reason if verdict is Verdict.NOT_SCANNED else None,
        classes=tuple(classes),
        **more,
    ),
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from([*Unscanned, None]),
    name=st.sampled_from(["", "a.exe", "b.pdf"]),
    classes=st.lists(st.sampled_from(PartClass), max_size=2),
    detected=st.sampled_from(["text/plain", "application/pdf", ""]),
    place=st.sampled_from(["raw", "1", "2/1"]),
    encrypted=st.booleans(),
    size=st.integers(0, 2000),
    is_attachment=st.booleans(),
)
_MESSAGES = st.builds(
    lambda parts, **more: facts(*parts, **more),
    parts=st.lists(_PARTS, max_size=5),
    defects=st.lists(st.sampled_from(["bom", "message-partial"]), max_size=2).map(tuple),
    direction=st.sampled_from(Direction),
    received_hops=st.integers(0, 60),
    recipients=st.lists(st.sampled_from(["bob@acme.example", "eve@acme.example"]), min_size=1, max_size=3).map(tuple),
)
_CONDITIONS = (
    'filename = "*"',
    'class = "executable"',
    'extension = "exe"',
    "larger_than = 1000",
    "encrypted = true",
    'direction = "inbound"',
    'sender = "*"',
    'recipient = "bob@*"',
)
_RULES = st.lists(
    st.builds(
        lambda action, condition: f'[[attachments]]\nname = "r"\naction = "{action}"\n{condition}\n',
        st.sampled_from(["accept", "quarantine", "reject"]),
        st.sampled_from(_CONDITIONS),
    ),
    max_size=4,
).map("".join)
_VALUES = st.builds(
    lambda infected, down, limit: (
        f'[scanning]\ninfected = "{infected}"\nscanner_down = "{down}"\n[unscanned]\nlimit = "{limit}"\n'
    ),
    st.sampled_from(["reject", "quarantine"]),
    st.sampled_from(["defer", "hold"]),
    st.sampled_from(["quarantine", "reject"]),
)


def may_pass(message: Facts) -> bool:
    """Clean, or not scanned only since it is for nobody's eyes but the recipient's, which these policies accept, or
    leaves with a password."""
    inspection = message.inspection
    passing = {Unscanned.END_TO_END_ENCRYPTED}
    if message.direction is Direction.OUTBOUND:
        passing.add(Unscanned.ENCRYPTED)
    others = [part for part in inspection.unscanned if part.reason not in passing]
    return bool(inspection.parts) and inspection.verdict is not Verdict.INFECTED and not others


@given(_MESSAGES, _VALUES, _RULES, _RULES)
def test_nothing_unscanned_passes_whatever_the_policy(message: Facts, values: str, rules: str, own: str) -> None:
    decision = evaluate(policy(values + rules, own), message)
    if not may_pass(message):
        assert decision.action is not Action.ACCEPT
    if decision.action in (Action.HOLD, Action.DEFER):
        assert message.inspection.is_transient
        assert message.inspection.verdict is Verdict.NOT_SCANNED
    if decision.action is Action.HOLD:
        assert message.direction is Direction.OUTBOUND


@given(_MESSAGES, _VALUES, _RULES, st.sampled_from(_CONDITIONS))
def test_an_accept_rule_of_a_tenant_never_lets_anything_but_clean_pass(
    message: Facts, values: str, rules: str, condition: str
) -> None:
    before = evaluate(policy(values + rules), message)
    accept = ACCEPT_ALL.replace('filename = "*"', condition)
    after = evaluate(policy(values + rules, accept), message)
    if may_pass(message):
        return
    assert after.action is not Action.ACCEPT
    if "scanning" in before.rule:
        assert (after.action, after.rule) == (before.action, before.rule)


@given(_MESSAGES, _VALUES, _RULES)
def test_one_decision_is_at_least_as_strict_as_that_for_each_recipient(message: Facts, values: str, rules: str) -> None:
    found = policy(values + rules)
    rulings = evaluate_each(found, message)
    assert sorted(name for ruling in rulings for name in ruling.recipients) == sorted(message.recipients)
    if evaluate(found, message).action is Action.ACCEPT:
        assert all(ruling.decision.action is Action.ACCEPT for ruling in rulings)


LEAVING = {"direction": Direction.OUTBOUND, "reverse_path": "bob@acme.example", "recipients": ("kim@far.example",)}


def test_what_has_a_password_leaves_and_is_marked() -> None:
    decision = evaluate(policy(), facts(unscanned(Unscanned.ENCRYPTED, "list.zip"), **LEAVING))
    assert (decision.action, decision.key) == (Action.ACCEPT, "unscanned.encrypted_outbound")
    assert decision.reason == 'the attachment "list.zip" can\'t be scanned (encrypted)'


def test_what_has_a_password_waits_among_colleagues() -> None:
    hosted = LEAVING | {
        "recipients": ("amy@acme.example", "kim@far.example"),
        "hosted": frozenset({"amy@acme.example"}),
    }
    rulings = evaluate_each(policy(), facts(unscanned(Unscanned.ENCRYPTED), **hosted))
    assert {ruling.recipients: ruling.decision.action for ruling in rulings} == {
        ("amy@acme.example",): Action.QUARANTINE,
        ("kim@far.example",): Action.ACCEPT,
    }


@pytest.mark.parametrize(
    ("gateway", "message"),
    [
        ("", unscanned(Unscanned.LIMIT, "many.zip", detail="more files in it than are looked at")),
        ('[unscanned]\nencrypted_outbound = "quarantine"', unscanned(Unscanned.ENCRYPTED)),
        ('[scanning]\ninfected = "quarantine"', infected()),
        (MACROS_WAIT, MACRO),
    ],
)
def test_what_would_wait_on_its_way_out_is_refused_unless_the_policy_keeps_it(
    gateway: str, message: PartReport
) -> None:
    assert evaluate(policy(gateway), facts(message, **LEAVING)).action is Action.REJECT
    kept = gateway + '\n[submission]\nwithheld = "quarantine"'
    assert evaluate(policy(kept), facts(message, **LEAVING)).action is Action.QUARANTINE
    assert evaluate(policy(gateway), facts(message)).action is Action.QUARANTINE, "from outside it waits"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (
            [part("many.zip", place="2"), unscanned(Unscanned.LIMIT, place="2/*", detail="too many files")],
            'something in the attachment "many.zip" can\'t be scanned (limit: too many files)',
        ),
        (
            [part("a.zip", place="2"), part(place="2/1"), unscanned(Unscanned.LIMIT, place="2/1/7", detail="x")],
            'something in the attachment "a.zip" can\'t be scanned (limit: x)',
        ),
        ([unscanned(Unscanned.LIMIT, place="", detail="d")], "the message can't be scanned (limit: d)"),
        ([unscanned(Unscanned.LIMIT, place="raw")], "the message can't be scanned (limit)"),
        ([unscanned(Unscanned.WORKER, place="raw", detail="killed")], "the message can't be scanned (worker)"),
        ([unscanned(Unscanned.LIMIT, place="3")], "an attachment without a name can't be scanned (limit)"),
    ],
)
def test_a_limit_is_told_with_the_file_and_which(parts: list[PartReport], reason: str) -> None:
    assert evaluate(policy(), facts(*parts)).reason == reason
