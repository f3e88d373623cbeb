"""What the spool calls synced has been synced, shown by the system calls: also where nothing was changed, and while
readers hold snapshots that a checkpoint stops at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.components import REPOSITORY, program
from tests.support.strace import Call, parse

pytestmark = pytest.mark.component("strace")

SCRIPT = """
import os, sys
from pathlib import Path
from mailgate.spool.schema import open_reader
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import NOW, accepted, entry, keep

path = Path(sys.argv[1])
spool = SqliteSpool(path)
keep(spool, entry())
{before}

def change():
    spool.begin(False)
    spool.publish_policy("v", NOW, b"MARKER-OF-THIS-CHANGE")
    spool.commit()

{action}
assert spool.is_synced
os.write(2, b"SYNCED")
os._exit(0)
"""
READER = """
reader = open_reader(path)
rows = reader.execute("BEGIN; SELECT * FROM message")
next(rows)
"""
SITUATIONS = {"no reader": "", "a reader": READER, "a reader of an empty log": f"spool.checkpoint()\n{READER}"}
ACTIONS = {
    "sync": "change(); spool.sync()",
    "a durable change": "change(); keep(spool, entry())",
    "a durable transaction without a change": "change(); spool.begin(); spool.commit()",
    "a durable transaction that is taken back, then one without a change": (
        "change(); spool.begin(); spool.publish_policy('w', NOW, b''); spool.rollback(); spool.begin(); spool.commit()"
    ),
}


def _calls(tmp_path: Path, script: str) -> list[Call]:
    strace = program("strace")
    assert strace
    trace = tmp_path / "trace"
    options = ["-f", "-y", "-s", "5000", "-e", "trace=pwrite64,fdatasync,fsync,write", "-o", str(trace)]
    command = [strace, *options, sys.executable, "-c", script, str(tmp_path / "spool.db")]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    with trace.open(errors="replace") as lines:
        return parse(lines)


@pytest.mark.parametrize("before", SITUATIONS.values(), ids=SITUATIONS.keys())
@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
def test_synced_is_said_after_a_sync(tmp_path: Path, before: str, action: str) -> None:
    calls = _calls(tmp_path, SCRIPT.format(before=before, action=action))
    written = [call for call in calls if call.name == "pwrite64" and "MARKER-OF-THIS-CHANGE" in call.arguments]
    said = next(call for call in calls if call.name == "write" and "SYNCED" in call.arguments)
    assert written and all(call.ended is not None for call in written)
    first = next(call for call in written if call.path.endswith("-wal"))
    assert first.ended is not None
    assert any(
        call.name in ("fdatasync", "fsync")
        and call.path.endswith("-wal")
        and call.began > first.ended
        and call.ended is not None
        and call.ended < said.began
        for call in calls
    )


def test_a_transaction_without_a_change_costs_no_sync(tmp_path: Path) -> None:
    """The relay asks for leases where there is nothing: that must not write."""
    script = SCRIPT.format(before="", action="os.write(2, b'BEGIN'); spool.begin(); spool.commit(); spool.sync()")
    calls = _calls(tmp_path, script)
    start = next(call.began for call in calls if call.name == "write" and "BEGIN" in call.arguments)
    assert [call for call in calls if call.began > start and call.name in ("fdatasync", "fsync", "pwrite64")] == []
