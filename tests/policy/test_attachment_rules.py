"""What a rule's conditions match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.verdict import PartReport, Unscanned
from mailgate.policy.rules import Rule, plain_name
from mailgate.policy.schema import RuleDirection
from tests.policy.making import MIB, part, policy, unscanned


def rule(conditions: str, action: str = "reject") -> Rule:
    return policy(f'[[attachments]]\nname = "r"\naction = "{action}"\n{conditions}').rules[0]


@pytest.mark.parametrize(
    ("conditions", "matching", "other"),
    [
        ('type = "application/x-dosexec"', part(detected="application/x-dosexec"), part(detected="application/pdf")),
        ('type = "application/x-dosexec"', part(detected="Application/X-DOSEXEC"), part(detected="")),
        ('type = "application/*"', part(detected="application/pdf"), part(detected="image/png")),
        ('type = ["image/*", "video/*"]', part(detected="video/mp4"), part(detected="audio/ogg")),
        ('type = "a/b"', part(detected="a/b"), part(detected="x/y", declared_type="a/b")),
        ('class = "script"', part(classes=("archive", "script")), part(classes=("archive",))),
        ('class = ["script", "macro"]', part(classes=("macro",)), part()),
        ('class = "encrypted"', part(encrypted=True), part()),
        ('class = "encrypted"', unscanned(Unscanned.ENCRYPTED), unscanned(Unscanned.LIMIT)),
        ('extension = "exe"', part("a.exe"), part("exe")),
        ('extension = ".EXE"', part("A.Exe"), part("a.exe.txt")),
        ('extension = "exe"', part("a.exe. . "), part("aexe")),
        ('extension = "exe"', part("a.exe::$DATA"), part("a.exe::$DATA.txt")),
        ('extension = "exe"', part("a.exe\u200b\u202c"), part("a.exe\u200bx")),
        ('extension = "tar.gz"', part("a.tar.gz"), part("a.gz")),
        ('extension = ["js", "vbs"]', part("dir/a.vbs"), part("a.vbs/readme")),
        ('filename = "invoice*.zip"', part("Invoice 5.ZIP"), part("my invoice.zip")),
        ('filename = "a?[12].txt"', part("ab2.txt"), part("ab3.txt")),
        ('filename = "a.txt"', part("c:\\temp\\a.txt"), part("xa.txt")),
        ('larger_than = "1 MiB"', part(size=MIB + 1), part(size=MIB)),
        ("larger_than = 1000", part(size=1001), part(size=1000)),
        ("encrypted = true", part(encrypted=True), part(encrypted=False)),
        ("encrypted = true", unscanned(Unscanned.ENCRYPTED), unscanned(Unscanned.WORKER)),
        ("encrypted = false", part(), part(encrypted=True)),
        ('extension = "zip"\nencrypted = true', part("a.zip", encrypted=True), part("a.zip")),
        ('extension = "zip"\nlarger_than = 5', part("a.zip", size=6), part("a.tar", size=6)),
    ],
)
def test_conditions_on_the_part(conditions: str, matching: PartReport, other: PartReport) -> None:
    assert rule(conditions).matches(matching)
    assert not rule(conditions).matches(other)


def test_any_name_suffices_to_stop_a_part_but_all_are_needed_to_accept_it() -> None:
    shown = part("a.pdf", names=("a.pdf", "a.exe"))
    assert rule('extension = "exe"', "reject").matches(shown)
    assert rule('extension = "exe"', "quarantine").matches(shown)
    assert not rule('extension = "pdf"', "accept").matches(shown)
    assert rule('extension = ["pdf", "exe"]', "accept").matches(shown)


@pytest.mark.parametrize(
    ("places", "placements", "stops", "accepts"),
    [
        ('"attachment"', ("attachment",), True, True),
        ('"attachment"', ("archive",), False, False),
        ('"archive"', ("archive",), True, True),
        ('"message"', ("archive", "message"), True, False),
        ('["archive", "message"]', ("archive", "message"), True, True),
        ('"attachment"', ("attachment", "message"), True, False),
        ('"body"', ("attachment",), False, False),
        ('"attachment"', (), False, False),
    ],
)
def test_one_of_several_places_suffices_to_stop_a_part_but_all_are_needed_to_accept_it(
    places: str, placements: tuple[str, ...], stops: bool, accepts: bool
) -> None:
    found = part("a.exe", placements=placements)
    assert rule(f"place = {places}").matches(found) is stops
    assert rule(f"place = {places}", "accept").matches(found) is accepts


def test_only_rules_that_ask_for_it_look_at_the_body() -> None:
    body = part(detected="text/html", placements=("body",))
    assert rule('place = "body"\nlarger_than = 500').matches(body)
    assert not rule('filename = "*"').matches(body)
    assert not rule('place = ["attachment", "message"]').matches(body)


def test_conditions_on_the_name_must_hold_for_one_and_the_same_name() -> None:
    both = rule('extension = "exe"\nfilename = "setup*"')
    assert both.matches(part("a.pdf", names=("setup.exe",)))
    assert not both.matches(part("setup.pdf", names=("a.exe",)))


@pytest.mark.parametrize(
    ("conditions", "direction", "reverse_path", "holds"),
    [
        ('direction = "inbound"', RuleDirection.INBOUND, "", True),
        ('direction = "inbound"', RuleDirection.OUTBOUND, "", False),
        ('direction = "outbound"', RuleDirection.OUTBOUND, "", True),
        ('direction = "outbound"', RuleDirection.INTERNAL, "", False),
        ('direction = "internal"', RuleDirection.INTERNAL, "", True),
        ('direction = ["outbound", "internal"]', RuleDirection.INTERNAL, "", True),
        ('direction = ["outbound", "internal"]', RuleDirection.INBOUND, "", False),
        ('sender = "*@partner.example"', RuleDirection.INBOUND, "Bob@Partner.Example", True),
        ('sender = "*@partner.example"', RuleDirection.INBOUND, "bob@partner.example.org", False),
        ('sender = "*@partner.example"', RuleDirection.INBOUND, "", False),
        ('sender = ""', RuleDirection.INBOUND, "", True),
        ('sender = ""', RuleDirection.INBOUND, "a@b.example", False),
        ('sender = ["a@b.example", ""]', RuleDirection.INBOUND, "", True),
        ('class = "script"', RuleDirection.OUTBOUND, "anyone", True),
    ],
)
def test_conditions_on_the_envelope(conditions: str, direction: RuleDirection, reverse_path: str, holds: bool) -> None:
    found = rule(conditions)
    assert (found.is_meant_for(direction) and found.is_from(reverse_path)) is holds


def test_condition_on_recipients() -> None:
    assert rule('recipient = ["fax@*", "x@acme.example"]').concerns("FAX@acme.example")
    assert not rule('recipient = ["fax@*", "x@acme.example"]').concerns("bob@acme.example")
    assert rule('class = "script"').concerns("bob@acme.example")


@given(st.text(max_size=20), st.sampled_from(["", ".", " ", ". .", "::$DATA", "\x00", "\u202c"]))
def test_nothing_that_a_system_ignores_hides_an_extension(stem: str, end: str) -> None:
    assert rule('extension = "exe"').matches(part(f"{stem}.exe{end}"))


@given(st.text(max_size=40))
def test_plain_name_is_stable(name: str) -> None:
    assert plain_name(plain_name(name)) == plain_name(name)


@given(st.text("a*?[]!^\\.", min_size=1, max_size=60), st.text("a*[]!.", max_size=60))
def test_any_glob_can_be_tried_on_any_name(glob: str, name: str) -> None:
    quoted = glob.replace("\\", "\\\\")
    assert rule(f'filename = "{quoted}"').matches(part(name)) in (True, False)
