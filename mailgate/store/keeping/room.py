"""Is there room for one more message? Some is left over always: on a disk that is full to the last byte nothing could
be delivered, recorded or deleted any more."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailgate.ipc.frames import StorageFullError

RESERVE = 8 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """`growth`: bytes that the spool database may still grow without one more message (negative: it has free room)."""

    folder: Path
    growth: Callable[[], int]

    def check(self, inline: int, in_files: int) -> None:
        """StorageFullError where so many bytes of messages would touch the reserve. Small ones are kept and then
        written to their mailboxes, large ones only linked."""
        found = os.statvfs(self.folder)
        free = found.f_bavail * found.f_frsize - RESERVE
        growth = self.growth() + inline
        if free < max(growth, 0) + inline + in_files:
            raise StorageFullError(f"{self.folder}: {max(free, 0) >> 20} MiB free beside the reserve")
