"""The disk fails at one point after the other: the store ends at once and tries no sync a second time, since the kernel
may have dropped the bytes and would call the second one a success."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from mailgate.settings import Settings
from mailgate.spool.durable import EXIT_STATUS
from tests.store.running import add_people, running
from tests.support.components import REPOSITORY, program

pytestmark = pytest.mark.component("strace")

LOG, CONTENT, NEW = "spool/spool.db-wal", "spool/content", "tenants/*/mail/*/new"
POINTS = [
    ("fdatasync", LOG, 1),
    ("fdatasync", LOG, 2),
    ("fdatasync", LOG, 4),
    ("pwrite64", LOG, 2),
    ("pwrite64", LOG, 9),
    ("fsync", CONTENT, 1),
    ("fsync", NEW, 1),
    ("fsync", NEW, 2),
]


async def _once(settings: Settings) -> None:
    async with running(settings):
        pass


@pytest.mark.parametrize(("name", "where", "number"), POINTS)
def test_the_store_ends_at_the_first_error_of_the_disk(tmp_path: Path, name: str, where: str, number: int) -> None:
    """The `number`th such call of a thread on that file or folder fails."""
    settings = Settings(data_dir=tmp_path / "data", policy_dir=REPOSITORY / "policies", hostname="mx.gateway.example")
    settings.run_dir.mkdir(parents=True)
    settings.staging_dir.mkdir(parents=True)
    add_people(settings)
    asyncio.run(_once(settings))
    (path,) = settings.data_dir.glob(where) if "*" in where else [settings.data_dir / where]
    strace = program("strace")
    assert strace
    trace = tmp_path / "trace"
    fault = ["-P", str(path), "-e", f"trace={name}", "-e", f"inject={name}:error=EIO:when={number}"]
    workload = [sys.executable, "-m", "tests.powercut.workload", str(settings.data_dir), str(settings.policy_dir)]
    done = subprocess.run(
        [strace, "-f", *fault, "-o", str(trace), *workload, "deliveries", ""],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    before, injected, after = trace.read_text(errors="replace").partition("(INJECTED)")
    assert injected, before
    assert done.returncode == EXIT_STATUS, done.stderr[-2_000:]
    assert "stable storage failed" in done.stderr and "END" not in done.stderr
    assert f"{name}(" not in after, "nothing is tried again"
