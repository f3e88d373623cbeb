"""`doctor` and `scan` judge by the settings of the gateway that runs, whatever the shell has."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.cli import connection, judging
from mailgate.model.errors import UserError
from mailgate.ops import layout
from mailgate.ops.checks import Status
from mailgate.settings import Listen, Settings, of_variables
from tests.ops.conftest import Make
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.gateway import Gateway

PATHS = st.none() | st.sampled_from([Path("/etc/tls/key.pem"), Path("with space/x,y"), Path("é")])
LISTENS = st.lists(st.builds(Listen, st.sampled_from(["", "127.0.0.1", "::1"]), st.integers(0, 65535)), max_size=3)


@given(listens=LISTENS, path=PATHS, is_trusted=st.booleans(), peers=st.sampled_from([[], ["10.0.0.0/8", "::1"]]))
def test_variables_say_all_and_nothing_of_this_process_gets_in(
    listens: list[Listen], path: Path | None, is_trusted: bool, peers: list[str]
) -> None:
    chosen: dict[str, Any] = {"mx_listen": listens, "doveadm_socket": path, "resolver_trusted": is_trusted}
    started = Settings(**chosen, proxy_peers=peers)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("doveadm_socket", "login_socket", "sts_certs", "operator_key"):
            patch.setenv(f"MAILGATE_{name.upper()}", "/of/the/shell")
        patch.setenv("MAILGATE_HOSTNAME", "shell.example")
        assert of_variables(started.variables()) == started


@pytest.mark.parametrize(
    "change", [{"MAILGATE_NEXT_YEARS": "1"}, {"MAILGATE_WORKERS": "many"}, {"MAILGATE_RESOLVER": None}]
)
def test_settings_of_another_version_are_not_guessed_at(make_settings: Make, change: dict[str, Any]) -> None:
    told = {name: text for name, text in (make_settings().variables() | change).items() if text is not None}
    with pytest.raises(UserError, match=next(iter(change)).removeprefix("MAILGATE_")):
        of_variables(told)


def test_a_difference_is_one_of_meaning(make_settings: Make) -> None:
    here = make_settings(data_dir=Path("data"), operator_key=Path("k"), password_file=Path("p"))
    there = make_settings(data_dir=Path.cwd() / "data", admin_socket=Path("/run/m.sock"))
    assert judging.differing(here, there) == []
    other = make_settings(data_dir=Path("data"), hostname="other.example", tls_cert=Path("c"), tls_key=Path("k"))
    assert judging.differing(here, other) == ["MAILGATE_HOSTNAME", "MAILGATE_TLS_CERT", "MAILGATE_TLS_KEY"]


@pytest.fixture
def shell(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the environment of the command has; nothing runs."""
    settings = make_settings()
    for name, text in settings.variables().items():
        monkeypatch.setenv(name, text)
    layout.prepare(settings)
    return settings


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Any]) -> Iterator[None]:
    """As if a gateway ran and answered so."""

    class Running:
        def call(self, command: str, **arguments: Any) -> Any:
            assert (command, arguments) == ("settings.show", {})
            return answer()

    with monkeypatch.context() as patch:
        patch.setattr(connection, "is_running", lambda settings: True)
        patch.setattr(connection, "admin", lambda settings, patience: Running())
        yield


def test_without_a_gateway_the_own_settings_are_judged(shell: Settings) -> None:
    found = judging.judging()
    assert (found.settings, found.told.status, found.is_as_given) == (shell, Status.OK, False)
    assert str(shell.admin_path) in found.told.text


@contextmanager
def holding(settings: Settings) -> Iterator[None]:
    held = layout.lock(settings.data_dir)
    try:
        yield
    finally:
        os.close(held)


def test_a_gateway_that_is_not_reached_is_told(shell: Settings) -> None:
    with holding(shell):
        found = judging.judging()
    assert (found.settings, found.told.status) == (shell, Status.WARN)
    assert "MAILGATE_ADMIN_SOCKET" in found.told.advice


def test_the_running_gateways_are_judged_and_what_differs_is_named(
    shell: Settings, make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = make_settings(clamd=["tcp:scanner:3310"], message_size_limit=70_000)
    with answering(monkeypatch, started.variables):
        found = judging.judging()
    assert (found.settings, found.own, found.is_as_given) == (started, shell, False)
    assert found.told.text.endswith(": MAILGATE_CLAMD, MAILGATE_MESSAGE_SIZE_LIMIT")
    with answering(monkeypatch, shell.variables):
        assert judging.judging().is_as_given


@pytest.mark.parametrize("reason", ["operators log in by key here", "there is no command 'settings.show'"])
def test_a_gateway_that_says_no_leaves_the_own(shell: Settings, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    def refuse() -> None:
        raise UserError(reason)

    with answering(monkeypatch, refuse):
        found = judging.judging()
    assert (found.settings, found.told.status) == (shell, Status.WARN)
    assert reason in found.told.text


def test_a_user_is_not_asked_for_a_password(shell: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_acting_as", "bob@acme.example")
    with answering(monkeypatch, lambda: pytest.fail("asked")):
        assert judging.judging().settings == shell


def test_a_gateway_that_hangs_is_not_waited_for(shell: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.2)
    with socket.socket(socket.AF_UNIX) as admin:
        admin.bind(str(shell.admin_path))
        admin.listen()
        found = judging.judging()
    assert (found.settings, found.told.status) == (shell, Status.WARN)
    assert "no answer" in found.told.text


@pytest.mark.component("clamd")
def test_from_a_bare_shell_doctor_and_scan_judge_the_gateway_that_runs(
    new_gateway: Callable[..., Gateway], clamd: Clamd, tmp_path: Path
) -> None:
    """The shell knows where the data are, nothing else; what it has by default is not what runs."""
    gateway = new_gateway(clamd.endpoint, MESSAGE_SIZE_LIMIT="1000000")
    bare = {name: text for name, text in gateway.environment.items() if not name.startswith("MAILGATE_")}
    bare |= {"MAILGATE_DATA_DIR": str(gateway.data_dir), "MAILGATE_CLAMD": f"unix:{tmp_path}/none"}
    file = tmp_path / "message.eml"
    file.write_bytes(messages.with_attachment(messages.token(), messages.EICAR, "report.pdf"))

    def give(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mailgate", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=bare, cwd=tmp_path, timeout=60, check=False)

    without = give("scan", str(file))
    assert "there is no such file" in without.stderr, "no policies where this shell looks for them"
    assert "no gateway answers" in without.stderr
    gateway.start()

    checks = {check["name"]: check for check in json.loads(give("doctor", "--json").stdout)["checks"]}
    assert checks["policies"]["text"].startswith("version "), checks["policies"]
    for name in ("scanner", "port mx", "port submission", "port metrics"):
        assert checks[name]["status"] == "ok", checks[name]
    assert "mx.gateway.example" in checks["settings"]["text"]
    assert "MAILGATE_DATA_DIR" not in checks["judged by"]["facts"]["differ"]
    assert {"MAILGATE_CLAMD", "MAILGATE_HOSTNAME", "MAILGATE_POLICY_DIR", "MAILGATE_MESSAGE_SIZE_LIMIT"} <= set(
        checks["judged by"]["facts"]["differ"]
    )

    scanned = give("scan", str(file), "--json")
    assert scanned.returncode == 1, scanned.stderr
    assert json.loads(scanned.stdout)["decision"]["action"] == "reject"
    assert scanned.stderr.count("\n") == 1
    assert "MAILGATE_CLAMD" in scanned.stderr
    assert gateway.run("scan", str(file)).stderr == "", "nothing to say where it has the gateway's own"
    gateway.stop()
