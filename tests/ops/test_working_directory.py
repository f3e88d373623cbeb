"""Nothing of the working directory is code or settings: it may be anybody's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailgate.app import _spec
from mailgate.model.errors import UserError
from mailgate.ops.child import environment
from mailgate.settings import Settings, load
from tests.support.components import REPOSITORY

_HOSTILE = "import os, pathlib\npathlib.Path(os.environ['LEFT_BY']).touch()\nraise SystemExit('hostile code ran')\n"
_MODULES = ("structlog", "typer", "pydantic", "argparse", "signal", "msgspec", "uvloop", "sitecustomize", "mailgate")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with modules that leave a mark where they are imported."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in _MODULES:
        (folder / f"{name}.py").write_text(_HOSTILE)
    monkeypatch.setenv("LEFT_BY", str(tmp_path / "mark"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return folder


@pytest.mark.parametrize("role", ["_store", "_inspector", "_relay", "_edge"])
def test_a_process_of_the_gateway_runs_no_code_from_there(hostile: Path, tmp_path: Path, role: str) -> None:
    command = [*_spec("x", role, {}, None, {}).command, "--help"]
    done = subprocess.run(command, cwd=hostile, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", [name for name in _MODULES if name not in ("mailgate", "sitecustomize")])
def test_nor_does_python_m_mailgate(hostile: Path, tmp_path: Path, name: str) -> None:
    """`mailgate` itself would be found there by Python, before any code of ours: `python -P -m` or the script help."""
    for other in hostile.iterdir():
        if other.stem != name:
            other.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "mailgate", "--version"], cwd=hostile, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mark").exists()


def test_settings_of_the_working_directory_are_not_read_but_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mailgate.toml").write_text('admin_socket = "/tmp/evil.sock"\n')
    monkeypatch.chdir(tmp_path)
    assert load().admin_socket is None
    done = subprocess.run(
        [sys.executable, "-m", "mailgate", "policy", "reference"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{tmp_path}/mailgate.toml is not read: name it in MAILGATE_CONFIG" in done.stderr
    assert "is not read" not in done.stdout


def named(monkeypatch: pytest.MonkeyPatch, file: Path) -> Settings:
    monkeypatch.setenv("MAILGATE_CONFIG", str(file))
    return load()


def test_a_named_file_is_read_and_the_environment_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mailgate.toml"
    file.write_text('hostname = "a.example"\nworkers = 3\n')
    file.chmod(0o644)
    monkeypatch.setenv("MAILGATE_WORKERS", "2")
    found = named(monkeypatch, file)
    assert (found.hostname, found.workers) == ("a.example", 2)
    monkeypatch.setenv("MAILGATE_CONFIG", "")
    assert load().hostname != "a.example"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o620, 0o602])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    file = tmp_path / "mailgate.toml"
    file.write_text('hostname = "a.example"\n')
    file.chmod(mode)
    with pytest.raises(UserError, match=f"{file} is .*chmod go-w {file}"):
        named(monkeypatch, file)


@pytest.mark.component("root")
def test_a_file_of_another_account_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mailgate.toml"
    file.write_text('hostname = "a.example"\n')
    os.chown(file, 12345, 0)
    with pytest.raises(UserError, match=r"belongs to another account .uid 12345.: chown it to root"):
        named(monkeypatch, file)


@pytest.mark.parametrize("text", [b"hostname = ", b"\xff\xfe", b"hostname = 1\nhostname = 2\n"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    file = tmp_path / "mailgate.toml"
    file.write_bytes(text)
    with pytest.raises(UserError, match=str(file)):
        named(monkeypatch, file)


@pytest.mark.parametrize("name", ["missing.toml", ".", "a" * 300])
def test_a_file_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(UserError, match=r"MAILGATE_CONFIG|File name too long"):
        named(monkeypatch, tmp_path / name)


def test_processes_take_the_settings_of_the_supervisor_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mailgate.toml"
    file.write_text(f'login_socket = "{tmp_path}/l.sock"\n')
    told = environment(named(monkeypatch, file))
    assert (told["MAILGATE_LOGIN_SOCKET"], told["MAILGATE_CONFIG"]) == (f"{tmp_path}/l.sock", "")
