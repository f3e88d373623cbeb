"""OpenPGP messages that anyone can read: signed, compressed or merely packed, but not encrypted (RFC 9580)."""

from __future__ import annotations

import bz2
import html
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

import pybase64

from mailgate.inspect.members import LimitExceededError

_MAX_DEPTH = 32  # packets in packets, as GnuPG has it
_MAX_PIECES = 100_000  # packets and partial bodies
_STEP = 1024  # bytes given to a decompressor at once
_COMPRESSED, _LITERAL = 8, 11
_BEFORE = {2, 4, 10, 21}  # signature, one-pass signature, marker, padding: they may stand in front of the content
_READABLE = frozenset(
    first
    for tag in (_COMPRESSED, _LITERAL, *_BEFORE)
    for first in (0xC0 | tag, *((0x80 | tag << 2 | kind for kind in range(4)) if tag < 16 else ()))
)
_BROKEN = (zlib.error, OSError, EOFError)
_LITERAL_FORMATS = b"btuml1"
_ARMOUR = b"-----BEGIN PGP "
_BEGIN = re.compile(rb"-----BEGIN PGP (?!SIGNED)[^\r\n-]{1,60}-----([^-]*(?:-(?!----)[^-]*)*)")
_TAG = re.compile(rb"<[^<>]{0,300}>")
_EMPTY_LINE = re.compile(rb"(?>\r\n|\n|\r)[> \t]*[\r\n]")
_FIELD = re.compile(rb"(?:\A|(?<=[\r\n]))[^\r\n:]*:[^\r\n]*")
_NOT_LETTERS = bytes(sorted(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")))
File = tuple[str, bytes]  # name, content


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_DECOMPRESSORS: dict[int, Callable[[], _Decompressor]] = {
    1: lambda: zlib.decompressobj(-15),
    2: zlib.decompressobj,
    3: bz2.BZ2Decompressor,
}


def may_be_pgp(data: bytes) -> bool:
    """Whether the first byte is that of a packet that holds readable content or stands in front of one."""
    return bool(data) and data[0] in _READABLE


def armoured(text: bytes, room: int) -> Iterator[File]:
    """The files of all armoured messages (RFC 9580 section 6.2) in a text or a page; see `literals`."""
    if _ARMOUR not in text:
        return
    for match in _BEGIN.finditer(text):
        block = match[1]
        if b"<" in block or b"&" in block:
            block = html.unescape(_TAG.sub(b"\n", block).decode("latin-1")).encode("latin-1", "replace")
        empty = _EMPTY_LINE.search(block)
        readings = [_FIELD.sub(b"", block), *([block[empty.end() :]] if empty else [])]
        for letters in dict.fromkeys(each.split(b"=", 1)[0].translate(None, _NOT_LETTERS) for each in readings):
            whole = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
            yield from literals(pybase64.b64decode(whole + b"=" * (-len(whole) % 4)), room)


def literals(data: bytes, room: int) -> Iterator[File]:
    """Name and content of every literal data packet, those in compressed packets too, a broken one as far as it goes.
    Raises LimitExceededError at more than `room` bytes expanded in all, 32 levels or 100,000 packets."""
    pending = [(data, 0)]
    count = 0
    while pending:
        stream, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise LimitExceededError("OpenPGP packets too deep in packets")
        for tag, body, pieces in _packets(stream):
            count += pieces
            if count > _MAX_PIECES:
                raise LimitExceededError("too many OpenPGP packets")
            if tag == _LITERAL and body[:1] and body[0] in _LITERAL_FORMATS and len(body) > 6 + body[1]:
                yield body[2 : 2 + body[1]].decode("utf-8", "replace"), body[6 + body[1] :]
            elif tag == _COMPRESSED and body[:1] == b"\0":
                pending.append((body[1:], depth + 1))
            elif tag == _COMPRESSED and body and body[0] in _DECOMPRESSORS:
                expanded = _expanded(_DECOMPRESSORS[body[0]], body[1:], room)
                room -= len(expanded)
                pending.append((expanded, depth + 1))


def _packets(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Tag and body of each packet (RFC 9580 section 4.2), and of how many pieces, up to a byte that begins none."""
    position = 0
    while position + 1 < len(data) and data[position] & 0x80:
        first = data[position]
        if first & 0x40:
            pieces, position = _pieces(data, position + 1)
            yield first & 0x3F, b"".join(pieces), len(pieces)
            continue
        size = (1, 2, 4, 0)[first & 3]
        start = position + 1 + size
        length = int.from_bytes(data[position + 1 : start], "big") if size else len(data)
        yield first >> 2 & 0x0F, data[start : start + length], 1
        position = start + length


def _pieces(data: bytes, position: int) -> tuple[list[bytes], int]:
    """The body of a packet whose length begins at `position` (section 4.2.1), and where it ends."""
    pieces: list[bytes] = []
    while position < len(data) and len(pieces) <= _MAX_PIECES:
        first = data[position]
        is_partial = 224 <= first < 255
        if first < 192:
            length, position = first, position + 1
        elif is_partial:
            length, position = 1 << (first & 0x1F), position + 1
        elif first == 255:
            length, position = int.from_bytes(data[position + 1 : position + 5], "big"), position + 5
        else:
            length, position = (
                (first - 192 << 8) + int.from_bytes(data[position + 1 : position + 2]) + 192,
                position + 2,
            )
        pieces.append(data[position : position + length])
        position += length
        if not is_partial:
            break
    return pieces, position


def _expanded(decompressor: Callable[[], _Decompressor], data: bytes, room: int) -> bytes:
    """`data` expanded, as far as it is not broken. Raises LimitExceededError beyond `room` bytes."""
    made = decompressor()
    chunks: list[bytes] = []
    size = 0
    for position in range(0, len(data), _STEP):
        step = data[position : position + _STEP]
        try:
            chunks.append(made.decompress(step))
        except _BROKEN:
            chunks.append(_up_to_fault(decompressor(), data[:position], step))
            break
        size += len(chunks[-1])
        if size > room:
            raise LimitExceededError("too much compressed OpenPGP data")
        if made.eof:
            break
    return b"".join(chunks)


def _up_to_fault(made: _Decompressor, before: bytes, step: bytes) -> bytes:
    """What comes out of `step`, in which the data is broken, in front of the fault."""
    for position in range(0, len(before), _STEP):
        made.decompress(before[position : position + _STEP])
    chunks: list[bytes] = []
    with suppress(*_BROKEN):
        chunks.extend(made.decompress(step[at : at + 1]) for at in range(len(step)))
    return b"".join(chunks)
