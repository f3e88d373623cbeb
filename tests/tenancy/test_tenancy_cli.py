"""`mailgate tenant|user|mailbox|alias`: arguments, tables, JSON. The commands behind them run in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mailgate.cli import alias, mailbox, tenant, user
from mailgate.model.errors import ConflictError, UserError
from tests.tenancy.conftest import PASSWORD, Commands, authenticate

GROUPS = {"tenant": tenant, "user": user, "mailbox": mailbox, "alias": alias}


class InProcess:
    """Stands for the connection to the gateway."""

    def __init__(self, run: Commands) -> None:
        self._run = run

    def call(self, command: str, **arguments: Any) -> Any:
        return self._run(command, **json.loads(json.dumps(arguments)))


class Line:
    """`line("user", "list", "acme")` returns what it printed; errors of the gateway's own are raised."""

    def __init__(self) -> None:
        self._app = typer.Typer()
        for name, group in GROUPS.items():
            self._app.add_typer(group.app, name=name)

    def __call__(self, *words: str, stdin: str = "") -> str:
        result = CliRunner().invoke(self._app, words, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output


@pytest.fixture
def line(run: Commands, monkeypatch: pytest.MonkeyPatch) -> Line:
    for group in GROUPS.values():
        monkeypatch.setattr(group, "admin", lambda: InProcess(run))
    return Line()


@pytest.fixture
def acme(line: Line) -> Line:
    line("tenant", "add", "acme", "--domain", "acme.example", "--domain", "acme.test")
    line("user", "add", "acme", "bob@acme.example", "--password-stdin", stdin=f"{PASSWORD}\n")
    return line


def test_the_first_user_can_log_in_and_has_a_maildir(acme: Line, directory: Any) -> None:
    assert authenticate(directory, "bob@acme.example", PASSWORD.encode()).ok
    printed = acme("mailbox", "path", "bob@acme.example")
    assert printed == f"{directory.maildir(directory.recipients.resolve('bob', 'acme.example').mailboxes[0])}\n"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nsecond line\n"])
def test_the_password_is_the_first_line_without_its_end(acme: Line, directory: Any, ending: str) -> None:
    acme("user", "passwd", "bob@acme.example", "--password-stdin", stdin=f" battery staple {ending}")
    assert authenticate(directory, "bob@acme.example", b" battery staple ").ok


def test_without_a_terminal_the_password_must_be_announced(acme: Line) -> None:
    with pytest.raises(UserError, match="--password-stdin"):
        acme("user", "passwd", "bob@acme.example", stdin="battery-staple-8\n")


def test_adding_twice_says_so(acme: Line) -> None:
    with pytest.raises(ConflictError, match="exists already"):
        acme("tenant", "add", "acme", "--domain", "other.example")
    with pytest.raises(ConflictError, match="exists already"):
        acme("user", "add", "acme", "bob@acme.example", "--password-stdin", stdin=PASSWORD)


def test_every_list_as_table_and_as_json(acme: Line) -> None:
    acme("mailbox", "add", "acme", "team@acme.example", "--user", "bob@acme.example")
    acme("alias", "add", "acme", "info@acme.test", "team@acme.example", "bob@acme.example")
    for words, expected in (
        (("tenant", "list"), "acme.example acme.test"),
        (("tenant", "show", "acme"), "acme.example acme.test"),
        (("user", "list", "acme"), "bob@acme.example team@acme.example"),
        (("mailbox", "list", "acme"), "info@acme.test team@acme.example"),
        (("mailbox", "show", "team@acme.example"), "read write delete send-as"),
        (("mailbox", "rights", "team@acme.example"), "read write delete send-as"),
        (("alias", "list", "acme"), "bob@acme.example, team@acme.example"),
    ):
        assert expected in acme(*words)
        assert json.loads(acme(*words, "--json"))


def test_what_changes_says_what_it_did(acme: Line) -> None:
    acme("user", "add", "acme", "alice@acme.example", "--password-stdin", stdin=PASSWORD)
    acme("mailbox", "add", "acme", "team@acme.example")
    for words, said in (
        (("mailbox", "assign", "team@acme.example", "bob@acme.example"), "assigned to bob@acme.example"),
        (
            ("mailbox", "rights", "team@acme.example", "bob@acme.example", "--set", "read"),
            "bob@acme.example\tread\tlrs",
        ),
        (("mailbox", "rights", "team@acme.example"), "bob@acme.example\tread\tlrs"),
        (("mailbox", "show", "team@acme.example"), "bob@acme.example\tread\tlrs"),
        (("mailbox", "unassign", "team@acme.example", "bob@acme.example"), "assigned to nobody"),
        (("mailbox", "disable", "team@acme.example"), "new mail is refused"),
        (("mailbox", "enable", "team@acme.example"), "enabled"),
        (("mailbox", "remove", "team@acme.example"), "removed"),
        (("alias", "add", "acme", "info@acme.test", "bob@acme.example"), "leads to bob@acme.example"),
        (("alias", "remove", "info@acme.test"), "removed"),
        (("user", "disable", "bob@acme.example"), "no login"),
        (("user", "enable", "bob@acme.example"), "enabled"),
        (("user", "remove", "bob@acme.example"), "mailgate mailbox assign bob@acme.example"),
        (("tenant", "domain", "add", "acme", "third.example"), "third.example"),
        (("tenant", "domain", "remove", "acme", "third.example"), "third.example"),
        (("tenant", "disable", "acme"), "disabled"),
        (("tenant", "enable", "acme"), "enabled"),
    ):
        assert said in acme(*words)
