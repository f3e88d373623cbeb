"""How the members of a 7-Zip archive are packed (LZMA SDK, 7zFormat.txt): only so much of its header is read. Pure."""

from __future__ import annotations

import lzma
import struct
from dataclasses import dataclass, field

MAGIC = b"7z\xbc\xaf\x27\x1c"
_START = struct.Struct("<12xQQ")
_START_SIZE = 32
_MOST_HEADER = 8 << 20  # bytes that a packed header may have
_MOST_MEMORY = 64 << 20  # for unpacking that
_MOST_STREAMS = 100_000
_MOST_CODERS = 32  # of a folder; 7-Zip reads no more either
_END, _HEADER, _MAIN_STREAMS, _PACK, _UNPACK, _SIZE, _FOLDER, _ENCODED_HEADER = 0, 1, 4, 6, 7, 9, 11, 23
_LZMA, _LZMA2 = b"\3\1\1", b"\x21"
_SCANNED = frozenset({b"\0", _LZMA, _LZMA2, b"\3\4\1", b"\3\3\1\3"})  # copy, …, PPMd, BCJ for x86


def is_scanned(data: bytes) -> bool:
    """Does clamd unpack all that is in it? False as well where the header can't be read."""
    try:
        return _coders(data) <= _SCANNED
    except (ValueError, IndexError, struct.error, lzma.LZMAError):
        return False


@dataclass(slots=True)
class _Streams:
    """Where packed data lie, and what unpacks them."""

    place: int = 0
    sizes: list[int] = field(default_factory=list)
    coders: set[bytes] = field(default_factory=set)
    properties: bytes = b""


def _coders(data: bytes) -> set[bytes]:
    offset, size = _START.unpack_from(data)
    header = data[_START_SIZE + offset :][:size]
    if header[:1] == bytes((_ENCODED_HEADER,)):
        packed = _Reader(header, 1).streams()
        begin = _START_SIZE + packed.place
        header = _unpacked(packed, data[begin : begin + packed.sizes[0]])
    reader = _Reader(header)
    if reader.byte() != _HEADER:
        raise ValueError("no header")
    kind = reader.byte()
    if kind == _END:
        return set()
    if kind != _MAIN_STREAMS:
        raise ValueError("no streams")
    return reader.streams().coders


def _unpacked(packed: _Streams, data: bytes) -> bytes:
    """The header, which only LZMA and LZMA2 are known to pack. Raw LZMA gets the header of the old format, with an
    unknown size, in front."""
    if packed.coders == {_LZMA}:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MOST_MEMORY)
        return unpacker.decompress(packed.properties + b"\xff" * 8 + data, _MOST_HEADER)
    if packed.coders == {_LZMA2}:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": _MOST_HEADER}]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(data, _MOST_HEADER)
    raise ValueError("a header packed in another way")


class _Reader:
    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self) -> int:
        """One to nine octets: the leading ones of the first tell how many follow."""
        first, value = self.byte(), 0
        for count in range(8):
            mask = 0x80 >> count
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * count)
            value |= self.byte() << (8 * count)
        return value

    def streams(self) -> _Streams:
        found = _Streams()
        kind = self.byte()
        if kind == _PACK:
            found.place, count = self.number(), self.number()
            kind = self.byte()
            if kind != _SIZE or count > _MOST_STREAMS:
                raise ValueError("no sizes")
            found.sizes = [self.number() for _ in range(count)]
            if self.byte() != _END:
                raise ValueError("digests of packed data")
            kind = self.byte()
        if kind != _UNPACK or self.byte() != _FOLDER:
            raise ValueError("no folders")
        folders = self.number()
        if self.byte() != 0 or folders > _MOST_STREAMS:
            raise ValueError("folders elsewhere")
        for _ in range(folders):
            self._folder(found)
        return found

    def _folder(self, found: _Streams) -> None:
        inputs = outputs = 0
        coders = self.number()
        if coders > _MOST_CODERS:
            raise ValueError("too many coders")
        for _ in range(coders):
            flags = self.byte()
            found.coders.add(self.take(flags & 15))
            is_complex = flags & 0x10
            inputs += self.number() if is_complex else 1
            outputs += self.number() if is_complex else 1
            if flags & 0x20:
                found.properties = self.take(self.number())
        pairs = outputs - 1
        loose = inputs - pairs
        for _ in range(2 * pairs + (loose if loose > 1 else 0)):
            self.number()
