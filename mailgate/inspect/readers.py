"""Who goes through which archive or disk image: the scanner, where it has proved that it does; the gateway itself; or
nobody, and then it was not scanned.

Formats are named by the types of `filetype`; a test holds the table of signatures against this one."""

from __future__ import annotations

import enum

from mailgate.inspect.filetype import FileType
from mailgate.model.part_class import PartClass

_UNSEEN = (PartClass.ARCHIVE, PartClass.DISK_IMAGE)


class Reader(enum.Enum):
    """GATEWAY: libarchive or a reader of our own goes through it, so that the gateway does what the scanner does not.
    SCANNER: only the scanner can. NOBODY: neither."""

    GATEWAY = enum.auto()
    SCANNER = enum.auto()
    NOBODY = enum.auto()


READERS: dict[str, Reader] = {
    **dict.fromkeys(
        (
            *("application/zip", "application/x-7z-compressed", "application/x-tar", "application/x-cpio"),
            *("application/gzip", "application/x-bzip2", "application/x-xz", "application/vnd.ms-cab-compressed"),
            *("application/x-iso9660-image", "application/x-xar", "application/x-lzh-compressed"),
            *("application/vnd.rar", "application/x-archive", "application/vnd.debian.binary-package"),
            *("application/x-rpm", "application/x-compress", "application/x-lzip", "application/x-lzma"),
            *("application/zstd", "application/x-lz4", "application/ms-tnef"),
        ),
        Reader.GATEWAY,
    ),
    **dict.fromkeys(
        (
            *("application/x-arj", "application/x-msi", "application/x-apple-diskimage"),
            *("application/x-egg", "application/x-alz-compressed", "application/x-szdd"),
        ),
        Reader.SCANNER,
    ),
    **dict.fromkeys(
        (
            *("application/x-ace-compressed", "application/x-zoo", "application/x-arc", "application/x-stuffit"),
            *("application/x-zpaq", "application/x-freearc", "application/x-lrzip", "application/x-lzop"),
            *("application/x-kwaj", "application/x-installshield", "application/x-archive-volume"),
            *("application/x-sqx", "application/x-uharc", "application/x-thin-archive", "application/x-paq"),
            *("application/x-ms-wim", "application/x-vhdx", "application/x-vhd", "application/x-vmdk"),
            *("application/x-qemu-disk", "application/x-virtualbox-vdi", "application/x-parallels-disk"),
            *("application/vnd.squashfs", "application/x-cramfs", "application/x-romfs", "application/x-erofs"),
            *("application/x-raw-disk-image", "application/x-hfs-image", "application/x-ext-image"),
            *("application/x-btrfs-image", "application/x-xfs-image", "application/x-nrg-image"),
            *("application/x-apfs-image", "application/x-snappy-framed"),
            *("application/x-daa-image", "application/x-ciso-image", "application/x-mds-image"),
            *(
                "application/x-ewf-image",
                "application/x-luks",
                "application/x-udf-image",
                "application/vnd.ms-outlook-pst",
            ),
        ),
        Reader.NOBODY,
    ),
}

# What clamd 1.0 and later were seen to open in every build of Debian; what one has proved is in `scanners.Engine`.
ASSUMED = frozenset(
    {
        *("application/zip", "application/x-7z-compressed", "application/x-tar", "application/x-cpio"),
        *("application/gzip", "application/x-bzip2", "application/x-xz", "application/vnd.ms-cab-compressed"),
        *("application/x-iso9660-image", "application/x-arj", "application/x-msi"),
    }
)


def reader_of(kind: FileType) -> Reader | None:
    """None where the type is no archive or disk image, so that the scanner sees all of it as it is. An archive that no
    table knows is one that nobody opens."""
    if not any(name in _UNSEEN for name in kind.classes):
        return None
    return READERS.get(kind.format, Reader.NOBODY)


def unopened(kind: FileType, opens: frozenset[str]) -> str:
    """Why nobody goes through what is of this type, whatever its content; empty where somebody does, or where it needs
    nobody. `opens` are the types that the scanner is known to open."""
    reader = reader_of(kind)
    if reader is Reader.NOBODY or (reader is Reader.SCANNER and kind.format not in opens):
        return f"{kind.mime}: neither the scanner nor the gateway opens this format"
    return ""
