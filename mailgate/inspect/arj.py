"""The list of members of an ARJ archive (ARJ technical information, 1993): the scanner unpacks it, without a word about
members with a password. Pure."""

from __future__ import annotations

import struct
import zlib

from mailgate.inspect import member_names
from mailgate.inspect.members import Budget, Found, Members, UnreadableError

MAGIC = b"\x60\xea"
_HEADER = struct.Struct("<BBBBBBBBIIIIHHH")  # the fixed part, up to the host data
_LEAST, _MOST = 30, 2600
_GARBLED, _VOLUME, _CONTINUED = 0x01, 0x04, 0x08
_MAIN, _FOLDER = 2, 3


def is_arj(data: bytes) -> bool:
    return data.startswith(MAGIC) and len(data) > 10 and _LEAST <= data[4] <= data[2] | data[3] << 8 <= _MOST


def is_main_header(data: bytes, at: int) -> bool:
    """Whether the header of an archive, with its checksum, begins at `at`."""
    size = int.from_bytes(data[at + 2 : at + 4], "little")
    if not _LEAST <= size <= _MOST or not data.startswith(MAGIC, at) or data[at + 10 : at + 11] != bytes((_MAIN,)):
        return False
    end = at + 4 + size
    return zlib.crc32(data[at + 4 : end]) == int.from_bytes(data[end : end + 4], "little")


def arj_members(data: bytes, budget: Budget) -> Members:
    """Without contents. Raises UnreadableError where the archive is cut off, broken or one volume of several."""
    at = 0
    is_volume = False
    while True:
        if not data.startswith(MAGIC, at) or at + 4 > len(data):
            raise UnreadableError("it is cut off")
        size = int.from_bytes(data[at + 2 : at + 4], "little")
        if not size:
            break
        start, end = at + 4, at + 4 + size
        if not _LEAST <= size <= _MOST or end > len(data):
            raise UnreadableError("a header is broken")
        fields = _HEADER.unpack_from(data, start)
        first, flags, kind, packed, length = fields[0], fields[4], fields[6], fields[9], fields[10]
        is_volume = is_volume or bool(flags & (_VOLUME | _CONTINUED))
        at = _behind_extensions(data, end + 4)
        if kind == _MAIN:
            continue
        names = member_names.readings(data[start + first : end].split(b"\0", 1)[0])
        if kind != _FOLDER:
            budget.take_member()
            yield Found(names[0] if names else "", b"", length, bool(flags & _GARBLED), names=names)
        at += packed
    if is_volume:
        raise UnreadableError("one volume of several")


def _behind_extensions(data: bytes, at: int) -> int:
    """Where the extended headers end."""
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "little")
        at += 2
        if not size:
            return at
        at += size + 4
    raise UnreadableError("it is cut off")
