"""Nobody but the gateway's account can read the data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailgate.model.errors import UserError
from mailgate.ops import doctor, layout, privacy
from mailgate.ops.checks import Status
from tests.ops.conftest import Make


def others(folder: Path) -> list[str]:
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077 and not path.is_socket()]


def test_every_folder_is_made_closed(make_settings: Make) -> None:
    settings = make_settings()
    old = os.umask(0)
    try:
        layout.prepare(settings)
    finally:
        os.umask(old)
    assert others(settings.data_dir) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o770, 0o711, 0o777, 0o701, 0o2775])
def test_a_data_directory_that_others_may_enter_is_closed(make_settings: Make, mode: int) -> None:
    settings = make_settings()
    settings.data_dir.mkdir()
    settings.data_dir.chmod(mode)
    layout.prepare(settings)
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700


def test_what_an_earlier_version_left_open_is_found_and_closed(make_settings: Make) -> None:
    settings = make_settings()
    layout.prepare(settings)
    (settings.data_dir / "tenants" / "t1" / "mail" / "box").mkdir(parents=True)
    (settings.data_dir / "policy").mkdir()
    wrong = {
        settings.data_dir / "spool": 0o755,
        settings.data_dir / "spool" / "spool.db": 0o644,
        settings.data_dir / "spool" / "spool.db-wal": 0o640,
        settings.data_dir / "tenants": 0o755,
        settings.data_dir / "tenants" / "t1" / "tenant.db": 0o604,
        settings.data_dir / "registry.db": 0o644,
        settings.data_dir / "master.key": 0o440,
        settings.data_dir / "policy" / "last-good.json": 0o644,
        settings.run_dir / "metrics": 0o755,
    }
    for path, mode in wrong.items():
        if not path.exists():
            path.touch()
        path.chmod(mode)
    assert wrong.keys() <= {each.path for each in privacy.exposed(settings.data_dir)}
    told = doctor.permissions(settings)
    assert told.status is Status.FAIL
    for path in wrong:
        assert f"{path} is " in told.text
    assert f"chmod 0600 {settings.data_dir / 'spool' / 'spool.db'}" in told.advice.splitlines()
    assert f"chmod 0400 {settings.data_dir / 'master.key'}" in told.advice.splitlines()
    layout.prepare(settings)
    assert list(privacy.exposed(settings.data_dir)) == []
    assert doctor.permissions(settings).status is Status.OK


def test_links_are_not_followed_out_of_the_data_directory(make_settings: Make, tmp_path: Path) -> None:
    settings = make_settings()
    layout.prepare(settings)
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o644)
    (settings.data_dir / "spool" / "elsewhere").symlink_to(outside)
    layout.prepare(settings)
    assert outside.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_was_put_elsewhere_is_closed_there(make_settings: Make, tmp_path: Path) -> None:
    settings = make_settings()
    (elsewhere := tmp_path / "large-disk").mkdir(mode=0o755)
    settings.data_dir.mkdir()
    (settings.data_dir / "spool").symlink_to(elsewhere)
    layout.prepare(settings)
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    assert doctor.permissions(settings).status is Status.OK


def test_commands_say_what_they_closed_beside_their_output(make_settings: Make) -> None:
    settings = make_settings()
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o755)
    environ = os.environ | {"MAILGATE_DATA_DIR": str(settings.data_dir), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "mailgate", "tenant", "add", "acme", "--domain", "acme.example"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "closed" in done.stderr
    assert "closed" not in done.stdout


@pytest.mark.component("root")
def test_a_folder_of_another_account_is_refused_while_it_is_open(make_settings: Make) -> None:
    settings = make_settings()
    settings.data_dir.parent.chmod(0o755)
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o777)
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            layout.prepare(settings)
        except UserError as error:
            says = str(error)
            os._exit(0 if "belongs to root" in says and "chmod 0700" in says and "chown nobody" in says else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_access_lists_are_somebodys_intention(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one the bits of the group are its mask; taking them away would shut out who was let in by name."""
    settings = make_settings()
    layout.prepare(settings)
    monkeypatch.setattr(privacy, "_has_acl", lambda path: path == settings.data_dir)
    settings.data_dir.chmod(0o750)
    layout.prepare(settings)
    assert settings.data_dir.stat().st_mode & 0o777 == 0o750
    settings.data_dir.chmod(0o751)
    layout.prepare(settings)
    assert settings.data_dir.stat().st_mode & 0o007 == 0


@pytest.mark.component("strace")
def test_the_spool_is_never_open_for_a_moment(tmp_path: Path) -> None:
    trace, spool = tmp_path / "trace", tmp_path / "spool" / "spool.db"
    code = (
        "import os, sys; from pathlib import Path; os.umask(0); from mailgate.spool.schema import open_database;"
        "open_database(Path(sys.argv[1])).execute('create table x (y)')"
    )
    command = ["strace", "-f", "-e", "trace=openat,open,chmod,fchmod", "-o", str(trace)]
    subprocess.run([*command, sys.executable, "-c", code, spool], check=True)
    made = [line for line in trace.read_text().splitlines() if "spool.db" in line and "O_CREAT" in line]
    for name in ("spool.db", "spool.db-wal", "spool.db-shm"):
        first = next(line for line in made if f'{name}"' in line)
        assert ", 0600)" in first
    assert others(spool.parent) == []
