"""How much lies in a Maildir."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailgate.store.delivery.usage import Usage
from tests.support.clock import ManualClock


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for place in ("", ".Sent", ".Archive.2026"):
        for kind in ("new", "cur", "tmp"):
            (tmp_path / "box" / place / kind).mkdir(parents=True)
    return tmp_path / "box"


def put(folder: Path, name: str, size: int = 1) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    return path


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("1,S=100", 100),
        ("1,S=100:2,S", 100),
        ("1.host,S=100,W=103:2,RS", 103),
        ("1.host,W=103,S=100", 103),
        ("1:2,S=9", 7),
        ("1", 7),
        ("1,S=", 7),
        ("1,XS=5", 7),
    ],
)
def test_sizes_in_names(maildir: Path, name: str, counted: int) -> None:
    put(maildir / "cur", name, 7)
    assert Usage().of(maildir) == counted


def test_folders_count_and_what_is_on_its_way_does_not(maildir: Path) -> None:
    put(maildir / "new", "1,S=1")
    put(maildir / "cur", "2,S=10")
    put(maildir / ".Sent" / "cur", "3,S=100")
    put(maildir / ".Archive.2026" / "new", "4,S=1000")
    put(maildir / "tmp", "5,S=10000")
    put(maildir, "dovecot.index.log", 50)
    (maildir / "sieve").mkdir()
    assert Usage().of(maildir) == 1111
    assert Usage().of(maildir / "missing") == 0


def test_every_change_shows_and_what_has_settled_is_not_read_again(maildir: Path) -> None:
    clock = ManualClock((maildir / "new").stat().st_mtime)
    usage = Usage(clock)
    first = put(maildir / "new", "1,S=1")
    assert usage.of(maildir) == 1
    put(maildir / "new", "2,S=10")
    assert usage.of(maildir) == 11
    clock.advance(10)
    assert usage.of(maildir) == 11
    times = (maildir / "new").stat()
    put(maildir / "new", "3,S=100")
    os.utime(maildir / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert usage.of(maildir) == 11, "it was read though nothing says that it changed"
    first.unlink()
    assert usage.of(maildir) == 110


def test_what_changes_twice_within_one_tick_is_seen(maildir: Path) -> None:
    now = (maildir / "new").stat()
    usage = Usage(ManualClock(now.st_mtime + 0.5))
    assert usage.of(maildir) == 0
    put(maildir / "new", "1,S=1")
    os.utime(maildir / "new", ns=(now.st_atime_ns, now.st_mtime_ns))
    assert usage.of(maildir) == 1
