"""What documents hold beside text: macros, embedded objects, attached files, encryption.

olefile reads OLE2, pikepdf (qpdf) reads and repairs PDF as viewers do.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator

import olefile
import pikepdf

from mailgate.inspect.expansion import expanded, zlib_format
from mailgate.inspect.macros import has_macro_sheet, is_plain_workbook
from mailgate.inspect.members import Budget, Found, LimitExceededError, Members, trouble
from mailgate.model.part_class import PartClass

OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ONENOTE = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")  # MS-ONESTORE 2.3.1, guidFileType
_ONENOTE_FILE = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")  # MS-ONESTORE 2.6.13, FileDataStoreObject
_RTF_OBJECT = re.compile(rb"\\objdata\b[^0-9a-fA-F{}\\]*((?:[0-9a-fA-F]|\s){16,})")
_RTF_BINARY = re.compile(rb"\\objdata\s*\\bin([0-9]{1,9}) ?")
_RTF_SAMPLE = 1 << 20
_VBA_STREAMS = frozenset({"_vba_project", "vba", "_vba_project_cur", "macros"})
_WORKBOOKS = frozenset({"workbook", "book"})
_MSG_ATTACHMENT = re.compile(r"__attach_version1\.0_#[0-9A-Fa-f]{8}", re.IGNORECASE)
_MSG_DATA = "__substg1.0_37010102"  # MS-OXMSG 2.2.3, PidTagAttachDataBinary
_MSG_NAMES = ("__substg1.0_3707001F", "__substg1.0_3704001F")
_FILE_PASS = 0x002F
_POWERPOINT = "PowerPoint Document"
_OBJECT_RECORD = b"\x11\x10"  # MS-PPT 2.13.24, RT_ExternalOleObjectStg
_RECORDS = 4096
_PDF_MAGIC_WITHIN = 1024
_PDF_DEPTH = 50
# Names that must stand in the open where there is anything to find: they can hide only in an object stream, or behind
# an escaped letter (ISO 32000-1 7.3.5).
_PDF_HOLDS = re.compile(rb"/(?:ObjStm|Encrypt|EF|EmbeddedFile|Launch)(?![A-Za-z])|/[A-Za-z]{0,12}#[0-9A-Fa-f]{2}")


def is_document(data: bytes) -> bool:
    """Whether `data` is a document that may hold something: most PDF files can be told not to without opening them."""
    if data.startswith((OLE2, _ONENOTE)) or _is_rtf(data) or is_plain_workbook(data):
        return True
    return b"%PDF-" in data[:_PDF_MAGIC_WITHIN] and _PDF_HOLDS.search(data) is not None


def document_members(data: bytes, budget: Budget) -> Members:
    """Embedded files and objects, then the document's own classes as a Found without name and data.

    Raises UnreadableError for a broken document; LimitExceededError."""
    if data.startswith(OLE2):
        yield from _ole_members(data, budget)
    elif data.startswith(_ONENOTE):
        yield from _onenote_members(data, budget)
    elif _is_rtf(data):
        yield from _rtf_members(data, budget)
    elif is_plain_workbook(data):
        if has_macro_sheet(data):
            yield Found("", classes=(PartClass.MACRO,))
    else:
        yield from _pdf_members(data, budget)


def _embedded_file(name: str, content: bytes) -> Found:
    """Documents hide files behind encryption with an empty password, predictors, odd hexadecimal text …, which viewers
    undo and the scanner does not, so each is scanned by itself."""
    return Found(name, content, len(content), is_unreached=True)


def _ole_members(data: bytes, budget: Budget) -> Members:
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            if _is_encrypted_office(ole):
                yield Found("", is_encrypted=True)
            paths = ole.listdir(streams=True, storages=True)
            if any(name.lower() in _VBA_STREAMS for path in paths for name in path):
                yield Found("", classes=(PartClass.MACRO,))
            if ole.exists(_POWERPOINT):
                yield from _powerpoint_objects(_read(ole, [_POWERPOINT], budget), budget)
            for path in paths:
                name = path[-1]
                is_workbook = name.lower() in _WORKBOOKS and ole.get_type(path) == olefile.STGTY_STREAM
                if is_workbook and has_macro_sheet(_read(ole, path, budget)):
                    yield Found("", classes=(PartClass.MACRO,))
                if name.lower() in ("\x01ole10native", "package", _MSG_DATA.lower()) and ole.exists(path):
                    budget.take_member()
                    content = _read(ole, path, budget)
                    yield (
                        _native(content)
                        if name.lower() == "\x01ole10native"
                        else _embedded_file(_attachment_name(ole, path, budget), content)
                    )
    except (OSError, ValueError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise trouble("OLE2", error) from error


def _powerpoint_objects(stream: bytes, budget: Budget) -> Members:
    """OLE objects and the VBA project (MS-PPT 2.10.34 and 2.10.40), mostly compressed: found by their record headers,
    since programs read them by a directory that need not be in order."""
    at = 0
    while (at := stream.find(_OBJECT_RECORD, at)) >= 0:
        start = at + 6
        at += len(_OBJECT_RECORD)
        flags, size = stream[start - 8 : start - 6], int.from_bytes(stream[start - 4 : start], "little")
        if start < 8 or flags not in (b"\0\0", b"\x10\0") or not size:
            continue
        budget.take_member()
        if flags == b"\x10\0":  # compressed, behind the size that it has without
            content = expanded(zlib_format, stream[start + 4 : start + size], budget)
        else:
            content = stream[start : start + size]
            budget.take_data(len(content))
        if content:
            yield _embedded_file("", content)


def _is_encrypted_office(ole: olefile.OleFileIO) -> bool:
    """OOXML wrapped in OLE2 (MS-OFFCRYPTO 2.3), or the marks of the binary formats: fEncrypted (MS-DOC 2.5.2), a
    FilePass record behind BOF (MS-XLS 2.4.117), the header token of the current user (MS-PPT 2.3.2)."""
    if ole.exists("EncryptedPackage") or ole.exists("EncryptedSummary"):
        return True
    word, powerpoint = _start(ole, "WordDocument"), _start(ole, "Current User")
    return (
        (len(word) > 11 and bool(word[11] & 1))
        or _has_file_pass(_start(ole, "Workbook", "Book"))
        or powerpoint[12:16] == bytes.fromhex("dfc4d1f3")
    )


def _start(ole: olefile.OleFileIO, *names: str) -> bytes:
    """The first bytes of the first of these streams that is there."""
    for name in names:
        if ole.exists(name):
            content: bytes = ole.openstream(name).read(_RECORDS)
            return content
    return b""


def _has_file_pass(workbook: bytes) -> bool:
    at = 0
    while at + 4 <= len(workbook):
        kind, size = struct.unpack_from("<HH", workbook, at)
        if kind == _FILE_PASS:
            return True
        at += 4 + size
    return False


def _read(ole: olefile.OleFileIO, path: list[str], budget: Budget) -> bytes:
    budget.take_data(ole.get_size(path))
    content: bytes = ole.openstream(path).read()
    return content


def _native(content: bytes) -> Found:
    """The file in an OLE 1.0 package (MS-OLEDS 2.3.6): size, 2 bytes, label, path, 8 bytes, path, size, the file."""
    label, _, rest = content[6:].partition(b"\0")
    _, _, rest = rest.partition(b"\0")
    _, _, rest = rest[8:].partition(b"\0")
    size = int.from_bytes(rest[:4], "little")
    payload = rest[4 : 4 + size] if 0 < size <= len(rest) else rest or content
    return _embedded_file(label.decode("latin-1"), payload)


def _attachment_name(ole: olefile.OleFileIO, path: list[str], budget: Budget) -> str:
    for name in _MSG_NAMES:
        beside = [*path[:-1], name]
        if len(path) > 1 and _MSG_ATTACHMENT.fullmatch(path[-2]) and ole.exists(beside):
            return _read(ole, beside, budget).decode("utf-16-le", "replace")
    return ""


def _onenote_members(data: bytes, budget: Budget) -> Members:
    at = data.find(_ONENOTE_FILE)
    while at >= 0 and at + 36 <= len(data):
        budget.take_member()
        (size,) = struct.unpack_from("<Q", data, at + 16)
        content = data[at + 36 : at + 36 + min(size, len(data))]
        budget.take_data(len(content))
        yield _embedded_file("", content)
        at = data.find(_ONENOTE_FILE, at + 16)


def _is_rtf(data: bytes) -> bool:
    return data[:256].lstrip().startswith(b"{\\rt")


def _rtf_members(data: bytes, budget: Budget) -> Members:
    for match in _RTF_OBJECT.finditer(data):
        budget.take_member()
        digits = re.sub(rb"\s", b"", match[1][: 2 * _RTF_SAMPLE])
        content = bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))
        budget.take_data(len(content))
        yield _ole1_object(content)
    for match in _RTF_BINARY.finditer(data):
        budget.take_member()
        content = data[match.end() : match.end() + int(match[1])]
        budget.take_data(len(content))
        yield _ole1_object(content)


def _ole1_object(content: bytes) -> Found:
    """What an OLE 1.0 object carries (MS-OLEDS 2.2.5): an OLE2 file, a packaged file, or whatever it is."""
    inner = content.find(OLE2)
    if inner >= 0:
        return _embedded_file("", content[inner:])
    package = content.find(b"Package\0", 0, 64)
    if package >= 0:
        return _native(content[package + 16 :])  # behind the empty names of topic and item
    return _embedded_file("", content)


def _pdf_members(data: bytes, budget: Budget) -> Members:
    try:
        with pikepdf.open(io.BytesIO(data), suppress_warnings=True) as pdf:
            yield from _pdf_streams(pdf, budget)
    except pikepdf.PasswordError:
        yield Found("", is_encrypted=True)
    except (pikepdf.PdfError, ValueError, TypeError, RuntimeError) as error:
        raise trouble("PDF", error) from error


def _pdf_streams(pdf: pikepdf.Pdf, budget: Budget) -> Iterator[Found]:
    for item in pdf.objects:
        for dictionary in _dictionaries(item, 0):
            if dictionary.get("/S") == "/Launch":
                yield Found("", classes=(PartClass.SCRIPT,))
            attached = dictionary.get("/EF")
            if isinstance(attached, pikepdf.Dictionary):
                budget.take_member()
                content = _embedded(attached, budget)
                yield _embedded_file(str(dictionary.get("/UF", dictionary.get("/F", ""))), content)


def _dictionaries(item: pikepdf.Object, depth: int) -> Iterator[pikepdf.Object]:
    """`item` and what is written inside it; references lead to objects that are looked at by themselves."""
    if depth > _PDF_DEPTH:
        raise LimitExceededError("PDF objects too deep in each other")
    is_dictionary = isinstance(item, pikepdf.Dictionary | pikepdf.Stream)
    if is_dictionary:
        yield item
    if is_dictionary or isinstance(item, pikepdf.Array):
        for inner in [item[key] for key in item.keys()] if is_dictionary else item:  # noqa: SIM118 - not a dict
            if isinstance(inner, pikepdf.Object) and not inner.is_indirect:
                yield from _dictionaries(inner, depth + 1)


def _embedded(attached: pikepdf.Dictionary, budget: Budget) -> bytes:
    """The stream under /F, /UF or another key of an embedded-file dictionary (ISO 32000-1 7.11.4)."""
    for key in attached.keys():  # noqa: SIM118 - not a dict
        stream = attached[key]
        if isinstance(stream, pikepdf.Stream):
            content = bytes(stream.read_bytes())
            budget.take_data(len(content))
            return content
    return b""
