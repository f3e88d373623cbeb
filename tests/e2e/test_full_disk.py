"""No room left: 452 in the dialogue, nothing accepted is lost, and mail passes again once there is room."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway, short_folder
from tests.support.smtp import Answer

BOB = "bob@acme.example"
ROOM = 48 << 20


@pytest.fixture
def small_disk() -> Iterator[Path]:
    mount = short_folder("mg-disk-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)
    mount.rmdir()


@pytest.mark.component("clamd", "root")
def test_a_full_disk_defers_and_loses_nothing(small_disk: Path, people: Path, clamd: Clamd) -> None:
    gateway = Gateway(short_folder("mg-"), clamd.endpoint)
    gateway.data_dir = small_disk / "data"
    gateway.environment["MAILGATE_DATA_DIR"] = str(gateway.data_dir)
    shutil.copytree(people, gateway.data_dir)
    try:
        gateway.start()
        _fill_and_empty(gateway, small_disk)
        gateway.stop()
    finally:
        gateway.remove()


def _fill_and_empty(gateway: Gateway, disk: Path) -> None:
    accepted = messages.token()
    assert gateway.deliver(messages.of_size(accepted, 200_000), BOB).code == 250
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(free - (256 << 10)))
    declared = f"MAIL FROM:<a@sender.example> SIZE={4 << 20}"
    with gateway.connect() as client:
        answer = client.command(declared, 452)
        assert answer.enhanced == "4.3.1"
    for size in (1_000, 100_000, 2 << 20):
        answer = _attempt(gateway, messages.of_size(messages.token(), size))
        assert answer.code in (250, 451, 452), f"{size} bytes: {answer}"
    ballast.unlink()
    after = messages.token()
    eventually(
        lambda: _attempt(gateway, messages.of_size(after, 200_000)).code == 250,
        "mail to be accepted again",
    )
    gateway.delivered(BOB, accepted)
    gateway.delivered(BOB, after)


def _attempt(gateway: Gateway, message: bytes) -> Answer:
    with gateway.connect() as client:
        return client.attempt("a@sender.example", BOB, message)
