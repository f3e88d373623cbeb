"""OpenPGP messages that anyone can read: signed, compressed or merely packed, but not encrypted (RFC 9580)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pybase64

from mailgate.inspect.expansion import Format, bzip2, deflate, expanded, zlib_format
from mailgate.inspect.members import Budget, LimitExceededError

_MAX_DEPTH = 32  # packets in packets, as GnuPG has it
_COMPRESSED, _LITERAL = 8, 11
_BEFORE = {2, 4, 10, 21}  # signature, one-pass signature, marker, padding: they may stand in front of the content
_READABLE = frozenset(
    first
    for tag in (_COMPRESSED, _LITERAL, *_BEFORE)
    for first in (0xC0 | tag, *((0x80 | tag << 2 | kind for kind in range(4)) if tag < 16 else ()))
)
_PNG = b"\x89PNG\r\n\x1a\n"
_ARMOUR = b"-----BEGIN PGP "
_BEGIN = re.compile(rb"-----BEGIN PGP (?!SIGNED)[^\r\n-]{1,60}-----([^-]*(?:-(?!----)[^-]*)*)")
_TAG = re.compile(rb"<[^<>]{0,300}>")
_EMPTY_LINE = re.compile(rb"(?>\r\n|\n|\r)[> \t]*[\r\n]")
_FIELD = re.compile(rb"(?:\A|(?<=[\r\n]))[^\r\n:]*:[^\r\n]*")
_NOT_LETTERS = bytes(sorted(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")))
File = tuple[str, bytes]  # name, content
_FORMATS: dict[int, Format] = {1: deflate, 2: zlib_format, 3: bzip2}


def may_be_pgp(data: bytes) -> bool:
    """Whether the first byte is that of a packet that holds readable content or stands in front of one. PNG pictures
    begin like a signature, and what follows is random enough to hold packets."""
    return bool(data) and data[0] in _READABLE and not data.startswith(_PNG)


def armoured(text: bytes, budget: Budget) -> Iterator[File]:
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
            yield from literals(pybase64.b64decode(whole + b"=" * (-len(whole) % 4)), budget)


def literals(data: bytes, budget: Budget) -> Iterator[File]:
    """Name and content of every literal data packet, those in compressed packets too, a broken one as far as it goes.
    Each packet and each piece of one counts as a member of the budget. Raises LimitExceededError where that is used up,
    or at more than 32 levels."""
    pending = [(data, 0)]
    while pending:
        stream, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise LimitExceededError("OpenPGP packets too deep in packets")
        for tag, body in _packets(stream, budget):
            if tag == _LITERAL and len(body) > 6 and len(body) > 6 + body[1]:
                yield body[2 : 2 + body[1]].decode("utf-8", "replace"), body[6 + body[1] :]
            elif tag == _COMPRESSED and body[:1] == b"\0":
                pending.append((body[1:], depth + 1))
            elif tag == _COMPRESSED and body and body[0] in _FORMATS:
                pending.append((expanded(_FORMATS[body[0]], body[1:], budget), depth + 1))


def _packets(data: bytes, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet (RFC 9580 section 4.2), up to a byte that begins none."""
    position = 0
    while position + 1 < len(data) and data[position] & 0x80:
        first = data[position]
        if first & 0x40:
            body, position = _joined(data, position + 1, budget)
            yield first & 0x3F, body
            continue
        budget.take_member()
        size = (1, 2, 4, 0)[first & 3]
        start = position + 1 + size
        length = int.from_bytes(data[position + 1 : start], "big") if size else len(data)
        yield first >> 2 & 0x0F, data[start : start + length]
        position = start + length


def _joined(data: bytes, position: int, budget: Budget) -> tuple[bytes, int]:
    """The body of a packet whose length begins at `position` (section 4.2.1), and where it ends."""
    pieces: list[bytes] = []
    while position < len(data):
        budget.take_member()
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
    return b"".join(pieces), position
