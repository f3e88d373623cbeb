"""All that is wrong with policy files is said at once, with file and line, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.errors import UserError
from mailgate.policy import loader
from mailgate.policy.loader import PolicyErrors, load
from mailgate.policy.schema import GatewayLimits
from tests.policy.making import MIB, SIZE_LIMIT, problems, write

SHIPPED = Path(__file__).parents[2] / "policies"


def test_shipped_policies_are_valid() -> None:
    assert load(SHIPPED, SIZE_LIMIT).tenants.keys() == {"demo"}


def test_shipped_policies_are_valid_for_a_small_gateway() -> None:
    assert problems(SHIPPED, 65_536) == []


def test_shipped_gateway_shows_the_defaults(tmp_path: Path) -> None:
    """What the commented example sets is what holds without it, rules apart."""
    shipped = load(SHIPPED, SIZE_LIMIT).for_gateway
    empty = load(write(tmp_path, ""), SIZE_LIMIT).for_gateway
    for name in ("language", "limits", "infected", "scanner_down", "unscanned", "defects", "transport"):
        assert getattr(shipped, name) == getattr(empty, name), name
    for name in ("retention", "quarantine", "submission"):
        assert getattr(shipped, name) == getattr(empty, name), name
    assert len(shipped.rules) == 1


def test_empty_gateway_file_and_no_tenants_folder(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").touch()
    assert load(tmp_path, SIZE_LIMIT).tenants == {}


def test_all_problems_of_all_files_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        'langauge = "en"\n\n[limits]\nparts = "12"\ndepth = 0\n',
        acme='[[attachments]]\nname = "a"\naction = "rejct"\nclass = ["script",\n  "skript"]\n',
        beta="[limits\n",
    )
    assert problems(tmp_path) == [
        "gateway.toml:1: langauge: unknown key; did you mean language?",
        'gateway.toml:4: limits.parts: "12" is not a whole number; write it without quotes',
        "gateway.toml:5: limits.depth: 0 is too small; at least 1",
        'tenants/acme.toml:3: attachments[1].action: "rejct" is not one of accept, quarantine, reject',
        'tenants/acme.toml:5: attachments[1].class[2]: "skript" is not one of executable, script, macro, archive, '
        "encrypted, end-to-end-encrypted, disk-image, shortcut",
        "tenants/beta.toml:1: not valid TOML in column 8: expected ']' at the end of a table declaration; correct the "
        "line (see https://toml.io)",
    ]


def test_text_of_the_error_is_the_list(tmp_path: Path) -> None:
    write(tmp_path, "a = 1\nb = 2\n")
    with pytest.raises(PolicyErrors) as caught:
        load(tmp_path, SIZE_LIMIT)
    assert isinstance(caught.value, UserError)
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (str(tmp_path / "gateway.toml"), 1),
        (str(tmp_path / "gateway.toml"), 2),
    ]
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[limits]\nlanguage = "de"', 2, "it belongs at the top of the file"),
        ("[unscanned]\nscanner_down = 1", 2, "it belongs in [scanning]"),
        ("[scaning]\n", 1, "did you mean scanning?"),
        ("[limits]\nconnections = 5", 2, "only gateway.toml can set it"),
        ("limits = 5", 1, "write [limits] on a line of its own"),
        ("[attachments]\nx = 1", 1, "begin each rule with a line [[attachments]]"),
        ('[limits]\n[[attachments]]\nname = "b"\nclass = "script"', 2, "attachments[1]: action is missing"),
        ('[[attachments]]\naction = "reject"\nclass = "script"', 1, "attachments[1]: name is missing"),
        ('\n[[attachments]]\naction = "reject"\nname = "a"', 2, "has no condition"),
        ('[[attachments]]\nfile = "a"', 2, "unknown key"),
        ('[[attachments]]\nlarger_than = "10 apples"', 2, "not a size"),
        ("[[attachments]]\nlarger_than = true", 2, "not a size"),
        ('[[attachments]]\nencrypted = "yes"', 2, "neither true nor false"),
        ("[[attachments]]\ntype = 5", 2, "neither a text nor a list of texts"),
        ("[[attachments]]\nextension = []", 2, "name at least one value"),
        ('[[attachments]]\nreply = "ä"', 2, "plain ASCII"),
        ('[[attachments]]\naction = "hold"', 2, "accept, quarantine, reject"),
        ('[unscanned]\nencrypted = "accept"', 2, "not one of quarantine, reject"),
        ('[scanning]\ninfected = "accept"', 2, "not one of quarantine, reject"),
        ('[scanning]\nscanner_down = "accept"', 2, "not one of defer, hold"),
        ('[transport]\nminimum = "tls"', 2, "plaintext, encrypted, forward-secret, authenticated"),
        ('[defects]\nbom = "scan"\n"Bad Name" = "scan"', 3, "not the name of a defect; docs/inspection.md lists them"),
        ('[defects]\nduplicate-content-typ = "scan"', 2, "did you mean duplicate-content-type?"),
        ('[defects]\nbom = "ignore"', 2, "not one of scan, quarantine, reject"),
        ("[limits]\nparts = 10001", 2, "too large; at most 10000"),
        ('[limits]\nmessage_size = "1 KiB"', 2, "at least 65536 (64 KiB)"),
        ("[retention]\naudit_days = 0", 2, "at least 1"),
        ('language = "fr"', 1, "not one of en, de"),
        ("[limits]\nparts = 1\n\n[limits]\n", 4, "cannot declare [limits] twice"),
        ("a = [1\n", 1, "unclosed array"),
        ("a = " + "[" * 3000 + "]" * 3000, 1, "nested too deeply"),
    ],
)
def test_problem_of_a_tenant_file(tmp_path: Path, text: str, line: int, said: str) -> None:
    write(tmp_path, "", acme=text)
    found = [problem for problem in problems(tmp_path) if said in problem]
    assert [problem.split(": ")[0] for problem in found] == [f"tenants/acme.toml:{line}"]


def test_missing_gateway_file(tmp_path: Path) -> None:
    write(tmp_path, None)
    assert problems(tmp_path) == ["gateway.toml:1: there is no such file; create it (an empty one takes every default)"]


def test_file_that_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path, None)
    (tmp_path / "gateway.toml").mkdir()
    assert "can't be read" in problems(tmp_path)[0]


def test_tenants_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").touch()
    (tmp_path / "tenants").touch()
    assert problems(tmp_path)[0].startswith("tenants:1: can't be read")


def test_not_utf8(tmp_path: Path) -> None:
    write(tmp_path, "", acme=b'# a\nlanguage = "\xff"')
    assert problems(tmp_path) == ["tenants/acme.toml:2: is not UTF-8; save the file as UTF-8 text"]


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    write(tmp_path, "", acme=b'\xef\xbb\xbflanguage = "de"\r\n\r\n[limits]\r\nx = 1\r\n')
    assert [problem.split(": ")[0] for problem in problems(tmp_path)] == ["tenants/acme.toml:4"]


def test_misnamed_tenant(tmp_path: Path) -> None:
    write(tmp_path, "", **{"Acme Ltd": ""})
    assert "not named after a tenant" in problems(tmp_path)[0]


def test_files_of_editors_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "", acme="", **{".#acme": "not TOML"})
    (tmp_path / "tenants" / "acme.toml~").write_text("not TOML")
    assert load(tmp_path, SIZE_LIMIT).tenants.keys() == {"acme"}


def test_gateway_above_the_setting(tmp_path: Path) -> None:
    write(tmp_path, '[limits]\n\nmessage_size = "60 MiB"\n')
    (problem,) = problems(tmp_path)
    assert problem.startswith("gateway.toml:3: limits.message_size: 60 MiB is more than the setting")


def test_size_without_a_policy_is_the_setting(tmp_path: Path) -> None:
    assert load(write(tmp_path, ""), 7 * MIB).for_gateway.limits.message_size == 7 * MIB


def test_looser_tenants_are_errors(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[limits]\nparts = 10\n[transport]\nminimum = "forward-secret"\n',
        acme='[limits]\nparts = 11\nmessage_size = "51 MiB"\n',
        beta='[transport]\nminimum = "encrypted"\n',
        good='[limits]\nparts = 10\n[transport]\nminimum = "authenticated"\n',
    )
    assert [problem.split(", which")[0] for problem in problems(tmp_path)] == [
        "tenants/acme.toml:2: limits.parts: 11 is less strict than the gateway's 10",
        "tenants/acme.toml:3: limits.message_size: 51 MiB is less strict than the gateway's 50 MiB",
        "tenants/beta.toml:2: transport.minimum: encrypted is less strict than the gateway's forward-secret",
    ]


@given(st.lists(st.sampled_from(["", "# text", "  "]), max_size=8), st.sampled_from(sorted(GatewayLimits.model_fields)))
def test_line_of_a_wrong_value_wherever_it_stands(
    tmp_path_factory: pytest.TempPathFactory, above: list[str], key: str
) -> None:
    folder = write(tmp_path_factory.mktemp("policies"), "\n".join([*above, "[limits]", *above, f"{key} = []"]))
    (problem,) = problems(folder)
    assert problem.startswith(f"gateway.toml:{2 * len(above) + 2}: limits.{key}: this list is not ")


def test_what_is_no_file_or_too_large_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gateway.toml").write_text("")
    (tmp_path / "tenants").mkdir()
    file = tmp_path / "tenants" / "acme.toml"
    os.mkfifo(file)
    assert problems(tmp_path) == [
        "tenants/acme.toml:1: can't be read: Is not a regular file; check what it is and its permissions"
    ]
    file.unlink()
    file.symlink_to("/dev/zero")
    assert "Is not a regular file" in problems(tmp_path)[0]
    file.unlink()
    file.write_text("#" * 100)
    monkeypatch.setattr(loader, "LARGEST_FILE", 99)
    assert "can't be read: Is larger than" in problems(tmp_path)[0]
