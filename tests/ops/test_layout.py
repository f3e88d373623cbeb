"""The data directory and its lock."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailgate.model.errors import UserError
from mailgate.ops import layout
from tests.ops.conftest import Make


def test_prepare_makes_private_folders_and_may_run_again(make_settings: Make) -> None:
    settings = make_settings()
    layout.prepare(settings)
    layout.prepare(settings)
    assert settings.staging_dir.is_dir()
    assert settings.data_dir.stat().st_mode & 0o077 == 0


def test_a_data_directory_that_cannot_be_made_is_named(make_settings: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"MAILGATE_DATA_DIR .*file/data.*Name a folder"):
        layout.prepare(make_settings(data_dir=tmp_path / "file" / "data"))


def test_the_lock_is_refused_at_once_while_its_holder_lives(tmp_path: Path) -> None:
    held = layout.lock(tmp_path)
    assert layout.holder(tmp_path) == os.getpid()
    with pytest.raises(layout.InUseError, match=f"process {os.getpid()}"):
        layout.lock(tmp_path, patience=60)
    os.close(held)
    assert layout.holder(tmp_path) is None
    os.close(layout.lock(tmp_path, patience=0))


def test_the_lock_is_awaited_while_children_of_a_dead_holder_go_down(tmp_path: Path) -> None:
    """The descriptor outlives the process that took the lock, in a child that ends a little later."""
    program = (
        "import os, subprocess, sys; from pathlib import Path; from mailgate.ops import layout;"
        "held = layout.lock(Path(sys.argv[1]));"
        "print(subprocess.Popen(['cat'], pass_fds=[held]).pid)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline().strip().isdigit()
        holder.wait()
        with pytest.raises(layout.InUseError):
            layout.lock(tmp_path, patience=0)
        holder.stdin.close()  # the heir reads its end and goes
        os.close(layout.lock(tmp_path, patience=60))


def test_a_removed_file_frees_nothing(tmp_path: Path) -> None:
    """Whatever an administrator tidies up in the folder, there is one gateway on it, and its process is told."""
    held = layout.lock(tmp_path)
    (tmp_path / layout.LOCK_NAME).unlink()
    with pytest.raises(layout.InUseError, match=f"process {os.getpid()}"):
        layout.lock(tmp_path, patience=60)
    assert layout.holder(tmp_path) == os.getpid()
    os.close(held)
    assert layout.holder(tmp_path) is None
    os.close(layout.lock(tmp_path, patience=0))


def test_the_gateway_of_an_earlier_version_counts(tmp_path: Path) -> None:
    """They locked the file."""
    with (tmp_path / layout.LOCK_NAME).open("w") as file:
        file.write(f"{os.getpid()}\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(layout.InUseError, match=f"process {os.getpid()}"):
            layout.lock(tmp_path, patience=60)
        assert layout.holder(tmp_path) == os.getpid()
    os.close(layout.lock(tmp_path, patience=0))


def test_the_file_that_an_earlier_version_left_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / layout.LOCK_NAME).write_text("1\n")
    assert layout.holder(tmp_path) is None
    os.close(layout.lock(tmp_path, patience=0))


def test_another_way_to_the_folder_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    held = layout.lock(tmp_path / "data")
    with pytest.raises(layout.InUseError):
        layout.lock(tmp_path / "link", patience=0)
    os.close(held)
