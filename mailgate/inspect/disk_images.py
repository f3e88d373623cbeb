"""Disk images and file systems that a few bytes in one place do not tell: by the fields of their first blocks. Pure.

What Windows or macOS mounts on a double click counts, and what the tools of others unpack."""

from __future__ import annotations

import re
import struct

RAW = "application/x-raw-disk-image"
_SECTOR = 512
_BOOT_MARK = b"\x55\xaa"
_FILE_SYSTEMS = (b"NTFS    ", b"EXFAT   ", b"-FVE-FS-", b"MSWIN4.1")  # OEM names in a boot sector
_SECTOR_SIZES = frozenset({512, 1024, 2048, 4096})
_ENTRY = struct.Struct("<B3xB3xII")  # of a partition table: status, type, first sector, sectors
_EXT_MAGIC, _EXT_AT = 0xEF53, 1024  # of the superblock
_HFS_VERSIONS = {b"H+": 4, b"HX": 5}
_TRAILERS = {
    b"koly": "application/x-apple-diskimage",
    b"conectix": "application/x-vhd",
}
_NRG = re.compile(rb"NER5.{8}\Z|NERO.{4}\Z", re.DOTALL)


def disk_image(data: bytes) -> str:
    """The type of the disk image that `data` is, empty where it is none that is known here."""
    trailer = bytes(data[-_SECTOR:])
    for mark, mime in _TRAILERS.items():
        if trailer.startswith(mark):
            return mime
    if _NRG.search(bytes(data[-12:])):
        return "application/x-nrg-image"
    head = bytes(data[: 4 * _SECTOR])
    if len(head) < 4 * _SECTOR:
        return RAW if _is_boot_sector(head) else ""
    if head[:2] == b"ER" and head[_SECTOR : _SECTOR + 2] == b"PM":
        return RAW  # Apple partition map
    if head[_SECTOR : _SECTOR + 8] == b"EFI PART" or _is_boot_sector(head) or _has_partitions(head):
        return RAW
    return _file_system(head, data)


def _is_boot_sector(head: bytes) -> bool:
    """FAT, NTFS and exFAT: a jump, the name of a file system or a sane parameter block (EFI FAT specification 3.1)."""
    if not (head[:1] == b"\xe9" or (head[:1] == b"\xeb" and head[2:3] == b"\x90")):
        return False
    if head[3:11] in _FILE_SYSTEMS:
        return True
    if len(head) < 36:
        return False
    size, cluster, reserved, tables = struct.unpack_from("<HBHB", head, 11)
    is_power = bool(cluster) and cluster & (cluster - 1) == 0
    return size in _SECTOR_SIZES and is_power and reserved > 0 and tables in (1, 2)


def _has_partitions(head: bytes) -> bool:
    """A master boot record: four entries that can be meant, one of them at least in use."""
    if head[510:512] != _BOOT_MARK:
        return False
    entries = [_ENTRY.unpack_from(head, at) for at in range(446, 510, 16)]
    used = [entry for entry in entries if entry[1]]
    return bool(used) and all(
        status in (0, 0x80) and (not kind or (first > 0 and count > 0)) for status, kind, first, count in entries
    )


def _file_system(head: bytes, data: bytes) -> str:
    block = head[_EXT_AT:]
    if struct.unpack_from("<H", block, 56)[0] == _EXT_MAGIC and struct.unpack_from("<I", block, 24)[0] <= 6:
        return "application/x-ext-image"
    version = _HFS_VERSIONS.get(block[:2])
    if version is not None and struct.unpack_from(">H", block, 2)[0] == version:
        return "application/x-hfs-image"
    if block[:2] == b"BD" and struct.unpack_from(">I", block, 20)[0] % _SECTOR == 0 and block[36] <= 27:
        return "application/x-hfs-image"
    if struct.unpack_from("<I", block, 0)[0] == 0xE0F5E1E2:
        return "application/x-erofs"
    if bytes(data[0x10040:0x10048]) == b"_BHRfS_M":
        return "application/x-btrfs-image"
    return ""
