"""Members of archives and disk images, read with libarchive (libarchive-c): one kept C library for a dozen formats."""

from __future__ import annotations

import ctypes
import logging
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import libarchive
from libarchive import ffi
from libarchive.read import ArchiveRead

from mailgate.inspect.members import HEAD, Budget, Found, Members, UnreadableError

_FORMATS = ("zip", "7zip", "rar", "rar5", "tar", "cab", "iso9660", "lha", "cpio", "ar", "xar")
_FILTERS = ("gzip", "bzip2", "xz", "lzma", "zstd", "compress", "lz4")  # none of those that start other programs
_COMPRESSED_FORMS = rb"\x1f\x8b|BZh[1-9]|\xfd7zXZ\x00|\x5d\x00\x00|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|\x1f[\x9d\xa0]"
_ARCHIVE_FORMS = (
    rb"PK(?:\x03\x04|\x05\x06|\x07\x08)|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|MSCF|!<arch>\n|07070[127]|\xc7\x71|\x71\xc7"
    rb"|xar!|..-l[hz][0-9ds]-"
)
_COMPRESSED = re.compile(_COMPRESSED_FORMS)
_MAGIC = re.compile(_COMPRESSED_FORMS + rb"|" + _ARCHIVE_FORMS, re.DOTALL)
_ISO_MAGIC = slice(0x8001, 0x8006)
_ZIP_END = b"PK\5\6"
_ZIP_LOCAL = b"PK\3\4"
_ZIP_LOCAL_HEADER = struct.Struct("<4xHHHIIIIHH")  # APPNOTE.TXT 4.3.7
_ZIP_TAIL = 66_000  # the end record and the longest comment

logging.getLogger("libarchive").addHandler(logging.NullHandler())
logging.getLogger("libarchive").propagate = False  # its warnings are about the sender's file, not about us
_is_encrypted = ffi.ffi("entry_is_encrypted", [ctypes.c_void_p], ctypes.c_int)


def is_archive(data: bytes) -> bool:
    """Whether `data` begins like an archive, is a disk image, or ends like a zip file (which begins anyhow)."""
    return (
        _MAGIC.match(data) is not None
        or data[257:262] == b"ustar"
        or data[_ISO_MAGIC] == b"CD001"
        or data.rfind(_ZIP_END, max(0, len(data) - _ZIP_TAIL)) >= 0
    )


def archive_members(data: bytes, budget: Budget) -> Members:
    """Every member that libarchive shows, then those that only a zip file's local headers name.

    Raises UnreadableError where libarchive can't read on; LimitExceededError."""
    names: set[str] = set()
    try:
        with _opened(data) as archive:
            for entry in archive:
                if entry.isdir:
                    continue
                budget.take_member()
                found = _member(entry, budget)
                names.add(found.name)
                yield found
    except libarchive.ArchiveError as error:
        if "ncrypt" in str(error) or "assphrase" in str(error):
            yield Found("", is_encrypted=True)
        elif not data.startswith(_ZIP_LOCAL):
            raise UnreadableError(str(error)) from error
    yield from _hidden_zip_members(data, names, budget)


@contextmanager
def _opened(data: bytes) -> Iterator[ArchiveRead]:
    """libarchive-c's own readers take one format or all; all would include those that call other programs."""
    pointer = ffi.read_new()
    try:
        for name in _FILTERS:
            ffi.get_read_filter_function(name)(pointer)
        for name in _FORMATS:
            ffi.get_read_format_function(name)(pointer)
        if _COMPRESSED.match(data):
            ffi.get_read_format_function("raw")(pointer)
        ffi.read_open_memory(pointer, ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
        yield ArchiveRead(pointer)
    finally:
        ffi.read_free(pointer)


def _member(entry: libarchive.ArchiveEntry, budget: Budget) -> Found:
    name = entry.pathname or ""
    is_encrypted = _is_encrypted(entry._entry_p) > 0
    blocks: list[bytes] = []
    size = 0
    if not is_encrypted:
        try:
            for block in entry.get_blocks(1 << 16):
                budget.take_data(len(block))
                if size < HEAD or _may_be_container(blocks[0]):
                    blocks.append(block)
                size += len(block)
        except libarchive.ArchiveError as error:
            is_encrypted = "ncrypt" in str(error) or "assphrase" in str(error)
    return Found(name, b"".join(blocks), max(size, entry.size or 0), is_encrypted)


def _may_be_container(first: bytes) -> bool:
    return is_archive(first) or first.startswith((b"\xd0\xcf\x11\xe0", b"%PDF", b"{\\rt")) or len(first) < HEAD


def _hidden_zip_members(data: bytes, known: set[str], budget: Budget) -> Members:
    """Members that stand in the file but not in its directory: some programs unpack by the local headers."""
    at = data.find(_ZIP_LOCAL) if data.rfind(_ZIP_END) >= 0 or data.startswith(_ZIP_LOCAL) else -1
    while 0 <= at <= len(data) - _ZIP_LOCAL_HEADER.size:
        _, flags, method, _, _, packed, size, name_length, extra = _ZIP_LOCAL_HEADER.unpack_from(data, at)
        start = at + _ZIP_LOCAL_HEADER.size
        raw = data[start : start + name_length]
        name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
        if 0 < name_length < 1024 and method < 100 and name not in known and not name.endswith("/"):
            budget.take_member()
            known.add(name)
            begin = start + name_length + extra
            head = data[begin : begin + min(packed, HEAD)] if method == 0 else b""
            yield Found(name, head, size, bool(flags & 1))
        at = data.find(_ZIP_LOCAL, at + 4)
