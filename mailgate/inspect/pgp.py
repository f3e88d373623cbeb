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
_PUBLIC_KEY_SESSION, _SYMMETRIC_SESSION, _SEALED_OLD, _SEALED, _SEALED_AEAD = 1, 3, 9, 18, 20
_MOST_KEYS = 2000  # recipients of one message
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


def is_encrypted(data: bytes) -> bool:
    """Whether the bytes are an OpenPGP message that only its recipients, or who knows a password, can read: packets of
    session keys and encrypted data (RFC 9580 sections 5.1, 5.3, 5.7, 5.13, 5.16, 10.3)."""
    position = 0
    has_key = False
    for _ in range(_MOST_KEYS):
        tag, start, end, is_partial = _packet_head(data, position)
        body = data[start : start + 3]
        if tag in (_PUBLIC_KEY_SESSION, _SYMMETRIC_SESSION):
            if body[:1] not in (b"\2", b"\3", b"\4", b"\5", b"\6") or end > len(data) or is_partial:
                return False
            has_key = True
        elif tag in (_SEALED, _SEALED_AEAD) and body[:1] in (b"\1", b"\2"):
            return has_key or is_partial or end == len(data)
        elif tag == _SEALED_OLD:
            return has_key or (end == len(data) and end - start > 16 and not is_partial)
        elif tag not in _BEFORE or end > len(data) or is_partial:
            return False
        position = end
    return False


def _packet_head(data: bytes, position: int) -> tuple[int, int, int, bool]:
    """Tag, begin and end of the packet at `position` (section 4.2), and whether it goes on behind that; tag 0 where
    there is none."""
    head = data[position : position + 6]
    if len(head) < 2 or not head[0] & 0x80:
        return 0, position, position, False
    if not head[0] & 0x40:
        size = (1, 2, 4, 0)[head[0] & 3]
        start = position + 1 + size
        end = start + int.from_bytes(head[1 : 1 + size], "big") if size else len(data)
        return head[0] >> 2 & 0x0F, start, end, False
    tag, first = head[0] & 0x3F, head[1]
    if first < 192:
        return tag, position + 2, position + 2 + first, False
    if first < 224:
        start = position + 3
        return tag, start, start + (first - 192 << 8) + int.from_bytes(head[2:3], "big") + 192, False
    if first < 255:
        return tag, position + 2, position + 2 + (1 << (first & 0x1F)), True
    return tag, position + 6, position + 6 + int.from_bytes(head[2:6], "big"), False


def blocks(text: bytes) -> Iterator[bytes]:
    """What every armoured block (RFC 9580 section 6.2) in a text or a page holds, in each reading."""
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
            yield pybase64.b64decode(whole + b"=" * (-len(whole) % 4))


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
