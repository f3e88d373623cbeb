"""The type of a file from its bytes. Its name counts where the system goes by it: scripts and shortcuts whatever they
hold, programs where the bytes are plain text or nothing known.

A table of our own, since policies need classes (script, shortcut, disk image) that libmagic does not know, in
microseconds and without a C library that parses hostile input.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailgate.inspect import dos_code, pgp, tarball, zip_layout
from mailgate.inspect import signatures as table
from mailgate.inspect.disk_images import RAW, disk_image
from mailgate.inspect.encapsulated import looks_like_message
from mailgate.inspect.encodings import decode
from mailgate.inspect.zip_types import ZIP, zip_type
from mailgate.model.part_class import PartClass

_HEAD = 4096
_BY_FIRST_BYTE: dict[int, list[table.Signature]] = {}
_ELSEWHERE: list[table.Signature] = []
for _signature in table.SIGNATURES:
    (_ELSEWHERE if _signature[0] else _BY_FIRST_BYTE.setdefault(_signature[1][0], [])).append(_signature)

_HTML = re.compile(
    rb"<(?:!doctype html|html|head|body|script|iframe|form|table|div|meta|title|a |img|p>|br|span|style|!--)", re.I
)
_SHEBANG = re.compile(rb"#![ \t]*(/[^\r\n]{1,200})")
_XML = re.compile(rb"<\?xml[\s]")
_URL_FILE = re.compile(rb"\[(?:\{000214A0-[0-9A-F-]+\}|InternetShortcut)\]", re.I)
_SCRIPT_TEXT = re.compile(
    rb"@?echo off|<job[\s>]|<package>\s*<(?:job|comment|\?)|<hta:"
    rb"|<component[\s>][^<]{0,400}<(?:registration|script|public|\?)"
    rb"|Set-ExecutionPolicy|On Error Resume Next|WScript\.|powershell(?:\.exe)?[\"']?\s+[-/]",
    re.I,
)
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 #]{3,40})-----")
_SEALED = (PartClass.ENCRYPTED, PartClass.END_TO_END_ENCRYPTED)
_AGE = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
# ContentInfo (RFC 5652 section 3) of enveloped-data, signed-and-enveloped-data or authenticated-enveloped-data.
_ENVELOPED = re.compile(
    rb"\x30(?:[\0-\x80]|\x81.|\x82..|\x83.{3}|\x84.{4})\x06"
    rb"(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x03\x04]|\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17)",
    re.DOTALL,
)
_ARC = re.compile(rb"\x1a[\x01-\x0b][!-~]{1,12}\0")
_TEXT_BYTES = bytes({*range(32, 256), 9, 10, 12, 13, 27})


@dataclass(frozen=True, slots=True)
class FileType:
    """`mime` is what the bytes are, `classes` what rules speak of, e.g. ("executable",) or ("archive", "document").
    `archive` is the type of the archive that it is by another name."""

    mime: str
    classes: tuple[str, ...]
    archive: str = ""

    @property
    def format(self) -> str:
        return self.archive or self.mime


_EMPTY = FileType("inode/x-empty", (table.DATA,))
_UNKNOWN = FileType("application/octet-stream", (table.DATA,))
_PLAIN = FileType("text/plain", (table.TEXT,))


def detect(data: bytes, *names: str) -> FileType:
    """The type of `data`; `names`, the best first, decide between kinds of plain text (`.js`, `.bat`, `.url`) and raw
    code (`.com`): the classes are those of all names. A picture or archive that has the name of a script is both."""
    if not data:
        return _EMPTY
    head = bytes(data[:_HEAD])
    extensions = dict.fromkeys(name.rstrip(" .").rpartition(".")[2].lower() if "." in name else "" for name in names)
    found = _by_structure(head, data) or _by_signature(head, data) or _disk_image(data) or _by_packets(head, data)
    if found is not None:
        return _with_classes(found, [_by_name(each) for each in extensions])
    kind = _text if _is_text(head) else _unknown
    first, *others = [kind(data, extension) for extension in extensions or ("",)]
    return _with_classes(first, [each.classes for each in others])


def _with_classes(found: FileType, more: Sequence[tuple[str, ...]]) -> FileType:
    classes = tuple(dict.fromkeys(itertools.chain(found.classes, *more)))
    return found if classes == found.classes else replace(found, classes=classes)


def _by_name(extension: str) -> tuple[str, ...]:
    """What the system makes of any content under such a name: the programs that run scripts pass over what is none."""
    if extension in table.SCRIPT_EXTENSIONS and extension not in table.DOMAINS:
        return (table.SCRIPT,)
    return (table.SHORTCUT,) if extension in table.SHORTCUT_EXTENSIONS else ()


def _by_packets(head: bytes, data: bytes) -> FileType | None:
    """What is told by its packets or its end: OpenPGP and age, encrypted for their recipients; the last volume of a zip
    file."""
    if head.startswith(_AGE):
        return FileType("application/age-encrypted", (table.DATA, *_SEALED))
    if tarball.is_tar(data):
        return FileType("application/x-tar", (table.ARCHIVE,))
    if zip_layout.is_last_volume(data):
        return FileType("application/x-archive-volume", (table.ARCHIVE,))
    if head[0] & 0x80 and pgp.is_encrypted(data):
        return FileType("application/pgp-encrypted", (table.DATA, *_SEALED))
    return None


def _disk_image(data: bytes) -> FileType | None:
    mime = disk_image(data)
    return FileType(mime, (table.DISK_IMAGE, table.ARCHIVE)) if mime else None


def _by_structure(head: bytes, data: bytes) -> FileType | None:
    """Formats that need more than a few bytes in one place. Programs first: they may hold marks of other formats."""
    if head.startswith((b"MZ", b"ZM")) and (dos_type := _dos_type(head, data)):
        return FileType(dos_type, (table.EXECUTABLE,))
    if head.startswith(b"PK") and head[2:4] in (b"\x03\x04", b"\x05\x06", b"\x07\x08"):
        mime, classes = zip_type(data)
        return FileType(mime, classes, "" if mime == ZIP else ZIP)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole2(data)
    if head.startswith(b"\xca\xfe\xba\xbe"):
        is_fat = int.from_bytes(head[4:8], "big") < 40
        return FileType("application/x-mach-binary" if is_fat else "application/java-vm", (table.EXECUTABLE,))
    if head.startswith(table.PROGRAM_MAGICS) and not _is_text(head):
        return None
    if b"%PDF-" in head[:1024]:
        return FileType("application/pdf", (table.DOCUMENT,))
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _FTYP.get(head[8:12], FileType("video/mp4", (table.VIDEO,)))
    if head.startswith(b"BM") and len(head) > 26 and head[6:10] == b"\0\0\0\0":
        return FileType("image/bmp", (table.IMAGE,))
    if head.startswith(b"\x30") and _is_asn1(head):
        return _asn1(head)
    if _ARC.match(head):
        return FileType("application/x-arc", (table.ARCHIVE,))
    return None


_RIFF = {
    b"WEBP": FileType("image/webp", (table.IMAGE,)),
    b"WAVE": FileType("audio/wav", (table.AUDIO,)),
    b"AVI ": FileType("video/x-msvideo", (table.VIDEO,)),
    b"ACON": FileType("image/x-ani", (table.IMAGE,)),
}
_FTYP = {
    **dict.fromkeys((b"heic", b"heix", b"mif1", b"avif"), FileType("image/heif", (table.IMAGE,))),
    **dict.fromkeys((b"M4A ", b"M4B "), FileType("audio/mp4", (table.AUDIO,))),
}


def _dos_type(head: bytes, data: bytes) -> str:
    """Windows goes by the offset of the new header, DOS by the sizes in the old one; two letters are no program."""
    offset = int.from_bytes(head[60:64], "little") if len(head) >= 64 else 0
    if bytes(data[offset : offset + 4]) == b"PE\0\0":
        return "application/vnd.microsoft.portable-executable"
    last_page, pages = int.from_bytes(head[2:4], "little"), int.from_bytes(head[4:6], "little")
    if bytes(data[offset : offset + 2]) in (b"NE", b"LE", b"LX") or (last_page <= 512 and pages <= 2048):
        return "application/x-dosexec"
    return ""


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


# Classes of the root of a package, a patch and a transform of Windows Installer.
_MSI_CLASSES = tuple(bytes.fromhex(f"{first}100c0000000000c000000000000046") for first in ("84", "86", "82"))
_ROOT = _utf16("Root Entry")
_MSI = FileType("application/x-msi", (table.EXECUTABLE, table.ARCHIVE))
_OLE2_STREAMS = (
    (_utf16("WordDocument"), "application/msword", (table.DOCUMENT,)),
    (_utf16("Workbook"), "application/vnd.ms-excel", (table.DOCUMENT,)),
    (_utf16("PowerPoint Document"), "application/vnd.ms-powerpoint", (table.DOCUMENT,)),
    (_utf16("EncryptedPackage"), "application/encrypted-office", (table.DOCUMENT,)),
    (_utf16("__properties_version1.0"), "application/vnd.ms-outlook", (table.MESSAGE,)),
    (_utf16("VisioDocument"), "application/vnd.visio", (table.DOCUMENT,)),
    (_utf16("Book"), "application/vnd.ms-excel", (table.DOCUMENT,)),
)


def _ole2(data: bytes) -> FileType:
    """OLE2 compound file: the class of its root says that it is an installer, the names of its streams what else."""
    root = _root_class(data)
    if root in _MSI_CLASSES:
        return _MSI
    data = data[: 1 << 20]
    macro = (table.MACRO,) if _utf16("_VBA_PROJECT") in data or _utf16("Macros") in data else ()
    for stream, mime, classes in _OLE2_STREAMS:
        if stream in data:
            return FileType(mime, classes + macro)
    if not root and any(each in data for each in _MSI_CLASSES):
        return _MSI
    return FileType("application/x-ole-storage", (table.DOCUMENT, *macro))


def _root_class(data: bytes) -> bytes:
    """The class in the first entry of the directory (MS-CFB 2.2, 2.6.1); empty where that is not in reach."""
    shift = int.from_bytes(data[30:32], "little")
    first = int.from_bytes(data[48:52], "little")
    at = (first + 1) << shift if shift in (9, 12) else len(data)
    return data[at + 80 : at + 96] if data.startswith(_ROOT, at) else b""


def _is_asn1(head: bytes) -> bool:
    return len(head) > 16 and head[1] in (0x80, 0x81, 0x82, 0x83, 0x84)


def _asn1(head: bytes) -> FileType | None:
    if _ENVELOPED.match(head):
        return FileType("application/pkcs7-mime", (table.CERTIFICATE, *_SEALED))
    if b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07" in head[:32]:
        return FileType("application/pkcs7-mime", (table.CERTIFICATE,))
    if head[4:5] == b"\x30" or b"\x02\x01\x03\x30" in head[:16]:
        return FileType("application/pkix-cert", (table.CERTIFICATE,))
    return None


def _by_signature(head: bytes, data: bytes) -> FileType | None:
    for offset, magic, mime, classes in (*_BY_FIRST_BYTE.get(head[0], ()), *_ELSEWHERE):
        if data.startswith(magic, offset) and _is_meant(head, magic, mime):
            return FileType(mime, classes)
    return None


def _is_meant(head: bytes, magic: bytes, mime: str) -> bool:
    """A few letters may also begin a text."""
    confirmed = table.CONFIRMED.get(mime)
    if confirmed is not None:
        return confirmed.match(head) is not None
    is_word = len(magic) < 8 and magic.isascii() and magic.decode("ascii").isprintable()
    return not is_word or mime in table.WRITTEN or not _is_text(head)


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return b"\0" not in head and not head.translate(None, _TEXT_BYTES)


def _text(data: bytes, extension: str) -> FileType:
    """Kinds of plain text: by what it says, then by extension, since the system runs it by that alone."""
    head = data[:_HEAD]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode("utf-8")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    found = _text_content(text)
    is_domain = extension in table.DOMAINS and found is not None and table.SCRIPT not in found.classes
    if extension in table.SCRIPT_EXTENSIONS and not is_domain:
        classes = (table.SCRIPT, table.HTML, table.TEXT) if extension == "hta" else (table.SCRIPT, table.TEXT)
        return FileType(table.SCRIPT_EXTENSIONS[extension], classes)
    if extension in table.SHORTCUT_EXTENSIONS or _URL_FILE.match(text):
        return FileType(
            table.SHORTCUT_EXTENSIONS.get(extension, "application/x-mswinurl"), (table.SHORTCUT, table.TEXT)
        )
    if extension in table.STARTED_EXTENSIONS or (extension == "com" and _is_printable_code(data)):
        return FileType("application/x-dosexec", (table.EXECUTABLE,))
    if found is None and extension in table.TEXT_EXTENSIONS:
        return FileType(*table.TEXT_EXTENSIONS[extension])
    return found or _PLAIN


def _is_printable_code(data: bytes) -> bool:
    """DOS code may be all printable, as EICAR is, or consist of bytes that are letters in some character set."""
    if dos_code.may_be_printable(data):
        return True
    try:
        data[: dos_code.LARGEST].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start < _HEAD and dos_code.may_be_code(data)
    return False


def _text_content(text: bytes) -> FileType | None:
    shebang = _SHEBANG.match(text)
    if shebang is not None or _SCRIPT_TEXT.match(text):
        return FileType("text/x-script", (table.SCRIPT, table.TEXT))
    pem = _PEM.match(text)
    if pem is not None:
        if _ENVELOPED.match(decode("base64", text[pem.end() : pem.end() + 80].split(b"=", 1)[0][:64])[0][0][1]):
            return FileType("application/pkcs7-mime", (table.CERTIFICATE, table.TEXT, *_SEALED))
        return FileType("application/x-pem-file", (table.CERTIFICATE, table.TEXT))
    if text.startswith(b"BEGIN:VCALENDAR"):
        return FileType("text/calendar", (table.TEXT,))
    if text.startswith(b"BEGIN:VCARD"):
        return FileType("text/vcard", (table.TEXT,))
    if b"<svg" in text[:1024]:
        return FileType("image/svg+xml", (table.IMAGE, table.TEXT))
    if _HTML.match(text) or (_XML.match(text) and b"<html" in text[:1024]):
        return FileType("text/html", (table.HTML, table.TEXT))
    if _XML.match(text):
        return FileType("application/xml", (table.TEXT,))
    if looks_like_message(text):
        return FileType("message/rfc822", (table.MESSAGE, table.TEXT))
    return None


def _unknown(data: bytes, extension: str) -> FileType:
    """Binary data without a signature: the name, where the system acts on it."""
    if extension in table.SCRIPT_EXTENSIONS:
        return FileType(table.SCRIPT_EXTENSIONS[extension], (table.SCRIPT,))
    if extension in table.EXECUTABLE_EXTENSIONS or (extension == "com" and dos_code.may_be_code(data)):
        return FileType("application/x-dosexec", (table.EXECUTABLE,))
    if extension in table.DISK_IMAGE_EXTENSIONS:
        return FileType(RAW, (table.DISK_IMAGE,))
    if table.VOLUME_EXTENSION.fullmatch(extension):
        return FileType("application/x-archive-volume", (table.ARCHIVE,))
    if _HTML.search(data[:512]):
        return FileType("text/html", (table.HTML, table.TEXT))
    return _UNKNOWN
