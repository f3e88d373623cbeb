"""Password-protected zip files (APPNOTE.TXT 6.1, traditional encryption); the standard library only reads them."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib

_KEYS = (0x12345678, 0x23456789, 0x34567890)


def _table_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value


_TABLE = [_table_entry(n) for n in range(256)]


def _encrypt(data: bytes, password: bytes) -> bytes:
    first, second, third = _KEYS

    def crc(value: int, byte: int) -> int:
        return (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]

    def update(byte: int) -> None:
        nonlocal first, second, third
        first = crc(first, byte)
        second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        third = crc(third, second >> 24)

    for byte in password:
        update(byte)
    result = bytearray()
    for byte in data:
        key = third | 2
        result.append(byte ^ ((key * (key ^ 1)) >> 8 & 0xFF))
        update(byte)
    return bytes(result)


def encrypted_zip(name: str, content: bytes, password: bytes = b"secret") -> bytes:
    """One stored, encrypted member."""
    checksum = zlib.crc32(content)
    body = _encrypt(os.urandom(11) + bytes([checksum >> 24]) + content, password)
    encoded = name.encode()
    fields = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 33, checksum, len(body), len(content), len(encoded), 0)
    local = b"PK\3\4" + fields + encoded + body
    central = b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + encoded
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    archive = local + central + end
    with zipfile.ZipFile(io.BytesIO(archive)) as check:
        assert check.read(name, pwd=password) == content
    return archive
