"""The answer of a resolver, read in time linear in its size (RFC 1035 section 4, RFC 2308, RFC 6891). Pure.

Names in it may be compressed so that a few kilobytes stand for a megabyte, and a library that unfolds each of them
takes seconds; here each place is read once, and only records of the kind that was asked for."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mailgate.model.dns import Mx, Tlsa

MOST_RECORDS = 2_000  # of one answer that are kept
MOST_ALIASES = 16  # CNAMEs in a row
LONGEST_TEXT = 4096  # bytes of a TXT record that are read; one more is kept, so that it shows
A, CNAME, SOA, PTR, MX, TXT, AAAA, OPT, TLSA = 1, 5, 6, 12, 15, 16, 28, 41, 52

Record = str | Mx | Tlsa
_IN = 1
_HEAD = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHIH")  # type, class, TTL, length of the data
_RESPONSE, _TRUNCATED, _AUTHENTIC = 0x8000, 0x0200, 0x0020
_LONGEST_NAME = 255  # octets, RFC 1035 section 2.3.4
_MOST_POINTERS = 128
_LONGEST_TTL = 2**31 - 1  # RFC 2181 section 8: what is above counts as 0
_PLAIN = re.compile(rb"[A-Za-z0-9_-]+")
_SPECIAL = b'"().;\\@$'


class FormatError(ValueError):
    """Not a DNS message, or one whose records can't be what they say."""


class _Found(NamedTuple):
    """A record whose data lies at `at`."""

    owner: str
    kind: int
    ttl: int
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Response:
    """`question` is name and type, None where it is not repeated; `code` with the bits of EDNS."""

    number: int
    is_response: bool
    is_truncated: bool
    is_authentic: bool
    code: int
    question: tuple[str, int] | None
    _wire: _Wire
    _answer: tuple[_Found, ...]
    _authority: tuple[_Found, ...]

    def follow(self, name: str, kind: int) -> tuple[str, tuple[Record, ...], float | None]:
        """From `name` over its aliases: the owner in the end, its records, and for how many seconds that holds, None
        where nobody says so. Raises FormatError."""
        aliases = {each.owner: each for each in reversed(self._answer) if each.kind == CNAME}
        records: dict[str, list[_Found]] = {}
        for each in self._answer:
            if each.kind == kind:
                records.setdefault(each.owner, []).append(each)
        owner, ttl, hops = name, float(_LONGEST_TTL), 0
        while owner not in records and (alias := aliases.get(owner)) is not None:
            owner, ttl, hops = self._wire.name(alias.at)[0], min(ttl, alias.ttl), hops + 1
            if hops >= MOST_ALIASES:
                raise FormatError(f"{name} leads to more than {MOST_ALIASES} names")
        if owner in records:
            found = records[owner]
            return owner, tuple(map(self._wire.record, found[:MOST_RECORDS])), min(ttl, *(each.ttl for each in found))
        for each in self._authority:
            if each.kind == SOA and f".{owner}".endswith(f".{each.owner}"):
                return owner, (), min(ttl, each.ttl, self._wire.soa_minimum(each))
        return owner, (), None


def read(wire: bytes) -> Response:
    """Raises FormatError."""
    try:
        number, flags, questions, *counts = _HEAD.unpack_from(wire)
        words = _Wire(wire)
        at = _HEAD.size
        question = None
        for _ in range(questions):
            name, at = words.name(at)
            question, at = (name, int.from_bytes(wire[at : at + 2], "big")), at + 4
        sections: list[tuple[_Found, ...]] = []
        for count in counts:
            found = list(words.records(at, count))
            at = found[-1].at + found[-1].length if found else at
            sections.append(tuple(found))
    except (struct.error, IndexError):
        raise FormatError("the message is cut off") from None
    extended = next((each.ttl >> 24 for each in sections[2] if each.kind == OPT), 0)
    return Response(
        number=number,
        is_response=bool(flags & _RESPONSE),
        is_truncated=bool(flags & _TRUNCATED),
        is_authentic=bool(flags & _AUTHENTIC),
        code=extended << 4 | flags & 0xF,
        question=question if questions == 1 else None,
        _wire=words,
        _answer=sections[0],
        _authority=sections[1],
    )


class _Wire:
    """The bytes, and the names that were read so far by where they begin."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: dict[int, str] = {}

    def records(self, at: int, count: int) -> Iterator[_Found]:
        for _ in range(count):
            owner, at = self.name(at)
            kind, klass, ttl, length = _FIXED.unpack_from(self._data, at)
            at += _FIXED.size
            if at + length > len(self._data):
                raise FormatError("a record is cut off")
            if kind != OPT and ttl > _LONGEST_TTL:
                ttl = 0
            yield _Found(owner, kind if klass == _IN or kind == OPT else 0, ttl, at, length)
            at += length

    def name(self, at: int) -> tuple[str, int]:
        """In lower case without final dot, and where it ends. Raises FormatError, IndexError."""
        data, end, rest = self._data, 0, ""
        labels: list[tuple[int, str]] = []
        pointers = 0
        while length := data[at]:
            if length < 0x40:
                labels.append((at, _label(data[at + 1 : at + 1 + length])))
                at += 1 + length
                continue
            target, pointers = (length & 0x3F) << 8 | data[at + 1], pointers + 1
            if length < 0xC0 or target >= at or pointers > _MOST_POINTERS:
                raise FormatError("a name that can't be read")
            end, at = end or at + 2, target
            if (known := self._known.get(target)) is not None:
                rest = known
                break
        for place, label in reversed(labels):
            rest = self._known[place] = f"{label}.{rest}" if rest else label
        if len(rest) > 4 * _LONGEST_NAME:  # an escaped byte takes four characters
            raise FormatError("a name is too long")
        return rest, end or at + 1

    def record(self, found: _Found) -> Record:
        """Raises FormatError."""
        data = self._data[found.at : found.at + found.length]
        try:
            match found.kind:
                case 1:
                    return socket.inet_ntop(socket.AF_INET, data)
                case 28:
                    return socket.inet_ntop(socket.AF_INET6, data)
                case 12:
                    return self.name(found.at)[0]
                case 15:
                    return Mx(int.from_bytes(data[:2], "big"), self.name(found.at + 2)[0])
                case 16:
                    return b"".join(_strings(data))[: LONGEST_TEXT + 1].decode("utf-8", "replace")
                case 52:
                    return Tlsa(data[0], data[1], data[2], data[3:])
        except (ValueError, IndexError, OSError):
            pass
        raise FormatError("a record holds what it must not")

    def soa_minimum(self, found: _Found) -> int:
        """RFC 2308 section 5."""
        return int.from_bytes(self._data[found.at + found.length - 4 : found.at + found.length], "big")


def _strings(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            raise ValueError("a string is cut off")
        yield data[at + 1 : end]
        at = end


def _label(label: bytes) -> str:
    """As master files write it (RFC 1035 section 5.1), in lower case."""
    if _PLAIN.fullmatch(label):
        return label.decode("ascii").lower()
    return "".join(
        f"\\{chr(byte)}" if byte in _SPECIAL else chr(byte) if 0x20 < byte < 0x7F else f"\\{byte:03d}"
        for byte in label.lower()
    )
