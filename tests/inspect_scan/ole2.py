"""The smallest OLE2 file (MS-CFB) with one stream; nothing at hand writes them."""

from __future__ import annotations

import struct

SECTOR = 512
_MINI_STREAM_BELOW = 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def ole2(name: str, content: bytes) -> bytes:
    """Sector 0 is the allocation table, 1 the directory, the stream begins at 2, padded to need no mini stream."""
    padded = content.ljust(_MINI_STREAM_BELOW, b"\0")
    padded += bytes(-len(padded) % SECTOR)
    sectors = len(padded) // SECTOR
    table = [_FAT, _END, *range(3, 2 + sectors), _END]
    directory = _entry("Root Entry", 5, 1, _END, 0) + _entry(name, 2, _FREE, 2, len(padded))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, _MINI_STREAM_BELOW, _END, 0, _END, 0)
    header += struct.pack("<109I", 0, *[_FREE] * 108)
    fat = struct.pack(f"<{len(table)}I", *table).ljust(SECTOR, b"\xff")
    assert len(header) == len(fat) == SECTOR
    return header + fat + directory.ljust(SECTOR, b"\0") + padded


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    links = struct.pack("<BBIII", kind, 1, _FREE, _FREE, child)
    return (
        encoded.ljust(64, b"\0") + struct.pack("<H", len(encoded)) + links + bytes(36) + struct.pack("<IQ", start, size)
    )
