from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailgate.ipc.frames import StorageFullError
from mailgate.store.keeping.room import RESERVE, Room

CASES = [
    # free beside the reserve, growth of the database, bytes inline, bytes in files, fits
    (2000, 0, 1000, 0, True),
    (1999, 0, 1000, 0, False),
    (2000, 1, 1000, 0, False),
    (3000, 1000, 1000, 0, True),
    (1000, -5000, 1000, 0, True),
    (999, -5000, 1000, 0, False),
    (1500, -500, 1000, 0, True),
    (1499, -500, 1000, 0, False),
    (1000, -5000, 0, 1000, True),
    (1000, 0, 0, 1001, False),
    (-1, 0, 0, 0, False),
]


@pytest.mark.parametrize(("free", "growth", "inline", "in_files", "fits"), CASES)
def test_the_reserve_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, growth: int, inline: int, in_files: int, fits: bool
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda folder: SimpleNamespace(f_bavail=RESERVE + free, f_frsize=1))
    room = Room(tmp_path, lambda: growth)
    if fits:
        room.check(inline, in_files)
    else:
        with pytest.raises(StorageFullError, match="reserve"):
            room.check(inline, in_files)
