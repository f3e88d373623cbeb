"""A failed sync ends the process at once, and is never tried again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailgate.spool import durable

FAILING = """
import os, sys
from mailgate.spool import durable
calls = []
def fail(descriptor):
    calls.append(descriptor)
    print("sync", flush=True)
    raise OSError(5, "Input/output error")
os.fsync = os.fdatasync = fail
{action}
print("went on", flush=True)
"""
ACTIONS = {
    "data": "durable.sync_data(os.open(sys.argv[1], os.O_RDONLY), 'some file')",
    "folder": "durable.sync_folder(os.path.dirname(sys.argv[1]))",
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
def test_a_failed_sync_ends_the_process(tmp_path: Path, action: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-c", FAILING.format(action=action), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == durable.EXIT_STATUS
    assert done.stdout.splitlines() == ["sync"]
    assert "stable storage failed" in done.stderr
    assert "Input/output error" in done.stderr


def test_what_can_be_synced_is_synced(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x")
        file.flush()
        durable.start_writeback(file.fileno())
        durable.sync_data(file.fileno(), "file")
    durable.sync_folder(tmp_path)
