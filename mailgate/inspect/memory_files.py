"""Files in memory by which contents reach a scanner that takes descriptors."""

from __future__ import annotations

import os
from collections.abc import Sequence

_KEPT_FILES = 4
_KEPT_BYTES = 8 << 20  # of each
_PIECES = 512  # in one call of pwritev: the kernel takes 1024

Buffer = bytes | memoryview


class MemoryFiles:
    """The first few files of every batch are written over those of the batch before: pages that are there already cost
    a fifth of new ones. So nobody may read them any longer: `keep` once the whole batch was answered, else `close`."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._sizes: list[int] = []
        self._used = 0
        self._others: list[int] = []

    def file(self, pieces: Sequence[Buffer]) -> int:
        """The descriptor of a file that holds `pieces` one after the other; valid until the next call."""
        self._close_others()
        size = sum(map(len, pieces))
        descriptor = self._next(size)
        written = 0
        for at in range(0, len(pieces), _PIECES):
            written += _write(descriptor, pieces[at : at + _PIECES], written)
        return descriptor

    def keep(self) -> None:
        """Every file of the batch was read: the next batch may write over them."""
        self._close_others()
        for number in range(self._used):
            if self._sizes[number] > _KEPT_BYTES:
                os.ftruncate(self._kept[number], _KEPT_BYTES)
                self._sizes[number] = _KEPT_BYTES
        self._used = 0

    def close(self) -> None:
        """Give up all files; whoever still holds a descriptor keeps what it reads."""
        self._close_others()
        for descriptor in self._kept:
            os.close(descriptor)
        self._kept, self._sizes, self._used = [], [], 0

    def _next(self, size: int) -> int:
        number = self._used
        if number == _KEPT_FILES:
            self._others.append(_new())
            return self._others[0]
        self._used += 1
        if number == len(self._kept):
            self._kept.append(_new())
            self._sizes.append(size)
        elif size < self._sizes[number]:
            os.ftruncate(self._kept[number], size)
        self._sizes[number] = size
        return self._kept[number]

    def _close_others(self) -> None:
        while self._others:
            os.close(self._others.pop())


def _new() -> int:
    return os.memfd_create("sample", os.MFD_CLOEXEC)


def _write(descriptor: int, pieces: Sequence[Buffer], at: int) -> int:
    size = sum(map(len, pieces))
    written = os.pwritev(descriptor, pieces, at)
    if written < size:
        rest = memoryview(b"".join(pieces))
        while written < size:
            written += os.pwrite(descriptor, rest[written:], at + written)
    return size
