"""Many users from a CSV file: line by line, whatever the file is like."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from mailgate.cli import main, people_csv, user_import
from mailgate.cli.people_csv import Line
from mailgate.model.errors import UserError
from mailgate.tenancy.directory import Directory
from tests.tenancy.conftest import PASSWORD, Commands, authenticate

HEADER = "login,password,role,groups\n"


class Connected:
    """The commands where the command line looks for the gateway."""

    def __init__(self, run: Commands) -> None:
        self._run = run
        self.calls: list[str] = []

    def call(self, command: str, **arguments: Any) -> Any:
        self.calls.append(command)
        return self._run(command, **arguments)


@pytest.fixture
def connected(two_tenants: Commands, monkeypatch: pytest.MonkeyPatch) -> Connected:
    gateway = Connected(two_tenants)
    monkeypatch.setattr(user_import, "admin", lambda: gateway)
    return gateway


def imported(tmp_path: Path, content: bytes | str, *options: str) -> Result:
    file = tmp_path / "people.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return CliRunner().invoke(main.app, ["user", "import", str(file), "--tenant", "acme", *options])


def logins(run: Commands) -> list[str]:
    return [user["login"] for user in run("user.list", tenant="acme")]


def test_bad_lines_do_not_stop_good_ones(
    tmp_path: Path, directory: Directory, two_tenants: Commands, connected: Connected
) -> None:
    content = (
        HEADER
        + f"carol@acme.example,{PASSWORD},administrator,staff\n"
        + f"bob@acme.example,{PASSWORD},,\n"
        + "dave@acme.example,short,,\n"
        + "\n"
        + "erin@acme.example,,,\n"
        + f"frank@acme.example,{PASSWORD},,nobody staff\n"
        + f"Carol@ACME.example,{PASSWORD},,\n"
        + f"gil@acme.example,{PASSWORD},king,\n"
        + "hal@acme.example\n"
        + f"eve@bcme.example,{PASSWORD},,\n"
    )
    done = imported(tmp_path, content)
    assert done.exit_code == 1
    told = done.stdout.splitlines()
    assert told[0] == "line 2: carol@acme.example: added"
    assert told[1] == "line 3: bob@acme.example: user bob@acme.example exists already"
    assert told[2].startswith("line 4: dave@acme.example: password refused: ")
    assert told[3] == "line 6: erin@acme.example: added, without a password"
    assert told[4] == "line 7: frank@acme.example: there is no group 'nobody' at tenant acme"
    assert told[5] == "line 8: Carol@ACME.example: is in line 2 already"
    assert told[6] == "line 9: gil@acme.example: role 'king': give user or administrator"
    assert told[7] == "line 10: has 1 fields, and the first line 4"
    assert told[8].startswith("line 11: eve@bcme.example: address ")
    assert told[9] == "2 added, 7 refused"
    assert logins(two_tenants) == [f"{name}@acme.example" for name in ("alice", "bob", "carol", "erin")]
    assert authenticate(directory, "carol@acme.example", PASSWORD.encode()).ok
    carol = next(user for user in two_tenants("user.list", tenant="acme") if user["login"].startswith("carol"))
    assert (carol["role"], carol["groups"]) == ("administrator", ["staff"])
    assert len(list((tmp_path / "tenants" / directory.tenant("acme").id / "mail").iterdir())) == 5, "no folder is left"


def test_all_or_nothing(tmp_path: Path, two_tenants: Commands, connected: Connected) -> None:
    before = two_tenants("directory.export", tenant="acme")
    bad = HEADER + f"carol@acme.example,{PASSWORD},,staff\ndave@acme.example,short,,\nteam@acme.example,,,\n"
    done = imported(tmp_path, bad, "--all-or-nothing")
    assert done.exit_code != 0
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith("nobody was added: 2 lines of ")
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:2]] == ["line 3", "line 4"]
    assert two_tenants("directory.export", tenant="acme") == before
    assert set(connected.calls) == {"user.import-check"}
    good = imported(tmp_path, HEADER + f"carol@acme.example,{PASSWORD},,staff\n", "--all-or-nothing")
    assert (good.exit_code, good.stdout) == (0, "line 2: carol@acme.example: added\n1 added, 0 refused\n")


def test_many_lines_go_in_small_steps(
    tmp_path: Path, two_tenants: Commands, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = HEADER + "".join(f"user{n}@acme.example,,,\n" for n in range(50))
    done = imported(tmp_path, content, "--json")
    listed = json.loads(done.stdout)
    assert [each["line"] for each in listed] == list(range(2, 52))
    assert all(each["ok"] for each in listed)
    assert len(connected.calls) == 3
    entries = [each for each in two_tenants("audit.list", tenant="acme") if each["action"] == "user.import"]
    assert sum(len(each["after"]["users"]) for each in entries) == 50


def test_too_many_rows_in_one_call_are_refused(two_tenants: Commands) -> None:
    with pytest.raises(UserError, match="101 rows: give 100 at most"):
        two_tenants("user.import", tenant="acme", rows=[{"login": "x"}] * 101)


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbflogin,password\r\n"o\'neil@acme.example","a ""quoted"" staple, with comma"\r\n',
        b'LOGIN;Password\r\no\'neil@acme.example;"a ""quoted"" staple, with comma"',
        b'password,login\na "quoted" staple with comma, o\'neil@acme.example \n'.replace(b'"quoted"', b"quoted"),
    ],
)
def test_a_file_as_programs_write_it(
    tmp_path: Path, two_tenants: Commands, connected: Connected, content: bytes
) -> None:
    assert imported(tmp_path, content).stdout == "line 2: o'neil@acme.example: added\n1 added, 0 refused\n"


@pytest.mark.parametrize(
    "content", ["", "\n", "bob@acme.example,secret\n", "login,login\n", "login,age\n", "password\n"]
)
def test_a_file_without_names_of_columns_is_refused(tmp_path: Path, connected: Connected, content: str) -> None:
    done = imported(tmp_path, content)
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith("the first line must name the columns")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"login\nm\xfcller@acme.example\n", "line 2: is not UTF-8; save the file as UTF-8 text"),
        (b'login\n"bob"x\n', "line 2: is not CSV: "),
        (b'login\n"bob\n', "line 2: is not CSV: unexpected end of data"),
        (b"login\nb\0b@acme.example\n", "line 2: b\\x00b@acme.example: address 'b\\x00b@acme.example': "),
        (b"login\n" + b"x" * 200_000 + b"\n", "line 2: is not CSV: field larger than field limit"),
        (b"login,role\n,user\n", "line 2: has no login"),
        (b"login\n../x@acme.example\n", "line 2: ../x@acme.example: address "),
    ],
)
def test_a_bad_line_is_told(tmp_path: Path, connected: Connected, content: bytes, told: str) -> None:
    lines = imported(tmp_path, content).stdout.splitlines()
    assert lines[0].startswith(told)


def test_lines_are_counted_where_they_begin() -> None:
    text = ["login,password\n", 'a@x.example,"two\n', 'lines"\n', "\n", "b@x.example,c\n"]
    assert list(people_csv.read(text)) == [
        Line(2, {"login": "a@x.example", "password": "two\nlines"}),
        Line(5, {"login": "b@x.example", "password": "c"}),
    ]


cells = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))


@given(st.lists(st.tuples(cells.map(str.strip).filter(bool), cells)), st.sampled_from(",;"))
def test_what_a_program_writes_is_read_the_same(rows: list[tuple[str, str]], delimiter: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter).writerows([("login", "password"), *rows])
    written.seek(0)
    found = [(line.row["login"], line.row["password"]) for line in people_csv.read(written)]
    assert found == rows


@given(st.text())
def test_any_text_is_read_to_its_end(text: str) -> None:
    try:
        lines = list(people_csv.read(io.StringIO("login,groups\n" + text, newline="")))
    except UserError as error:
        raise AssertionError("the first line is right") from error
    assert all(line.fault or line.row["login"] for line in lines)
    assert [line.number for line in lines] == sorted(line.number for line in lines)
