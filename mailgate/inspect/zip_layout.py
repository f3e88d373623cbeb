"""Zip files that can be read in several ways (PKWARE's APPNOTE.TXT): members that stand in the file but not in its
directory, several zip files in a row, and headers that contradict the directory. Pure.

The scanner takes one reading; programs that unpack take others. So what such a member may mean is unpacked here in each
way, to be scanned by itself."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mailgate.inspect import member_names
from mailgate.inspect.members import Budget, Found, Members

LOCAL = b"PK\3\4"
END = b"PK\5\6"
TAIL = 66_000  # the end record and the longest comment
_ENTRY = b"PK\1\2"
_LOCAL_HEADER = struct.Struct("<4xHHHIIIIHH")  # 4.3.7
_ENTRY_HEADER = struct.Struct("<4xHHHHIIIIHHHHHII")  # 4.3.12
_END_RECORD = struct.Struct("<4xHHHHIIH")  # 4.3.16
_ENCRYPTED, _SIZES_BEHIND = 1, 8  # general purpose bits, 4.4.4
_LENGTHS = struct.Struct("<HHH")
_MOST_WITHOUT_DIRECTORY = 1000
_MOST_ENDS = 8  # end records that are followed
_LONGEST_NAME = 1024
_ZIP64 = 0xFFFFFFFF
_AES = 99


@dataclass(frozen=True, slots=True)
class _Local:
    """A local header: where it and its data begin, and what it says."""

    at: int
    begin: int
    raw_name: bytes
    flags: int
    method: int
    packed: int
    size: int

    @property
    def is_member(self) -> bool:
        """False for a folder, and for what only looks like a header."""
        name = self.raw_name
        return bool(name) and len(name) < _LONGEST_NAME and self.method <= _AES and not name.endswith(b"/")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What an entry of the directory says of a member."""

    method: int
    packed: int
    size: int
    raw_name: bytes


def methods(data: bytes) -> frozenset[int]:
    """The ways of packing that the members are said to have (4.4.5)."""
    entries = _entries(data)
    return frozenset(
        {header.method for header in _locals(data, 0)} | {entry.method for each in entries.values() for entry in each}
    )


def directory(data: bytes) -> dict[bytes, int]:
    """The names in the directory of the last end record, each with the place of its local header; where there is no
    directory, the names of the first local headers. For a look at each zip file: cheap, and not a check."""
    end = _end(data)
    members: dict[bytes, int] = {}
    if end >= 0:
        length, offset = struct.unpack_from("<II", data, end + 12)
        at = end - length
        shift = max(0, at - offset)
        while at >= 0 and at + _ENTRY_HEADER.size <= end and data.startswith(_ENTRY, at):
            name_length, extra, comment = _LENGTHS.unpack_from(data, at + 28)
            begin = at + _ENTRY_HEADER.size
            place = int.from_bytes(data[at + 42 : begin], "little")
            members[data[begin : begin + name_length]] = place + shift
            at = begin + name_length + extra + comment
    if not members:
        members = {each.raw_name: each.at for each in itertools.islice(_locals(data, 0), _MOST_WITHOUT_DIRECTORY)}
    return members


def content_at(data: bytes, at: int) -> tuple[int, int] | None:
    """The method of the member whose local header is at `at`, and where its content begins; None without a header."""
    if not data.startswith(LOCAL, at) or at + _LOCAL_HEADER.size > len(data):
        return None
    fields = _LOCAL_HEADER.unpack_from(data, at)
    return fields[2], at + _LOCAL_HEADER.size + fields[7] + fields[8]


def hidden_members(data: bytes, known: set[str], budget: Budget) -> Members:
    """Nothing of a file whose headers and directory say the same; of any other one every member, with its content in
    each reading that is possible. `known` are names told of already. Raises LimitExceededError."""
    entries = _entries(data)
    if _is_regular(data, entries):
        return
    for local in filter(lambda each: each.is_member, _locals(data, 0)):
        told = entries.get(local.at, [])
        spellings = dict.fromkeys((local.raw_name, *(entry.raw_name for entry in told)))
        names = {each[0]: each for each in map(member_names.readings, spellings) if each}
        may_be_stored = not told or 0 in (local.method, *(entry.method for entry in told))
        contents = _readings(data, local, may_be_stored, budget)
        for name in names if contents else [each for each in names if each not in known]:
            for content in contents or (b"",):
                budget.take_member()
                budget.keep(len(content))
                is_encrypted = bool(local.flags & _ENCRYPTED)
                size = len(content) or local.size
                yield Found(name, content, size, is_encrypted, is_unreached=bool(content), names=names[name])
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


def is_last_volume(data: bytes) -> bool:
    """Does it end like the last of several files of one zip file?"""
    end = _end(data)
    if end < 0:
        return False
    disk, _, _, _, length, *_ = _END_RECORD.unpack_from(data, end)
    return 0 < disk < 0xFFFF and length <= end and data.startswith(_ENTRY, end - length)


def fault(data: bytes) -> str:
    """Why a file that begins like a zip file is not all there: an end record and all that its directory names must be
    in it; empty where they are."""
    end = _end(data)
    if end < 0:
        return "it is cut off: its directory is missing"
    disk, first_disk = _END_RECORD.unpack_from(data, end)[:2]
    if disk not in (0, 0xFFFF) or first_disk not in (0, 0xFFFF):
        return "one volume of several"
    for place, told in _entries(data).items():
        packed = told[0].packed
        if not data.startswith(LOCAL, place) or (packed != _ZIP64 and place + packed > len(data)):
            return "its directory names members that are not in it"
    return ""


def _end(data: bytes) -> int:
    """Where the last end record is, -1 where there is none."""
    end = data.rfind(END, max(0, len(data) - TAIL))
    return end if 0 <= end <= len(data) - _END_RECORD.size else -1


def _entries(data: bytes) -> dict[int, list[_Entry]]:
    """The directory that the last end record leads to, by the place of the local header: once to each, if honest. Of
    other directories what they say of the same members."""
    end = _end(data)
    found = _directory(data, end) if end >= 0 else {}
    for _ in range(_MOST_ENDS):
        end = data.rfind(END, max(0, len(data) - TAIL), max(0, end) + len(END) - 1)
        if end < 0:
            break
        for place, told in _directory(data, end).items():
            known = found.get(place, [])
            known += [each for each in told if known and each not in known]
    return found


def _directory(data: bytes, end: int) -> dict[int, list[_Entry]]:
    """The entries of the directory whose end record is at `end`."""
    found: dict[int, list[_Entry]] = {}
    if end + _END_RECORD.size > len(data):
        return found
    _, _, _, count, length, offset, _ = _END_RECORD.unpack_from(data, end)
    at = end - length
    shift = max(0, at - offset)  # what stands in front of the zip file
    number = 0
    while number < count and at >= 0 and data.startswith(_ENTRY, at) and at + _ENTRY_HEADER.size <= end:
        fields = _ENTRY_HEADER.unpack_from(data, at)
        method, packed, size, length, extra, comment, place = fields[3], *fields[6:11], fields[14]
        at += _ENTRY_HEADER.size
        name = data[at : at + length]
        if place == _ZIP64:
            place = _wide_place(data[at + length : at + length + extra], size, packed)
        if data.startswith(LOCAL, place + shift) or not data.startswith(LOCAL, place):
            place += shift
        found.setdefault(place, []).append(_Entry(method, packed, size, name))
        at += length + extra + comment
        number += 1
    return found


def _wide_place(extra: bytes, size: int, packed: int) -> int:
    """The place of 64 bits in the extra field (4.5.3), behind those sizes that are in it too."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1:
            value = extra[at + 4 : at + 4 + length]
            skipped = 8 * ((size == _ZIP64) + (packed == _ZIP64))
            return int.from_bytes(value[skipped : skipped + 8], "little")
        at += 4 + length
    return _ZIP64


def _locals(data: bytes, at: int) -> Iterator[_Local]:
    while 0 <= (at := data.find(LOCAL, at)) <= len(data) - _LOCAL_HEADER.size:
        _, flags, method, _, _, packed, size, name_length, extra = _LOCAL_HEADER.unpack_from(data, at)
        start = at + _LOCAL_HEADER.size
        yield _Local(at, start + name_length + extra, data[start : start + name_length], flags, method, packed, size)
        at += len(LOCAL)


def _agree(local: _Local, entry: _Entry) -> bool:
    """Does the header say what the directory says? Sizes may stand behind the data, or be 64 bits wide elsewhere."""
    method, packed, size = entry.method, entry.packed, entry.size
    if entry.raw_name != local.raw_name:
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
