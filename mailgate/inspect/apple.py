"""Files with two forks as Macs send them: AppleSingle and AppleDouble (RFC 1740), MacBinary I to III."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

APPLE_MAGICS = (b"\x00\x05\x16\x00", b"\x00\x05\x16\x07")
_DATA_FORK, _RESOURCE_FORK, _REAL_NAME = 1, 2, 3
_MAX_ENTRIES = 64
_MACBINARY_HEAD = 128
_LONGEST_NAME = 63
_CONTROLS = bytes(range(32))
File = tuple[str, bytes]  # name, content


def apple_forks(data: bytes) -> Iterator[File]:
    """Data and resource fork of AppleSingle or AppleDouble, as far as they are not empty."""
    entries: dict[int, bytes] = {}
    for number in range(min(int.from_bytes(data[24:26], "big"), _MAX_ENTRIES)):
        entry = data[26 + 12 * number : 38 + 12 * number]
        kind, offset, length = (int.from_bytes(entry[at : at + 4], "big") for at in (0, 4, 8))
        if kind in (_DATA_FORK, _RESOURCE_FORK, _REAL_NAME):
            entries.setdefault(kind, data[offset : offset + length])
    name = entries.get(_REAL_NAME, b"").decode("mac_roman")
    for kind in (_DATA_FORK, _RESOURCE_FORK):
        if entries.get(kind):
            yield name, entries[kind]


def is_macbinary(data: bytes) -> bool:
    """By the fields that must be zero, a plausible name, forks that fit, and one of: the checksum of MacBinary II and
    III, the unused bytes of MacBinary I, or forks that end where the file ends."""
    if data[:1] != b"\0" or len(data) <= _MACBINARY_HEAD or not 1 <= data[1] <= _LONGEST_NAME:
        return False
    if data[74] or data[82] or any(value in _CONTROLS for value in data[2 : 2 + data[1]]):
        return False
    (data_start, data_length), (resource_start, resource_length) = _spans(data)
    end = resource_start + resource_length if resource_length else data_start + data_length
    if not data_length + resource_length or end > len(data):
        return False
    is_checked = binascii.crc_hqx(data[:124], 0) == int.from_bytes(data[124:126], "big")
    return is_checked or not any(data[99:_MACBINARY_HEAD]) or end + 127 & ~127 == len(data) + 127 & ~127


def macbinary_forks(data: bytes) -> Iterator[File]:
    """Data and resource fork of a MacBinary file, as far as they are not empty."""
    name = data[2 : 2 + data[1]].decode("mac_roman")
    for start, length in _spans(data):
        if length:
            yield name, data[start : start + length]


def _spans(data: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Start and length of both forks; each thing in the file is filled up to a multiple of 128 bytes."""
    data_length, resource_length = (int.from_bytes(data[at : at + 4], "big") for at in (83, 87))
    second_header = int.from_bytes(data[120:122], "big")
    start = _MACBINARY_HEAD + (second_header + 127 & ~127)
    return (start, data_length), (start + (data_length + 127 & ~127), resource_length)
