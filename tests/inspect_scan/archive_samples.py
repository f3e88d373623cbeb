"""Archives and disk images that Python has no writer for, built by hand, and small ones that real programs made."""

from __future__ import annotations

import struct
import zlib


def rar4_blocks(name: bytes, content: bytes, main_flags: int) -> bytes:
    """One stored member behind an archive header with these flags (RAR 4.x technote)."""

    def block(kind: int, flags: int, fields: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + head

    fields = struct.pack("<IIBIIBBHI", len(content), len(content), 2, zlib.crc32(content), 0, 20, 0x30, len(name), 32)
    return b"Rar!\x1a\x07\0" + block(0x73, main_flags, bytes(6)) + block(0x74, 0x8000, fields + name) + content


def arj_file(name: bytes, content: bytes, flags: int = 0) -> bytes:
    """One stored member; `flags` of its header, 1 for encrypted, 4 for continued in another volume."""

    def header(kind: int, flags: int, name: bytes, packed: int, size: int, crc: int) -> bytes:
        fixed = struct.pack("<BBBBBBBBIIIIHHH", 30, 11, 1, 0, flags, 0, kind, 0, 0, packed, size, crc, 0, 0, 0)
        basic = fixed + name + b"\0\0"
        return b"\x60\xea" + struct.pack("<H", len(basic)) + basic + struct.pack("<I", zlib.crc32(basic)) + b"\0\0"

    length = len(content)
    member = header(0, flags, name, length, length, zlib.crc32(content)) + content
    return header(2, 0, b"a.arj", 0, 0, 0) + member + b"\x60\xea\0\0"


def boot_sector(system: bytes = b"MSDOS5.0") -> bytes:
    head = b"\xeb\x3c\x90" + system + struct.pack("<HBHBHHBHHHII", 512, 1, 1, 2, 224, 2880, 0xF0, 9, 18, 2, 0, 0)
    return head.ljust(510, b"\0") + b"\x55\xaa"


def floppy(content: bytes) -> bytes:
    """A FAT12 image of 1.44 MB with README.TXT."""
    disk = bytearray(1_474_560)
    disk[:512] = boot_sector()
    for table in (512, 512 * 10):
        disk[table : table + 6] = b"\xf0\xff\xff\xff\x0f\x00"
    root = 512 * 19
    disk[root : root + 32] = b"README  TXT\x20" + bytes(14) + struct.pack("<HI", 2, len(content))
    disk[512 * 33 : 512 * 33 + len(content)] = content
    return bytes(disk)


def partitioned(partition: bytes) -> bytes:
    """A disk with a master boot record and one partition."""
    head = bytearray(512)
    head[446:462] = struct.pack("<B3sB3sII", 0, b"\0\1\1", 1, b"\0\1\1", 1, len(partition) // 512)
    head[510:] = b"\x55\xaa"
    return bytes(head) + partition


def fixed_vhd(disk: bytes) -> bytes:
    """The disk and the footer of a fixed VHD."""
    size = len(disk)
    fields = struct.pack(
        ">IIQI4sI4sQQHBBI", 2, 0x10000, 2**64 - 1, 0, b"win ", 0xA0000, b"Wi2k", size, size, 80, 2, 18, 2
    )
    return disk + (b"conectix" + fields).ljust(512, b"\0")


def behind_skipped_frame(content: bytes) -> bytes:
    """In one raw block of a zstd frame (RFC 8878), behind a frame that is skipped."""
    block = (len(content) << 3 | 1).to_bytes(3, "little") + content
    return b"\x50\x2a\x4d\x18\4\0\0\0skip\x28\xb5\x2f\xfd\x20" + bytes((len(content),)) + block


def iso_image(*trees: dict[str, bytes], is_udf: bool = False) -> bytes:
    """An ISO 9660 image (ECMA-119) with a tree of one folder for each of `trees`: the plain one, then Joliet."""
    sectors = [bytes(2048)] * 16
    first = 16 + len(trees) + 1 + 3 * is_udf
    folders, contents = [], []
    place = first + len(trees)
    for number, files in enumerate(trees):
        records = [_iso_record(b"\0", first + number, 2048, 2), _iso_record(b"\1", first + number, 2048, 2)]
        for name, content in files.items():
            records.append(_iso_record(name.encode("utf-16-be" if number else "ascii"), place, len(content), 0))
            contents.append(content + bytes(-len(content) % 2048))
            place += len(contents[-1]) // 2048
        folders.append(b"".join(records).ljust(2048, b"\0"))
    for number in range(len(trees)):
        fields = bytearray(2048)
        fields[:7] = bytes((1 + (number > 0),)) + b"CD001\1"
        fields[88:91] = b"%/E" if number else bytes(3)
        struct.pack_into("<I", fields, 80, place)
        struct.pack_into(">I", fields, 84, place)
        fields[120:124] = fields[124:128] = b"\1\0\0\1"
        fields[128:132] = b"\0\x08\x08\0"
        fields[156:190] = _iso_record(b"\0", first + number, 2048, 2)
        sectors.append(bytes(fields))
    sectors.append(b"\xffCD001\1".ljust(2048, b"\0"))
    sectors += [(b"\0" + mark + b"\1").ljust(2048, b"\0") for mark in (b"BEA01", b"NSR03", b"TEA01") if is_udf]
    return b"".join((*sectors, *folders, *contents))


def _iso_record(name: bytes, place: int, size: int, flags: int) -> bytes:
    length = 33 + len(name) + (len(name) + 1) % 2
    sizes = struct.pack("<I", place) + struct.pack(">I", place) + struct.pack("<I", size) + struct.pack(">I", size)
    head = bytes((length, 0)) + sizes + bytes(7) + bytes((flags, 0, 0)) + b"\1\0\0\1" + bytes((len(name),))
    return (head + name).ljust(length, b"\0")
