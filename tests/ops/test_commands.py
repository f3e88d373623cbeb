"""The command line: exit codes, every error at once, how it reaches the gateway, what it prints."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner

from mailgate.cli import connection, output
from mailgate.cli.main import app, exit_code
from mailgate.cli.queue import pages, tell
from mailgate.ipc.frames import StorageFullError
from mailgate.model.errors import ConflictError, MailgateError, NotFoundError, UnavailableError, UserError
from mailgate.ops import doctor, layout, tenant_check
from mailgate.ops.checks import Status
from mailgate.policy.problems import PolicyErrors
from tests.ops.conftest import Make

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("x"), 1),
        (ConflictError("x"), 1),
        (PolicyErrors([]), 1),
        (UserError("x"), 2),
        (layout.InUseError("x"), 2),
        (UnavailableError("x"), 3),
        (StorageFullError("x"), 3),
    ],
)
def test_exit_codes(error: MailgateError, code: int) -> None:
    assert exit_code(error) == code


def _helps(command: click.Command, words: list[str]) -> Iterator[tuple[list[str], str]]:
    """Each command, and all that its help should say."""
    said = [command.help or "", *(getattr(each, "help", None) or "" for each in command.params)]
    yield words, " ".join(said)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _helps(inner, [*words, name])


def test_help_keeps_what_stands_in_brackets() -> None:
    tables = 0
    for words, said in _helps(typer.main.get_command(app), []):
        shown = "".join(CliRunner().invoke(app, [*words, "--help"]).output.split())
        for table in re.findall(r"\[\[?[a-z_.]+\]?\]", said):
            tables += 1
            assert table in shown, words
    assert tables


def environ(make_settings: Make, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    settings = make_settings()
    values = {"DATA_DIR": settings.data_dir, "POLICY_DIR": settings.policy_dir, "CLAMD": settings.clamd[0], **changes}
    for listener in ("MX", "SUBMISSION", "SUBMISSIONS", "METRICS"):
        values.setdefault(f"{listener}_LISTEN", "127.0.0.1:0")
    for name, value in values.items():
        monkeypatch.setenv(f"MAILGATE_{name}", str(value))


def test_serve_lists_all_that_is_wrong_before_anything_starts(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gateway.toml").write_text("nonsense = 1\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ(
            make_settings,
            monkeypatch,
            POLICY_DIR=tmp_path,
            TLS_CERT=tmp_path / "missing.pem",
            TLS_KEY=tmp_path / "missing.key",
            MX_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}",
        )
        done = subprocess.run(
            [sys.executable, "-m", "mailgate", "serve"], capture_output=True, text=True, cwd=REPOSITORY
        )
    assert done.returncode == 2
    for word in ("gateway.toml:1: nonsense", "MAILGATE_TLS_CERT", "missing.pem", "MAILGATE_MX_LISTEN"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_fails_and_says_what_to_do(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    environ(make_settings, monkeypatch, RESOLVER="127.0.0.1:1")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["scanner"]["status"] == "fail"
    assert "start clamd" in checks["scanner"]["advice"]
    assert checks["policies"]["status"] == "ok"
    assert checks["gateway"]["status"] == "warn"
    assert (checks["judged by"]["status"], "no gateway answers" in checks["judged by"]["text"]) == ("ok", True)


def test_doctor_shows_wrong_settings_as_a_check(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    environ(make_settings, monkeypatch, WORKERS="many", CLAMD="nonsense")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    [check] = json.loads(done.stdout)["checks"]
    assert "MAILGATE_WORKERS" in check["text"]
    assert "MAILGATE_CLAMD" in check["text"]


def test_reload_needs_a_running_gateway(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    environ(make_settings, monkeypatch)
    assert isinstance(CliRunner().invoke(app, ["reload"]).exception, UnavailableError)


def test_a_command_without_a_gateway_works_on_the_data_directory(make_settings: Make) -> None:
    settings = make_settings()
    gateway = connection.admin(settings)
    gateway.call("tenant.add", name="acme", domains=["acme.example"])
    assert [tenant["name"] for tenant in gateway.call("tenant.list")] == ["acme"]
    assert layout.holder(settings.data_dir) is None
    with pytest.raises(NotFoundError):
        gateway.call("trace", id="0" * 16)


@pytest.mark.parametrize("command", ["tenant.list", "queue.list", "trace", "audit.verify", "clock.show"])
def test_a_command_in_a_folder_without_data_says_so_and_makes_nothing(make_settings: Make, command: str) -> None:
    settings = make_settings()
    for is_there in (False, True):
        if is_there:
            settings.data_dir.mkdir()
        with pytest.raises(UnavailableError, match=f"{settings.data_dir} holds no data.*mailgate tenant add"):
            connection.admin(settings).call(command)
        assert settings.data_dir.exists() == is_there
    assert list(settings.data_dir.iterdir()) == []


def test_a_policy_file_of_nobody_is_named(make_settings: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tenants").mkdir()
    (tmp_path / "gateway.toml").touch()
    (tmp_path / "tenants" / "acmee.toml").touch()
    environ(make_settings, monkeypatch, POLICY_DIR=str(tmp_path))
    assert "no tenant" not in CliRunner().invoke(app, ["policy", "check"]).output, "any may come before the first"
    assert CliRunner().invoke(app, ["tenant", "add", "acme", "--domain", "acme.example"]).exit_code == 0
    done = CliRunner().invoke(app, ["policy", "check"])
    assert done.exit_code == 0
    assert "there is no tenant acmee" in done.output
    assert "did you mean acme.toml?" in done.output
    checks = {each["name"]: each for each in json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)["checks"]}
    assert checks["policies"]["status"] == "warn"
    assert "acmee.toml" in checks["policies"]["text"]


@pytest.mark.component("root")
def test_root_works_as_the_account_that_the_data_belong_to(make_settings: Make) -> None:
    settings = make_settings()
    settings.data_dir.parent.chmod(0o755)
    settings.data_dir.mkdir()
    os.chown(settings.data_dir, 10_123, 10_123)
    gateway = connection.admin(settings)
    gateway.call("tenant.add", name="acme", domains=["acme.example"])
    gateway.call("user.add", tenant="acme", login="bob@acme.example", password="correct horse battery staple")
    gateway.call("queue.list")
    assert {path.lstat().st_uid for path in settings.data_dir.rglob("*")} == {10_123}
    assert os.geteuid() == 0
    assert {entry["actor"] for entry in gateway.call("audit.list", tenant="acme")} == {"account root"}


@pytest.mark.component("root")
def test_what_the_account_cant_open_costs_one_tenant_and_doctor_names_it(make_settings: Make) -> None:
    settings = make_settings()
    settings.data_dir.parent.chmod(0o755)
    settings.data_dir.mkdir()
    os.chown(settings.data_dir, 65_534, 65_534)
    gateway = connection.admin(settings)
    for name in ("acme", "globex"):
        gateway.call("tenant.add", name=name, domains=[f"{name}.example"])
    with closing(sqlite3.connect(settings.data_dir / "registry.db")) as registry:
        (lost,) = registry.execute("SELECT id FROM tenants WHERE name = 'globex'").fetchone()
    for path in (folder := settings.data_dir / "tenants" / lost, *folder.iterdir()):
        os.chown(path, 0, 0)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(65_534, 65_534, 65_534)
            os.setresuid(65_534, 65_534, 65_534)
            gateway.call("user.list", tenant="acme")
            with pytest.raises(UnavailableError, match="Permission denied"):
                gateway.call("user.list", tenant="globex")
            for found in (doctor.permissions(settings), tenant_check.tenants(settings.data_dir)):
                assert found.status is Status.FAIL, found
                assert f"chown -R nobody:65534 {settings.data_dir}" in found.advice, found
            assert "globex" in tenant_check.tenants(settings.data_dir).text
            doctor.examine(settings)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_data_directory_in_use_without_an_answer_is_not_reachable(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.1)
    settings = make_settings()
    connection.admin(settings).call("tenant.add", name="acme", domains=["acme.example"])
    held = layout.lock(settings.data_dir)
    with pytest.raises(UnavailableError, match=str(os.getpid())):
        connection.admin(settings).call("tenant.list")
    os.close(held)


class Paged:
    """A gateway whose listing has three pages."""

    def call(self, command: str, **arguments: Any) -> Any:
        at = int(arguments["after"] or 0)
        return {"rows": [{"n": at}], "next": str(at + 1) if at < 2 else None}


def test_a_listing_reads_every_page() -> None:
    assert pages(Paged(), "queue.list") == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_change_that_changed_nothing_is_a_no() -> None:
    with pytest.raises(ConflictError, match=r"bob@acme\.example"):
        tell("held", {"changed": [], "busy": ["bob@acme.example"]})


def test_a_table_for_programs_has_tabs_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "size"), [("a\x1b[2Jb\tc\nd", 1), (None, 2)])
    assert capsys.readouterr().out == "a\\x1b[2Jb\\tc\\nd\t1\n\t2\n"


def test_text_from_strangers_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("evil\x1b]0;title\x07 [bold]name[/bold]\u202e")
    assert capsys.readouterr().out == "evil\\x1b]0;title\\x07 [bold]name[/bold]\\u202e\n"


def test_moments_are_utc_and_may_be_missing() -> None:
    assert output.moment(0.25) == "1970-01-01 00:00:00.250"
    assert output.moment(None) == "-"


def test_an_argument_that_is_no_text_is_refused(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    environ(make_settings, monkeypatch)
    with listening(Path(os.environ["MAILGATE_DATA_DIR"]) / "run" / "admin.sock"):
        done = CliRunner().invoke(app, ["group", "add", "acme", os.fsdecode(b"bo\xffb")])
    assert isinstance(done.exception, UserError)
    assert "not UTF-8" in str(done.exception)


def test_a_password_is_asked_for_on_a_terminal_only(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere it would be seen, or nobody would type it."""
    environ(make_settings, monkeypatch)
    login = ["-m", "mailgate", "--as", "bob@acme.example", "mailbox", "list", "acme"]
    with listening(Path(os.environ["MAILGATE_DATA_DIR"]) / "run" / "admin.sock"):
        done = subprocess.run(
            [sys.executable, *login], capture_output=True, text=True, cwd=REPOSITORY, start_new_session=True, input=""
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "MAILGATE_PASSWORD_FILE" in done.stderr


@contextlib.contextmanager
def listening(path: Path) -> Iterator[None]:
    """As if a gateway ran."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as admin:
        admin.bind(str(path))
        admin.listen()
        yield
