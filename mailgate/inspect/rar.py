"""How a RAR archive (RAR 4.x technote, RAR 5.0 archive format) is built: only its blocks are walked, so that nothing is
taken for read that the library passed over. Pure."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC_4 = b"Rar!\x1a\x07\x00"
MAGIC_5 = b"Rar!\x1a\x07\x01\x00"
MAGIC = b"Rar!\x1a\x07"
MOST_BLOCKS = 100_000
_BLOCK_4 = struct.Struct("<HBHH")  # checksum, kind, flags, size
_MAIN_4, _FILE_4, _END_4, _DATA_BLOCKS_4 = 0x73, 0x74, 0x7B, (0x74, 0x7A)
_LONG_4, _BIG_FILE, _FOLDER_4 = 0x8000, 0x0100, 0x00E0
_MAIN_5, _FILE_5, _ENCRYPTION_5, _END_5 = 1, 2, 4, 5
_HAS_EXTRA, _HAS_DATA = 1, 2


@dataclass(slots=True)
class Blocks:
    """What the blocks say: `files` in it, folders apart; one of several `volumes`; names `hidden` by encryption;
    `cut` before its end."""

    files: int = 0
    is_volume: bool = False
    is_hidden: bool = False
    is_cut: bool = True

    @property
    def fault(self) -> str:
        """Why it does not stand for itself; empty where it does."""
        if self.is_volume:
            return "one volume of several"
        return "it is cut off" if self.is_cut and not self.is_hidden else ""


def blocks(data: bytes, at: int = 0) -> Blocks:
    """Of the archive that begins at `at`."""
    found = Blocks()
    if data.startswith(MAGIC_5, at):
        _walk_5(data, at + len(MAGIC_5), found)
    elif data.startswith(MAGIC_4, at):
        _walk_4(data, at + len(MAGIC_4), found)
    return found


def _walk_4(data: bytes, at: int, found: Blocks) -> None:
    for _ in range(MOST_BLOCKS):
        if at + _BLOCK_4.size > len(data):
            found.is_cut = at != len(data)  # an end block is not required
            return
        _, kind, flags, size = _BLOCK_4.unpack_from(data, at)
        if size < _BLOCK_4.size or at + size > len(data):
            return
        if kind == _MAIN_4:
            found.is_volume = bool(flags & 1)
            found.is_hidden = bool(flags & 0x80)
        if kind == _END_4 or found.is_hidden:
            found.is_volume = found.is_volume or (kind == _END_4 and bool(flags & 1))
            found.is_cut = False
            return
        found.files += kind == _FILE_4 and flags & _FOLDER_4 != _FOLDER_4
        packed = 0
        if (flags & _LONG_4 or kind in _DATA_BLOCKS_4) and size >= 11:
            packed = int.from_bytes(data[at + 7 : at + 11], "little")
            if flags & _BIG_FILE and kind in _DATA_BLOCKS_4 and size >= 36:
                packed |= int.from_bytes(data[at + 32 : at + 36], "little") << 32
        at += size + packed


def _walk_5(data: bytes, at: int, found: Blocks) -> None:
    for _ in range(MOST_BLOCKS):
        size, start = _number(data, at + 4)
        end = start + size
        if start < 0 or not size or end > len(data):
            found.is_cut = at != len(data)
            return
        if zlib.crc32(memoryview(data)[at + 4 : end]) != int.from_bytes(data[at : at + 4], "little"):
            return
        kind, place = _number(data, start)
        flags, place = _number(data, place)
        if flags & _HAS_EXTRA:
            _, place = _number(data, place)
        packed = 0
        if flags & _HAS_DATA:
            packed, place = _number(data, place)
        own, place = _number(data, place) if place >= 0 else (0, place)
        if kind == _MAIN_5:
            found.is_volume = bool(own & 1)
        elif kind == _ENCRYPTION_5:
            found.is_hidden = True
            return
        elif kind == _FILE_5:
            found.files += not own & 1
        elif kind == _END_5:
            found.is_volume = found.is_volume or bool(own & 1)
            found.is_cut = False
            return
        at = end + packed


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits an octet, and where it ends: -1 where it does not."""
    value = 0
    for count in range(10):
        if not 0 <= at < len(data):
            return 0, -1
        octet = data[at]
        value |= (octet & 0x7F) << (7 * count)
        at += 1
        if octet < 0x80:
            return value, at
    return 0, -1
