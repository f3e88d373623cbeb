"""Zip files that can be read in several ways (PKWARE's APPNOTE.TXT): members that stand in the file but not in its
directory, several zip files in a row, and headers that contradict the directory. Pure.

The scanner takes one reading; programs that unpack take others. So what such a member may mean is unpacked here in each
way, to be scanned by itself."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mailgate.inspect.members import Budget, Found, Members

LOCAL = b"PK\3\4"
END = b"PK\5\6"
TAIL = 66_000  # the end record and the longest comment
_ENTRY = b"PK\1\2"
_LOCAL_HEADER = struct.Struct("<4xHHHIIIIHH")  # 4.3.7
_ENTRY_HEADER = struct.Struct("<4xHHHHIIIIHHHHHII")  # 4.3.12
_END_RECORD = struct.Struct("<4xHHHHIIH")  # 4.3.16
_ENCRYPTED, _SIZES_BEHIND, _UTF8 = 1, 8, 0x800  # general purpose bits, 4.4.4
_LONGEST_NAME = 1024
_ZIP64 = 0xFFFFFFFF
_AES = 99


@dataclass(frozen=True, slots=True)
class _Local:
    """A local header: where it and its data begin, and what it says."""

    at: int
    begin: int
    name: str
    flags: int
    method: int
    packed: int
    size: int

    @property
    def is_member(self) -> bool:
        """False for a folder, and for what only looks like a header."""
        return bool(self.name) and len(self.name) < _LONGEST_NAME and self.method <= _AES and self.name[-1] != "/"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What an entry of the directory says of a member."""

    method: int
    packed: int
    size: int
    name: str


def methods(data: bytes) -> frozenset[int]:
    """The ways of packing that the members are said to have (4.4.5)."""
    entries = _entries(data)
    return frozenset(
        {header.method for header in _locals(data, 0)} | {entry.method for each in entries.values() for entry in each}
    )


def hidden_members(data: bytes, known: set[str], budget: Budget) -> Members:
    """Nothing of a file whose headers and directory say the same; of any other one every member, with its content in
    each reading that is possible. `known` are names told of already. Raises LimitExceededError."""
    entries = _entries(data)
    if _is_regular(data, entries):
        return
    for local in filter(lambda each: each.is_member, _locals(data, 0)):
        told = entries.get(local.at, [])
        names = dict.fromkeys((local.name, *(entry.name for entry in told)))
        may_be_stored = not told or 0 in (local.method, *(entry.method for entry in told))
        contents = _readings(data, local, may_be_stored, budget)
        for name in names if contents else [each for each in names if each not in known]:
            for content in contents or (b"",):
                budget.take_member()
                budget.keep(len(content))
                is_encrypted = bool(local.flags & _ENCRYPTED)
                yield Found(name, content, len(content) or local.size, is_encrypted, is_unreached=bool(content))
        known.update(names)


def _is_regular(data: bytes, entries: dict[int, list[_Entry]]) -> bool:
    """Does the directory name every local header as it is, and no other, one behind the other?"""
    at = seen = 0
    while (local := next(_locals(data, at), None)) is not None:
        told = entries.get(local.at, [])
        if len(told) == 1 and _agree(local, told[0]):
            seen += 1
            at = local.begin + told[0].packed
        elif local.is_member:
            return False
        else:
            at = local.at + len(LOCAL)
    return seen == len(entries)


def _entries(data: bytes) -> dict[int, list[_Entry]]:
    """The directory that the last end record leads to, by the place of the local header: once to each, if honest."""
    end = data.rfind(END, max(0, len(data) - TAIL))
    if end < 0 or end + _END_RECORD.size > len(data):
        return {}
    _, _, _, count, length, offset, _ = _END_RECORD.unpack_from(data, end)
    shift = end - length - offset  # what stands in front of the zip file
    at = end - length
    found: dict[int, list[_Entry]] = {}
    seen = 0
    while seen < count and at >= 0 and data.startswith(_ENTRY, at) and at + _ENTRY_HEADER.size <= end:
        _, _, flags, method, _, _, packed, size, length, extra, comment, *_, place = _ENTRY_HEADER.unpack_from(data, at)
        at += _ENTRY_HEADER.size
        name = _name(data[at : at + length], flags)
        found.setdefault(place + max(0, shift), []).append(_Entry(method, packed, size, name))
        at += length + extra + comment
        seen += 1
    return found


def _locals(data: bytes, at: int) -> Iterator[_Local]:
    while 0 <= (at := data.find(LOCAL, at)) <= len(data) - _LOCAL_HEADER.size:
        _, flags, method, _, _, packed, size, name_length, extra = _LOCAL_HEADER.unpack_from(data, at)
        start = at + _LOCAL_HEADER.size
        name = _name(data[start : start + name_length], flags)
        yield _Local(at, start + name_length + extra, name, flags, method, packed, size)
        at += len(LOCAL)


def _name(raw: bytes, flags: int) -> str:
    return raw.decode("utf-8" if flags & _UTF8 else "cp437", "replace")


def _agree(local: _Local, entry: _Entry) -> bool:
    """Does the header say what the directory says? Sizes may stand behind the data, or be 64 bits wide elsewhere."""
    method, packed, size = entry.method, entry.packed, entry.size
    if entry.name != local.name:
        return False
    if _ZIP64 in (local.packed, local.size, packed, size):
        return local.method == method
    is_later = bool(local.flags & _SIZES_BEHIND) and local.packed in (0, packed) and local.size in (0, size)
    is_possible = packed > 0 or size == 0
    return local.method == method and is_possible and (is_later or (local.packed, local.size) == (packed, size))


def _readings(data: bytes, local: _Local, may_be_stored: bool, budget: Budget) -> list[bytes]:
    """The data as they stand there, and unpacked, whatever the header says of them; none where they are encrypted."""
    if local.flags & _ENCRYPTED:
        return []
    contents = [_inflated(data, local, budget)]
    contents += [_stored(data, local)] if may_be_stored or not contents[0] else []
    return [content for content in contents if content]


def _stored(data: bytes, local: _Local) -> bytes:
    """As long as the header says, or up to what follows where it says nothing."""
    length = max(local.packed, local.size)
    if not 0 < length < _ZIP64:
        end = data.find(b"PK", local.begin)
        length = (end if end >= 0 else len(data)) - local.begin
    return data[local.begin : local.begin + length]


def _inflated(data: bytes, local: _Local, budget: Budget) -> bytes:
    """What deflate makes of the data, as far as it goes; nothing where they are not deflated."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = decoder.decompress(memoryview(data)[local.begin :], budget.kept + 1)
    except zlib.error:
        return b""
    budget.take_data(len(content))
    return content
