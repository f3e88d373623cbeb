"""Pure: how Office files tell that they hold macros, other than by a VBA project of their own. The scanner could tell
too, but then it tells of nothing else in the file."""

from __future__ import annotations

import re
import struct

_BOUND_SHEET, _END = 0x85, 0x0A  # MS-XLS 2.4.28, 2.4.103
_MACRO_SHEET = 1
_GLOBALS = 100_000  # records about the whole workbook that are looked at
# A BOF record (MS-XLS 2.4.21; BIFF2 to BIFF8) for a sheet of macros. It is in the open where the rest is encrypted.
_BEGIN = re.compile(rb"\x09[\x00\x02\x04\x08][\x04-\x20]\x00..\x40\x00", re.DOTALL)
_PLAIN = re.compile(rb"\x09[\x00\x02\x04][\x04-\x08]\x00..[\x05\x10\x20\x40\x00][\x00\x01]", re.DOTALL)
_TYPES = "[content_types].xml"
_NAMED = re.compile(rb"macrosheet|vbaproject")  # of the content types in MS-OFFMACRO2 2.2
_SHEET = re.compile(rb"<(?:[\w.-]+:)?macrosheet[\s/>]", re.IGNORECASE)  # MS-OFFMACRO2 2.2.1.4
_ROOT = 4096
_PATHS = re.compile(r"(?:^|/)(?:macrosheets/|vbaproject\.bin$)|^(?:basic|scripts)/", re.IGNORECASE)


def has_macro_sheet(workbook: bytes) -> bool:
    """Does this stream of BIFF records hold a sheet of Excel 4.0 macros?"""
    if _BEGIN.search(workbook):
        return True
    at = 0
    for _ in range(_GLOBALS):
        if at + 4 > len(workbook):
            break
        kind, size = struct.unpack_from("<HH", workbook, at)
        if kind == _BOUND_SHEET and workbook[at + 9 : at + 10] == bytes((_MACRO_SHEET,)):
            return True
        if kind == _END:
            break
        at += 4 + size
    return False


def is_plain_workbook(data: bytes) -> bool:
    """A worksheet, chart, sheet of macros or workbook of Excel 2 to 4: BIFF records without an OLE2 file around."""
    return _PLAIN.match(data) is not None


def tells_of_macros(name: str, content: bytes) -> bool:
    """Is this member of a zip file one by which an Office file has macros? Office goes by the content types; `content`
    may be cut off."""
    if _PATHS.search(name):
        return True
    if is_types_part(name):
        return _NAMED.search(content.replace(b"\0", b"").lower()) is not None
    return _SHEET.search(content[:_ROOT].replace(b"\0", b"")) is not None


def is_types_part(name: str) -> bool:
    """The member that must be read whole."""
    return name.lower() == _TYPES
