"""Compressed data inside a message, expanded within a budget, a broken stream as far as it goes."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from mailgate.inspect.members import Budget

_STEP = 1024  # bytes given to a decompressor at once
_EACH = 256 << 10  # what a stream costs at least: bzip2 works on a block of 900 kB before any of it is known to be good
_BROKEN = (zlib.error, OSError, EOFError)


class Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, /) -> bytes: ...


Format = Callable[[], Decompressor]


def deflate() -> Decompressor:
    """RFC 1951."""
    return zlib.decompressobj(-zlib.MAX_WBITS)


def zlib_format() -> Decompressor:
    """RFC 1950."""
    return zlib.decompressobj()


def bzip2() -> Decompressor:
    return bz2.BZ2Decompressor()


def expanded(form: Format, data: bytes, budget: Budget) -> bytes:
    """What `data` begins with expanded, up to its end or its first fault. Takes every byte that comes out, and
    something for each stream, from the budget: raises LimitExceededError where that is used up."""
    budget.take_data(_EACH)
    made = form()
    chunks: list[bytes] = []
    for position in range(0, len(data), _STEP):
        step = data[position : position + _STEP]
        try:
            chunk = made.decompress(step)
        except _BROKEN:
            chunks.append(_up_to_fault(form(), data[:position], step))
            break
        budget.take_data(len(chunk))
        chunks.append(chunk)
        if made.eof:
            break
    return b"".join(chunks)


def _up_to_fault(made: Decompressor, before: bytes, step: bytes) -> bytes:
    """What comes out of `step`, in which the data is broken, in front of the fault."""
    for position in range(0, len(before), _STEP):
        made.decompress(before[position : position + _STEP])
    chunks: list[bytes] = []
    with suppress(*_BROKEN):
        chunks.extend(made.decompress(step[at : at + 1]) for at in range(len(step)))
    return b"".join(chunks)
