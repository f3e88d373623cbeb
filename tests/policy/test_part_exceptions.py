"""Exceptions from the scanner and from attachment rules: what they cover, when, and what they never let pass."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.decision import Action
from mailgate.model.envelope import Direction
from mailgate.model.verdict import PartReport, Unscanned, Verdict
from mailgate.policy.evaluate import evaluate, evaluate_each
from mailgate.policy.expired import expired
from mailgate.policy.loader import load
from tests.policy.making import SIZE_LIMIT, facts, infected, part, policy, problems, unscanned, write

DIGEST, OTHER = "ab" * 32, "cd" * 32
GROUNDS = 'made_by = "eve@acme.example"\nreason = "checked by hand"\nexpires = 2027-03-31\n'
BY_DIGEST = f'[[scanner_exceptions]]\n{GROUNDS}digest = "{DIGEST}"\n'
BY_NAME = f'[[scanner_exceptions]]\n{GROUNDS}signature = "Eicar-Signature"\n'
NO_PROGRAMS = '[[attachments]]\nname = "no programs"\naction = "reject"\nclass = "executable"\n'
NO_SETUP = '[[attachments]]\nname = "no setup"\naction = "quarantine"\nfilename = "setup*"\n'
LET_PROGRAM = f'[[attachment_exceptions]]\n{GROUNDS}digest = "{DIGEST}"\n'
LET_RULE = f'[[attachment_exceptions]]\n{GROUNDS}rule = "no programs"\n'

SUSPECT = infected("tool.txt", digest=DIGEST)
RAW = infected(place="raw")
PROGRAM = part("setup.exe", classes=("executable",), digest=DIGEST)
ARCHIVE = infected("a.zip", digest=DIGEST, classes=("archive",), place="2")
MEMBER = infected("x.exe", place="2/1", classes=("executable",))


@pytest.mark.parametrize(
    ("exceptions", "parts", "action"),
    [
        (BY_DIGEST, (SUSPECT,), Action.ACCEPT),
        (BY_DIGEST, (part(), SUSPECT, RAW), Action.ACCEPT),
        (BY_DIGEST, (infected(digest=OTHER),), Action.REJECT),
        (BY_DIGEST, (infected(),), Action.REJECT),
        (BY_DIGEST, (SUSPECT, infected("b", digest=OTHER, place="3")), Action.REJECT),
        (BY_DIGEST, (part(digest=DIGEST), RAW), Action.REJECT),
        (BY_DIGEST, (SUSPECT, part(place="raw", verdict=Verdict.INFECTED, signature="Another")), Action.REJECT),
        (BY_DIGEST, (ARCHIVE, MEMBER), Action.ACCEPT),
        (BY_DIGEST, (ARCHIVE, infected("x", place="2/1", encrypted=True)), Action.REJECT),
        (BY_DIGEST, (ARCHIVE, unscanned(Unscanned.LIMIT, place="2/*")), Action.REJECT),
        (BY_DIGEST, (SUSPECT, unscanned(Unscanned.LIMIT, place="3")), Action.QUARANTINE),
        (BY_DIGEST, (SUSPECT, unscanned(Unscanned.SCANNER_DOWN, place="3")), Action.DEFER),
        (BY_DIGEST, (ARCHIVE, infected("x", place="3/1")), Action.REJECT),
        (BY_DIGEST, (infected(digest=DIGEST, signature=""), infected(place="raw", signature="")), Action.REJECT),
        (BY_NAME, (SUSPECT,), Action.ACCEPT),
        (BY_NAME, (RAW,), Action.ACCEPT),
        (BY_NAME, (ARCHIVE,), Action.REJECT),
        (BY_NAME, (infected("a.docx", digest=DIGEST, place="2"), MEMBER), Action.REJECT),
        (BY_NAME, (infected("a.iso", classes=("disk-image",)),), Action.REJECT),
        (BY_NAME, (infected("a.pdf", encrypted=True),), Action.REJECT),
        (BY_NAME, (part(verdict=Verdict.INFECTED, signature="Eicar-Signature-2"),), Action.REJECT),
        (BY_NAME, (part(verdict=Verdict.INFECTED, signature="eicar-signature"),), Action.REJECT),
        (BY_NAME + f'digest = "{DIGEST}"', (SUSPECT, RAW), Action.ACCEPT),
        (BY_NAME + f'digest = "{OTHER}"', (SUSPECT,), Action.REJECT),
        (BY_NAME + f'digest = "{DIGEST}"', (RAW,), Action.REJECT),
        (BY_DIGEST + 'sender = "*@elsewhere.example"', (SUSPECT,), Action.ACCEPT),
        (BY_DIGEST + 'sender = "*@other.example"', (SUSPECT,), Action.REJECT),
        (BY_DIGEST + 'recipient = "BOB@*"', (SUSPECT,), Action.ACCEPT),
        (BY_DIGEST + 'recipient = "carol@*"', (SUSPECT,), Action.REJECT),
        (BY_DIGEST.replace("2027-03-31", "2027-01-14"), (SUSPECT,), Action.REJECT),
        (BY_DIGEST.replace("2027-03-31", "2027-01-15"), (SUSPECT,), Action.ACCEPT),
    ],
)
def test_false_positives(exceptions: str, parts: tuple[PartReport, ...], action: Action) -> None:
    assert evaluate(policy("", exceptions), facts(*parts)).action is action


def test_an_exception_from_the_scanner_is_none_from_the_rules() -> None:
    program = infected("setup.exe", digest=DIGEST, classes=("executable",))
    decision = evaluate(policy(NO_PROGRAMS, BY_DIGEST), facts(program))
    assert (decision.action, decision.rule) == (Action.REJECT, 'gateway.toml: attachments[1] "no programs"')
    assert evaluate(policy(NO_PROGRAMS, BY_DIGEST), facts(ARCHIVE, MEMBER)).action is Action.REJECT


@pytest.mark.parametrize(
    ("exceptions", "found", "action"),
    [
        (LET_PROGRAM, PROGRAM, Action.ACCEPT),
        (LET_PROGRAM, part("setup.exe", classes=("executable",), digest=OTHER), Action.REJECT),
        (LET_RULE, PROGRAM, Action.QUARANTINE),
        (LET_RULE.replace("no programs", "no setup"), PROGRAM, Action.REJECT),
        (LET_RULE.replace('"no programs"', '["no setup", "no programs"]'), PROGRAM, Action.ACCEPT),
        (LET_PROGRAM + 'sender = "x@y.example"', PROGRAM, Action.REJECT),
        (LET_PROGRAM + 'recipient = "bob@acme.example"', PROGRAM, Action.ACCEPT),
        (LET_PROGRAM.replace("2027", "2026"), PROGRAM, Action.REJECT),
        (LET_PROGRAM, infected("setup.exe", digest=DIGEST), Action.REJECT),
        (LET_PROGRAM, unscanned(Unscanned.ENCRYPTED, "setup.exe", digest=DIGEST), Action.QUARANTINE),
    ],
)
def test_exceptions_from_rules(exceptions: str, found: PartReport, action: Action) -> None:
    assert evaluate(policy(NO_PROGRAMS + NO_SETUP, exceptions), facts(found)).action is action


def test_the_digest_of_an_archive_stands_for_what_is_inside() -> None:
    archive = part("a.zip", digest=DIGEST, classes=("archive",), place="2")
    member = part("x.exe", place="2/1", classes=("executable",))
    elsewhere = part("x.exe", place="3", digest=OTHER, classes=("executable",))
    found = policy(NO_PROGRAMS, LET_PROGRAM)
    assert evaluate(found, facts(archive, member)).action is Action.ACCEPT
    assert evaluate(found, facts(archive, member, elsewhere)).action is Action.REJECT


def test_the_decision_tells_which_exceptions_were_used() -> None:
    own = BY_DIGEST + LET_PROGRAM
    program = infected("setup.exe", digest=DIGEST, classes=("executable",), place="2")
    decision = evaluate(policy(NO_PROGRAMS, own), facts(part(), program))
    assert decision.action is Action.ACCEPT
    scanner, rule = decision.exceptions
    assert (scanner.rule, scanner.place, scanner.waived) == (
        "tenants/acme.toml: scanner_exceptions[1]",
        "2",
        "infected with Eicar-Signature",
    )
    assert rule.waived == 'stopped by gateway.toml: attachments[1] "no programs"'
    assert (rule.made_by, rule.reason, rule.expires) == ("eve@acme.example", "checked by hand", "2027-03-31")
    stopped = evaluate(policy(NO_PROGRAMS, BY_DIGEST), facts(program))
    assert [use.place for use in stopped.exceptions] == ["2"]


def test_an_exception_for_one_recipient_leaves_the_others_as_they_were() -> None:
    message = facts(SUSPECT, recipients=("bob@acme.example", "carol@acme.example"))
    rulings = evaluate_each(policy("", BY_DIGEST + 'recipient = "bob@*"'), message)
    assert {ruling.recipients: ruling.decision.action for ruling in rulings} == {
        ("bob@acme.example",): Action.ACCEPT,
        ("carol@acme.example",): Action.QUARANTINE,
    }


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"[[scanner_exceptions]]\n{GROUNDS}", 1, "names neither a digest nor a signature"),
        (f'[[scanner_exceptions]]\n{GROUNDS}signature = "*"', 5, "not the exact name of one signature"),
        (f'[[scanner_exceptions]]\n{GROUNDS}signature = "Win.*"', 5, "not the exact name of one signature"),
        (
            f'[[scanner_exceptions]]\n{GROUNDS}signature = ["A", "Heuristics.Encrypted.Zip"]',
            5,
            "could not be scanned, and no exception",
        ),
        (f'[[scanner_exceptions]]\n{GROUNDS}digest = "12"', 5, "is not a SHA-256 fingerprint"),
        (f"[[attachment_exceptions]]\n{GROUNDS}", 1, "has no condition"),
        (f'[[attachment_exceptions]]\n{GROUNDS}signature = "A"', 5, "it belongs in [[scanner_exceptions]]"),
        (BY_NAME.replace('made_by = "eve@acme.example"\n', ""), 1, "made_by is missing; add it: who decided it"),
        (BY_NAME.replace('reason = "checked by hand"\n', ""), 1, "reason is missing"),
        (BY_NAME.replace("expires = 2027-03-31\n", ""), 1, "expires is missing"),
        (BY_NAME.replace("[[scanner_exceptions]]", "[scanner_exceptions]"), 1, "begin each rule with a line"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, line: int, words: str) -> None:
    found = problems(write(tmp_path, "", acme=text))
    assert [problem for problem in found if problem.startswith(f"tenants/acme.toml:{line}: ")] == found
    assert words in found[0]


def test_expired_exceptions_are_told_with_their_lines(tmp_path: Path) -> None:
    old = BY_DIGEST.replace("2027-03-31", "2027-01-01")
    dmarc = '[[exceptions]]\ndomain = "a.example"\nreason = "r"\nexpires = 2027-01-02\n'
    folder = write(tmp_path, dmarc, acme=f"{BY_NAME}{old}")
    found = expired(folder, load(folder, SIZE_LIMIT), datetime.date(2027, 1, 2))
    assert [str(problem).removeprefix(f"{folder}/") for problem in found] == [
        "tenants/acme.toml:6: scanner_exceptions[2] expired on 2027-01-01 and does nothing; remove it, or decide anew"
    ]
    later = expired(folder, load(folder, SIZE_LIMIT), datetime.date(2027, 1, 3))
    assert [problem.line for problem in later] == [1, 6]


_PARTS = st.builds(
    part,
    name=st.sampled_from(["", "setup.exe"]),
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from([None, *Unscanned]),
    signature=st.sampled_from(["", "Eicar-Signature", "Another"]),
    digest=st.sampled_from(["", DIGEST, OTHER]),
    classes=st.sampled_from([(), ("archive",), ("executable",)]),
    place=st.sampled_from(["raw", "1", "1/1", "2", "2/1"]),
    encrypted=st.booleans(),
)


@given(st.lists(_PARTS, max_size=5), st.sampled_from(Direction))
def test_no_exception_lets_anything_pass_that_was_not_scanned(parts: list[PartReport], direction: Direction) -> None:
    message = facts(*parts, direction=direction)
    decision = evaluate(policy(NO_PROGRAMS, BY_DIGEST + BY_NAME + LET_PROGRAM + LET_RULE), message)
    may_pass = {Unscanned.END_TO_END_ENCRYPTED}
    if direction is Direction.OUTBOUND:
        may_pass.add(Unscanned.ENCRYPTED)
    if any(part.reason not in may_pass for part in message.inspection.unscanned) or not parts:
        assert decision.action is not Action.ACCEPT
    named = {
        each.digest == DIGEST or each.signature == "Eicar-Signature"
        for each in parts
        if each.verdict is Verdict.INFECTED and each.place in ("1", "2")
    }
    if False in named:
        assert decision.action is not Action.ACCEPT
