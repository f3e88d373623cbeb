"""How the inspectors' processes ended: the supervisor, who alone is told, writes it down; the edges look it up."""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
from dataclasses import dataclass

_SLOT_BYTES = 8  # written as one word, so that nobody reads a half
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_BY_ITS_MESSAGE = frozenset(
    -number
    for number in (
        *(signal.SIGPROF, signal.SIGALRM),  # our limits of time
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP),
    )
)


@dataclass(frozen=True, slots=True)
class Ending:
    """`count`: how many processes of this inspector have ended; `status` of the last one, as Popen.returncode."""

    count: int = 0
    status: int = 0

    @property
    def is_by_its_message(self) -> bool:
        """It hit a limit of ours, crashed or gave up. Else it was told to go, or killed: by the out-of-memory killer,
        by a person."""
        return self.status in _BY_ITS_MESSAGE or self.status == 1


class Endings:
    """One slot for each inspector, in memory that is shared by `descriptor`. Readers can't write."""

    def __init__(self, descriptor: int, is_writer: bool = False) -> None:
        self.descriptor = descriptor
        access = mmap.ACCESS_WRITE if is_writer else mmap.ACCESS_READ
        self._slots = memoryview(mmap.mmap(descriptor, 0, access=access)).cast("Q")

    @classmethod
    def make(cls, inspectors: int) -> Endings:
        """The writer's side."""
        descriptor = os.memfd_create("inspectors-endings", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, max(1, inspectors) * _SLOT_BYTES)
        made = cls(descriptor, is_writer=True)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS | 0x10)  # F_SEAL_FUTURE_WRITE, linux/fcntl.h
        return made

    def last(self, inspector: int) -> Ending:
        word = self._slots[inspector]
        return Ending(word >> 32, (word & 0xFFFF_FFFF) - (1 << 31))

    def ended(self, inspector: int, status: int) -> None:
        count = (self.last(inspector).count + 1) & 0xFFFF_FFFF
        self._slots[inspector] = count << 32 | (status + (1 << 31))
