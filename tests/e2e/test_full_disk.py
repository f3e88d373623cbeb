"""No room left: 452 in the dialogue, nothing accepted is lost, and mail passes again once there is room."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import maildir, messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway, short_folder
from tests.support.smtp import Answer, dot_stuffed

BOB = "bob@acme.example"
ROOM = 48 << 20
SIZES = (1_000, 20_000, 60_000, 60_000, 100_000, 2 << 20)


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
    before, after = messages.token(), messages.token()
    assert gateway.deliver(messages.of_size(before, 200_000), BOB).code == 250
    gateway.delivered(BOB, before)
    ballast = disk / "ballast"
    kept = _fill_during_transactions(gateway, disk, ballast)
    eventually(lambda: _declared(gateway, 4 << 20) == (452, "4.3.1"), "a declared size that finds no room")
    ballast.unlink()
    eventually(lambda: _attempt(gateway, messages.of_size(after, 200_000)).code == 250, "mail to be accepted again")
    gateway.delivered(BOB, after)
    waiting = {entry["queue_id"] for entry in gateway.json("queue", "list")}
    lost = {
        name: queue_id
        for name, queue_id in kept.items()
        if queue_id not in waiting and not maildir.holding(gateway.maildir(BOB), name)
    }
    assert not lost, "accepted on a full disk and lost"


def _fill_during_transactions(gateway: Gateway, disk: Path, ballast: Path) -> dict[str, str]:
    """Fills the disk between 354 and the data; tokens and queue ids of what was accepted all the same."""
    kept = {}
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in SIZES]
        for client in clients:
            client.envelope("a@sender.example", [BOB])
            client.command("DATA", 354)
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - (64 << 10)))
        for client, size in zip(clients, SIZES, strict=True):
            name = messages.token()
            client.send(dot_stuffed(messages.of_size(name, size)))
            answer = client.answer()
            assert answer.code in (250, 452), f"{size} bytes: {answer}"
            if answer.code == 250:
                kept[name] = answer.queue_id
        assert len(kept) < len(SIZES)
    return kept


def _declared(gateway: Gateway, size: int) -> tuple[int, str]:
    with gateway.connect() as client:
        answer = client.command(f"MAIL FROM:<a@sender.example> SIZE={size}")
        return answer.code, answer.enhanced


def _attempt(gateway: Gateway, message: bytes) -> Answer:
    with gateway.connect() as client:
        return client.attempt("a@sender.example", BOB, message)
