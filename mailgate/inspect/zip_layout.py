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


def methods(data: bytes) -> frozenset[int]:
    """The ways of packing that the members are said to have (4.4.5)."""
    entries = _entries(data)
    return frozenset({header.method for header in _locals(data, 0)} | {method for method, _, _ in entries.values()})


def hidden_members(data: bytes, known: set[str], budget: Budget) -> Members:
    """Nothing of a file whose headers and directory say the same; of any other one every member, with its content in
    each reading that is possible. `known` are names told of already. Raises LimitExceededError."""
    entries = _entries(data)
    if _is_regular(data, entries):
        return
    for local in filter(lambda each: each.is_member, _locals(data, 0)):
        method, *_ = entries.get(local.at, (0,))
        yield from _readings(data, local, 0 in (method, local.method), local.name in known, budget)
        known.add(local.name)


def _is_regular(data: bytes, entries: dict[int, tuple[int, int, int]]) -> bool:
    """Does the directory name every local header as it is, and no other, one behind the other?"""
    at = seen = 0
    while (local := next(_locals(data, at), None)) is not None:
        entry = entries.get(local.at)
        if entry is not None and _agree(local, entry):
            seen += 1
            at = local.begin + entry[1]
        elif local.is_member:
            return False
        else:
            at = local.at + len(LOCAL)
    return seen == len(entries)


def _entries(data: bytes) -> dict[int, tuple[int, int, int]]:
    """The directory that the last end record leads to: method, packed and unpacked size by the place of the local
    header."""
    end = data.rfind(END, max(0, len(data) - TAIL))
    if end < 0 or end + _END_RECORD.size > len(data):
        return {}
    _, _, _, count, length, offset, _ = _END_RECORD.unpack_from(data, end)
    shift = end - length - offset  # what stands in front of the zip file
    at = end - length
    found: dict[int, tuple[int, int, int]] = {}
    while len(found) < count and at >= 0 and data.startswith(_ENTRY, at) and at + _ENTRY_HEADER.size <= end:
        _, _, _, method, _, _, packed, size, name, extra, comment, *_, place = _ENTRY_HEADER.unpack_from(data, at)
        found[place + max(0, shift)] = (method, packed, size)
        at += _ENTRY_HEADER.size + name + extra + comment
    return found


def _locals(data: bytes, at: int) -> Iterator[_Local]:
    while 0 <= (at := data.find(LOCAL, at)) <= len(data) - _LOCAL_HEADER.size:
        _, flags, method, _, _, packed, size, name_length, extra = _LOCAL_HEADER.unpack_from(data, at)
        start = at + _LOCAL_HEADER.size
        name = data[start : start + name_length].decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        yield _Local(at, start + name_length + extra, name, flags, method, packed, size)
        at += len(LOCAL)


def _agree(local: _Local, entry: tuple[int, int, int]) -> bool:
    """Does the header say what the directory says? Sizes may stand behind the data, or be 64 bits wide elsewhere."""
    method, packed, size = entry
    if _ZIP64 in (local.packed, local.size, packed, size):
        return local.method == method
    is_later = bool(local.flags & _SIZES_BEHIND) and local.packed in (0, packed) and local.size in (0, size)
    is_possible = packed > 0 or size == 0
    return local.method == method and is_possible and (is_later or (local.packed, local.size) == (packed, size))


def _readings(data: bytes, local: _Local, may_be_stored: bool, is_known: bool, budget: Budget) -> Members:
    """The data as they stand there, and unpacked, whatever the header says of them."""
    is_encrypted = bool(local.flags & _ENCRYPTED)
    contents: list[bytes] = []
    if not is_encrypted:
        contents = [_inflated(data, local, budget)]
        contents += [_stored(data, local)] if may_be_stored or not contents[0] else []
    if not any(contents) and not is_known:
        budget.take_member()
        yield Found(local.name, b"", local.size, is_encrypted)
    for content in filter(None, contents):
        budget.take_member()
        budget.keep(len(content))
        yield Found(local.name, content, len(content), is_unreached=True)


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
