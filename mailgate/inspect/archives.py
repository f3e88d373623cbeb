"""Members of archives and disk images, read with libarchive (libarchive-c): one kept C library for a dozen formats."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import libarchive
from libarchive import ffi
from libarchive.read import ArchiveRead

from mailgate.inspect import sevenzip, zip_layout
from mailgate.inspect.members import HEAD, Budget, Found, LimitExceededError, Members, trouble

_FORMATS = ("zip", "7zip", "rar", "rar5", "tar", "cab", "iso9660", "lha", "cpio", "ar", "xar")
_FILTERS = ("gzip", "bzip2", "xz", "lzma", "zstd", "compress", "lz4", "lzip")  # none that starts other programs
_COMPRESSED_FORMS = (
    rb"\x1f\x8b|BZh[1-9]|\xfd7zXZ\x00|\x5d\x00\x00|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|\x1f[\x9d\xa0]|LZIP"
)
_ARCHIVE_FORMS = (
    rb"PK(?:\x03\x04|\x05\x06|\x07\x08)|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|MSCF|!<arch>\n|07070[127]|\xc7\x71|\x71\xc7"
    rb"|xar!|..-l[hz][0-9ds]-"
)
_COMPRESSED = re.compile(_COMPRESSED_FORMS)
_MAGIC = re.compile(_COMPRESSED_FORMS + rb"|" + _ARCHIVE_FORMS, re.DOTALL)
_TOO_DEEP = "too many filters"  # libarchive on what was compressed more than 25 times, or holds itself
_BLOCK = 1 << 16
_ISO_MAGIC = slice(0x8001, 0x8006)
# APPNOTE.TXT 4.4.5: those that other programs unpack and clamd passes over without a word (shrink, reduce, PKWARE's
# own, LZMA, zstd, MP3, xz, JPEG, WavPack, PPMd).
_UNSCANNED_METHODS = frozenset({1, 2, 3, 4, 5, 10, 14, 18, 19, 93, 94, 95, 96, 97, 98})
# Likewise: zstd, LZ4, compress, lzip, LZMA without a container, ar.
_UNSCANNED = re.compile(rb"\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|\x1f[\x9d\xa0]|LZIP|\x5d\x00\x00|!<arch>\n")

logging.getLogger("libarchive").addHandler(logging.NullHandler())
logging.getLogger("libarchive").propagate = False  # its warnings are about the sender's file, not about us
_is_encrypted = ffi.ffi("entry_is_encrypted", [ctypes.c_void_p], ctypes.c_int)


def is_archive(data: bytes) -> bool:
    """Whether `data` begins like an archive, is a disk image, or ends like a zip file (which begins anyhow)."""
    return (
        _MAGIC.match(data) is not None
        or data[257:262] == b"ustar"
        or data[_ISO_MAGIC] == b"CD001"
        or data.rfind(zip_layout.END, max(0, len(data) - zip_layout.TAIL)) >= 0
    )


def archive_members(data: bytes, budget: Budget) -> Members:
    """Every member that libarchive shows, then those that only a zip file's local headers name. Where the scanner can't
    unpack a member, it comes whole.

    Raises UnreadableError where libarchive can't read on; LimitExceededError, also for what neither can unpack."""
    names: set[str] = set()
    is_zip = zip_layout.LOCAL in data
    is_unreached = not _is_scanned(data)
    try:
        for found in _read(data, _FORMATS, budget, is_unreached):
            names.add(found.name)
            yield found
        if not names and _COMPRESSED.match(data):  # zeros in front look like an empty tar file
            yield from _read(data, ("raw",), budget, is_unreached)
    except libarchive.ArchiveError as error:
        if _TOO_DEEP in str(error):
            raise LimitExceededError("compressed too many times over") from error
        if _is_about_encryption(error):
            yield Found("", is_encrypted=True)
        elif not data.startswith(zip_layout.LOCAL):
            raise trouble("archive", error) from error
    if is_zip:
        yield from zip_layout.hidden_members(data, names, budget)


def _is_scanned(data: bytes) -> bool:
    """Does clamd unpack it?"""
    if data.startswith(sevenzip.MAGIC):
        return sevenzip.is_scanned(data)
    if zip_layout.LOCAL in data:
        return _UNSCANNED_METHODS.isdisjoint(zip_layout.methods(data))
    return _UNSCANNED.match(data) is None


def _read(data: bytes, formats: tuple[str, ...], budget: Budget, is_unreached: bool) -> Members:
    with _opened(data, formats) as archive:
        for entry in archive:
            if not entry.isdir:
                budget.take_member()
                yield _member(archive, entry, budget, is_unreached)


@contextmanager
def _opened(data: bytes, formats: tuple[str, ...]) -> Iterator[ArchiveRead]:
    """libarchive-c's own readers take one format or all; all would include those that call other programs."""
    pointer = ffi.read_new()
    try:
        for name in _FILTERS:
            ffi.get_read_filter_function(name)(pointer)
        for name in (*formats, "raw") if _COMPRESSED.match(data) else formats:
            ffi.get_read_format_function(name)(pointer)
        ffi.read_open_memory(pointer, ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
        yield ArchiveRead(pointer)
    finally:
        ffi.read_free(pointer)


def _member(archive: ArchiveRead, entry: libarchive.ArchiveEntry, budget: Budget, is_unreached: bool) -> Found:
    """Kept whole where it may be a container, or the scanner can't unpack it; read to its end as well where only that
    tells its size."""
    is_encrypted = _is_encrypted(entry._entry_p) > 0
    declared = entry.size or 0
    budget.take_data(declared)
    buffer = ctypes.create_string_buffer(_BLOCK)
    blocks: list[bytes] = []
    size = 0
    try:
        # Not entry.get_blocks(): it takes the negative number of a warning for a length.
        while not is_encrypted and (length := ffi.read_data(archive._pointer, buffer, _BLOCK)) > 0:
            if size + length > declared:
                budget.take_data(length)
            size += length
            if is_unreached or not blocks or _may_be_container(blocks[0]):
                budget.keep(length)
                blocks.append(buffer.raw[:length])
            elif declared:
                break
    except libarchive.ArchiveError as error:
        is_encrypted = _is_about_encryption(error)
        if isinstance(trouble("archive", error), LimitExceededError):
            raise LimitExceededError(str(error)) from error
    if is_unreached and not is_encrypted and size < declared:
        raise LimitExceededError("a member is packed in a way that can't be unpacked")
    return Found(entry.pathname or "", b"".join(blocks), max(size, declared), is_encrypted, is_unreached=is_unreached)


def _is_about_encryption(error: libarchive.ArchiveError) -> bool:
    return "ncrypt" in str(error) or "assphrase" in str(error)


def _may_be_container(first: bytes) -> bool:
    return is_archive(first) or first.startswith((b"\xd0\xcf\x11\xe0", b"%PDF", b"{\\rt")) or len(first) < HEAD
