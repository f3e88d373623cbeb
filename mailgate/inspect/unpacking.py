"""One reading of an archive with libarchive (libarchive-c): one kept C library for a dozen formats."""

from __future__ import annotations

import ctypes
import locale
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import libarchive
from libarchive import ffi
from libarchive.read import ArchiveRead

from mailgate.inspect import archive_marks, member_names, rar, sevenzip, tarball, tnef, zip_layout
from mailgate.inspect.encapsulated import looks_like_message
from mailgate.inspect.macros import is_types_part
from mailgate.inspect.members import HEAD, Budget, Found, LimitExceededError, Members, UnreadableError, trouble

ALL_FORMATS = ("zip", "7zip", "rar", "rar5", "tar", "cab", "lha", "cpio", "ar", "xar")
ONLY_TAR, ONLY_ZIP = ("tar",), ("zip",)  # as they stand there, not compressed
_FILTERS = ("gzip", "bzip2", "xz", "lzma", "zstd", "compress", "lz4", "lzip", "rpm")  # none that starts other programs
_NOTHING = "Unrecognized archive format"  # libarchive on what was unpacked and is empty
_TOO_DEEP = "too many filters"  # libarchive on what was compressed more than 25 times, or holds itself
_FATAL = -30  # archive.h: nothing more can be read, and what tries to may crash
_UNSUPPORTED = re.compile("nsupported|not supported")
_BLOCK = 1 << 16
_TAR = re.compile(rb"tar|pax")  # in libarchive's names of formats
_CAB_SIZE, _CAB_FLAGS, _CAB_LEAST, _CAB_IN_SET = slice(8, 12), 30, 36, 3  # MS-CAB 2.1
# Only a read to its end tells whether a member of these is all there; others say so by their structure.
_STORED = re.compile(rb"..-l|!<arch>|xar!", re.DOTALL)
# APPNOTE.TXT 4.4.5: those that other programs unpack and clamd passes over without a word (shrink, reduce, PKWARE's
# own, LZMA, zstd, MP3, xz, JPEG, WavPack, PPMd).
_UNSCANNED_METHODS = frozenset({1, 2, 3, 4, 5, 10, 14, 18, 19, 93, 94, 95, 96, 97, 98})
# A second stream behind the first, which the scanner leaves alone (it does go on with gzip and xz).
# RFC 1952 2.3.1: where it is wrong clamd reads no further, others pass over it.
_GZIP_HEADER_CHECKSUM = 0x02
_SECOND_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_CONTAINERS = (*archive_marks.WITH_ARCHIVE, b"%PDF", b"\xd0\xcf\x11\xe0", b"{\\rt", tnef.MAGIC)
_libc = ctypes.CDLL(None)

logging.getLogger("libarchive").addHandler(logging.NullHandler())
logging.getLogger("libarchive").propagate = False  # its warnings are about the sender's file, not about us
_is_encrypted = ffi.ffi("entry_is_encrypted", [ctypes.c_void_p], ctypes.c_int)
_utf8_name = ffi.ffi("entry_pathname_utf8", [ctypes.c_void_p], ctypes.c_char_p)
_set_option = ffi.ffi("read_set_option", [ctypes.c_void_p] + [ctypes.c_char_p] * 3, ctypes.c_int)
# libarchive reads no LZH file with a name that is not in the locale's character set, so it is given one in which every
# octet is a character. The handle is kept, so that the C library has loaded the conversion before it is confined.
_iconv_open = _libc.iconv_open
_iconv_open.restype = ctypes.c_void_p
_OCTETS = b"ISO-8859-1"
_CONVERSION = _iconv_open(b"UTF-8", _OCTETS)
_LZH = re.compile(rb"..-l", re.DOTALL)
with suppress(locale.Error):  # libarchive turns the names of 7-Zip and RAR into those of the locale, or loses them
    if locale.nl_langinfo(locale.CODESET) != "UTF-8":
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")


def unpacked(data: bytes, at: int, budget: Budget, is_opened: bool, formats: tuple[str, ...] = ALL_FORMATS) -> Members:
    """The archive that begins at `at`, read as one of `formats`. `is_opened`: the scanner opens this kind of
    archive."""
    names: set[str] = set()
    count = hidden = 0
    is_unreached = not (is_opened and _is_scanned(data, at))
    trouble_met = ""
    try:
        for found in _read(data, at, formats, budget, is_unreached):
            names.add(found.name)
            count += 1
            yield found
        if (
            not count and len(formats) > 1 and archive_marks.COMPRESSED.match(data, at)
        ):  # zeros in front look like an empty tar file
            for found in _read(data, at, ("raw",), budget, is_unreached):
                count += 1
                yield found
            trouble_met = "" if count else "it can't be read"
    except libarchive.ArchiveError as error:
        if _is_about_encryption(error):
            yield Found("", is_encrypted=True)
            count = rar.MOST_BLOCKS  # its members are accounted for
        else:
            trouble_met = _trouble(error, is_compressed=archive_marks.COMPRESSED.match(data, at) is not None)
    if zip_layout.LOCAL in data and not at:
        for found in zip_layout.hidden_members(data, names, budget):
            hidden += 1
            yield found
    if hidden and data.startswith(zip_layout.LOCAL):
        trouble_met = ""  # every reading of every member was unpacked
    fault = _fault(data, at, count) or trouble_met
    if fault:
        raise UnreadableError(fault)


def _trouble(error: libarchive.ArchiveError, is_compressed: bool) -> str:
    """What an error of the library says against an archive; nothing where only an empty file was compressed. Raises
    LimitExceededError."""
    if _TOO_DEEP in str(error):
        raise LimitExceededError("compressed too many times over") from error
    known = trouble("archive", error)
    if isinstance(known, LimitExceededError):
        raise known from error
    if is_compressed and _NOTHING in str(error.msg):
        return ""
    return f"it can't be read on ({error.msg})" if error.msg else "it can't be read on"


def _fault(data: bytes, at: int, count: int) -> str:
    """What the structure of the archive says against its being read to the end, with `count` members found in it."""
    if data.startswith(zip_layout.LOCAL, at):
        return zip_layout.fault(data)
    if data.startswith(rar.MAGIC, at):
        found = rar.blocks(data, at)
        return found.fault or ("" if found.is_hidden or count >= found.files else "not all members can be read")
    if data.startswith(b"MSCF", at) and len(data) >= at + _CAB_LEAST:
        if data[at + _CAB_FLAGS] & _CAB_IN_SET:
            return "one volume of several"
        size = int.from_bytes(data[at:][_CAB_SIZE], "little")
        return "it is cut off" if at + size > len(data) else ""
    return ""


def _is_scanned(data: bytes, at: int) -> bool:
    """Does clamd unpack all that is in it?"""
    if data.startswith(sevenzip.MAGIC, at):
        return sevenzip.is_scanned(data)
    if zip_layout.LOCAL in data and not _UNSCANNED_METHODS.isdisjoint(zip_layout.methods(data)):
        return False
    if data.startswith(b"\x1f\x8b", at) and len(data) > at + 3 and data[at + 3] & _GZIP_HEADER_CHECKSUM:
        return False
    return not (data.startswith(b"BZh", at) and _SECOND_BZIP2.search(data, at + 4))


def _read(data: bytes, at: int, formats: tuple[str, ...], budget: Budget, is_unreached: bool) -> Members:
    """Raises ArchiveError; after a fatal one nothing more is read, since the library may not survive it."""
    is_whole = is_unreached or _STORED.match(data, at) is not None
    own_name = _gzip_names(data, at) if formats == ("raw",) or data.startswith(b"\x1f\x8b", at) else ()
    is_first = True
    with _opened(data, at, formats) as archive:
        for entry in archive:
            if is_first:
                is_unreached = is_unreached or not _is_one_step(archive, _start(data, at))
            is_first = False
            if archive.format_name == b"raw" and not archive.filter_names:
                return  # nothing is unpacked: it only begins like something compressed
            if not entry.isdir:
                budget.take_member()
                found, error = _member(archive, entry, budget, is_unreached, is_whole)
                if own_name and found.name == "data":
                    found = replace(found, name=own_name[0], names=own_name)
                yield found
                if error is not None and error.retcode is not None and error.retcode <= _FATAL:
                    raise error


def _is_one_step(archive: ArchiveRead, start: bytes) -> bool:
    """Whether the scanner, which opens what the data begin with, gets to the members as the library does: the library
    goes through several layers of compression and an archive inside them at once. `start`: of what is inside."""
    form = archive.format_name or b""
    if _TAR.search(form):
        return len(archive.filter_names) <= 1 and tarball.is_plain(start)
    return not archive.filter_names or (form == b"raw" and len(archive.filter_names) == 1)


def _start(data: bytes, at: int) -> bytes:
    """The first octets of what is inside if it is compressed, else its own."""
    if not archive_marks.COMPRESSED.match(data, at):
        return data[at : at + 8]
    buffer = ctypes.create_string_buffer(8)
    with _opened(data, at, ("raw",)) as archive:
        for _ in archive:
            length = ffi.read_data(archive._pointer, buffer, len(buffer))
            return buffer.raw[: max(0, length)]
    return b""


@contextmanager
def _opened(data: bytes, at: int, formats: tuple[str, ...]) -> Iterator[ArchiveRead]:
    """libarchive-c's own readers take one format or all; all would include those that call other programs."""
    pointer = ffi.read_new()
    is_packed = archive_marks.COMPRESSED.match(data, at) is not None and formats not in (ONLY_TAR, ONLY_ZIP)
    try:
        for name in _FILTERS if is_packed else ():
            ffi.get_read_filter_function(name)(pointer)
        for name in (*formats, "raw") if is_packed and "raw" not in formats else formats:
            ffi.get_read_format_function(name)(pointer)
        if _LZH.match(data, at):
            _set_option(pointer, b"lha", b"hdrcharset", _OCTETS)
        address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
        ffi.read_open_memory(pointer, ctypes.c_void_p(address + at), max(0, len(data) - at))
        yield ArchiveRead(pointer)
    finally:
        ffi.read_free(pointer)


def _member(
    archive: ArchiveRead, entry: libarchive.ArchiveEntry, budget: Budget, is_unreached: bool, is_whole: bool
) -> tuple[Found, libarchive.ArchiveError | None]:
    """Kept whole where it may be a container, or the scanner can't unpack it; read to its end as well where only that
    tells its size, or whether it is all there."""
    is_encrypted = _is_encrypted(entry._entry_p) > 0
    names = _names(archive, entry)
    name = names[0] if names else ""
    declared = entry.size or 0
    budget.take_data(declared)
    buffer = ctypes.create_string_buffer(_BLOCK)
    blocks: list[bytes] = []
    size = 0
    fault: libarchive.ArchiveError | None = None
    is_at_end = False
    try:
        # Not entry.get_blocks(): it takes the negative number of a warning for a length.
        while not is_encrypted and (length := ffi.read_data(archive._pointer, buffer, _BLOCK)) > 0:
            if size + length > declared:
                budget.take_data(length)
            size += length
            if is_unreached or not blocks or is_types_part(name) or _may_be_container(blocks[0]):
                budget.keep(length)
                blocks.append(buffer.raw[:length])
            elif declared and not is_whole:
                break
        else:
            is_at_end = True
    except libarchive.ArchiveError as error:
        is_encrypted = _is_about_encryption(error)
        if isinstance(trouble("archive", error), LimitExceededError):
            raise LimitExceededError(str(error)) from error
        fault = error
    unopened = ""
    if not is_encrypted and entry.isreg and size < declared and (is_at_end or fault is not None):
        is_left = fault is not None and not is_unreached and _UNSUPPORTED.search(str(fault.msg)) is not None
        unopened = "" if is_left else "it is packed in a way that can't be unpacked"
    content = b"".join(blocks)
    found = Found(name, content, max(size, declared), is_encrypted, (), is_unreached, names, unopened)
    return found, fault


def _names(archive: ArchiveRead, entry: libarchive.ArchiveEntry) -> tuple[str, ...]:
    """All readings of the name of a member; libarchive has only one form of it where it could not convert it."""
    raw: bytes = ffi.entry_pathname(entry._entry_p) or _utf8_name(entry._entry_p) or b""
    if (archive.format_name or b"").startswith(b"lha"):
        with suppress(ValueError):
            raw = raw.decode("utf-8").encode("latin-1")
    return member_names.readings(raw)


def _gzip_names(data: bytes, at: int) -> tuple[str, ...]:
    """The name in the header of a gzip file (RFC 1952 section 2.3), if any."""
    if not data.startswith(b"\x1f\x8b\x08", at) or at + 10 > len(data) or not data[at + 3] & 8:
        return ()
    start = at + 10
    if data[at + 3] & 4:
        start += 2 + int.from_bytes(data[start : start + 2], "little")
    end = data.find(b"\0", start, start + 2 * member_names.LONGEST)
    return member_names.readings(data[start:end]) if end > start else ()


def _is_about_encryption(error: libarchive.ArchiveError) -> bool:
    return "ncrypt" in str(error) or "assphrase" in str(error)


def _may_be_container(first: bytes) -> bool:
    return (
        first.startswith(_CONTAINERS)
        or len(first) < HEAD
        or looks_like_message(first.lstrip())
        or archive_marks.is_archive(first)
    )
