"""No 250 before the data it stands for is on stable storage, shown by the system calls of a run.

A kill leaves the page cache alone, so only the order of calls tells. Three mutated stores, each with one kind of sync
taken out, prove that this test can fail."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support import messages, processes
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.components import program
from tests.support.durability import Report, judge
from tests.support.gateway import Gateway
from tests.support.strace import parse

pytestmark = pytest.mark.component("clamd", "strace", "root")
BOB = "bob@acme.example"
SIZES = (1_000, 40_000, 90_000, 300_000)
CALLS = (
    "write,writev,pwrite64,pwritev,sendto,sendmsg,copy_file_range,sendfile,splice,fsync,fdatasync,"
    "open,openat,creat,mkdir,mkdirat,link,linkat,rename,renameat,renameat2"
)
MUTANTS = Path(__file__).parent / "mutants"


@contextlib.contextmanager
def traced(pids: list[int], output: Path) -> Iterator[None]:
    strace = program("strace")
    assert strace
    attach = [argument for pid in pids for argument in ("-p", str(pid))]
    # strings whole: the queue id may stand anywhere in a page of the log
    command = [strace, "-f", "-y", "-s", "70000", "-e", f"trace={CALLS}", "-o", str(output), *attach]
    with output.with_suffix(".said").open("wb") as said:
        tracer = subprocess.Popen(command, stderr=said)
    try:
        eventually(
            lambda: output.with_suffix(".said").read_text().count(" attached") >= len(pids), "strace to be attached"
        )
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)


def observe(gateway: Gateway) -> Report:
    """The judgement on a run with small and large messages, alone and side by side."""
    gateway.start()
    by_role = processes.by_role(gateway.pid)
    output = gateway.root / "trace"
    with traced([*by_role["store"], *by_role["edge"]], output):
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(gateway.connect()) for _ in SIZES]
                for client in clients:
                    client.envelope("a@sender.example", [BOB])
                    client.command("DATA", 354)
                for client, size in zip(clients, SIZES, strict=True):
                    client.send(messages.of_size(messages.token(), size) + b".\r\n")
                for client in clients:
                    client.expect(250)
    with output.open(errors="replace") as lines:
        return judge(parse(lines))


def test_no_reply_before_its_data_is_synced(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    report = observe(gateway)
    gateway.stop()
    assert report.replies == 3 * len(SIZES)
    assert report.large == 3 * sum(size > 65_536 for size in SIZES)
    assert not report.violations, "\n".join(map(str, report.violations))


@pytest.mark.parametrize(
    ("mutant", "missing"),
    [
        ("log", "its row was synced"),
        ("content", "its content was synced"),
        ("folder", "the folder of its content was synced"),
    ],
)
def test_a_store_without_one_sync_is_found_out(new_gateway: Build, clamd: Clamd, mutant: str, missing: str) -> None:
    gateway = new_gateway(clamd.endpoint)
    site = gateway.root / "mutant"
    site.mkdir()
    shutil.copy(MUTANTS / f"{mutant}.py", site / "sitecustomize.py")
    gateway.environment["PYTHONPATH"] = f"{site}:{gateway.environment['PYTHONPATH']}"
    report = observe(gateway)
    assert missing in {violation.missing for violation in report.violations}
