"""Files and messages wrapped in formats that mail clients open: TNEF, S/MIME (CMS), ActiveMime, messages as files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailgate.inspect import apple, pgp
from mailgate.inspect.encodings import decode
from mailgate.inspect.expansion import expanded, zlib_format
from mailgate.inspect.members import Budget

TNEF_MAGIC = b"\x78\x9f\x3e\x22"
ACTIVE_MIME = b"ActiveMime"
_ATTACH_RENDER = 0x9002
_ATTACH_DATA = 0x800F
_ATTACH_TITLE = 0x8010
_ATTACHMENT = 0x9005
_OBJECT_PROPERTY = 0x3701
_LONG_NAME_PROPERTY = 0x3707
_MAX_FILES = 1000
_MAX_ASN1_ELEMENTS = 20_000
_MAX_ASN1_DEPTH = 24
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_COMPRESSED_DATA = bytes.fromhex("2a864886f70d0109100109")
_PEM = re.compile(rb"-----BEGIN (?:PKCS7|CMS|PKCS #7 SIGNED DATA)-----([A-Za-z0-9+/=\s]+)-----END")
_ZLIB_START = re.compile(rb"x[\x01\x5e\x9c\xda]")
_MESSAGE_FIELD = re.compile(
    rb"(?:\A|(?<=[\r\n]))(received|return-path|from|to|cc|subject|date|message-id|mime-version|content-type"
    rb"|content-transfer-encoding|content-disposition|delivered-to|reply-to|x-[a-z-]+):",
    re.I,
)
_MESSAGE_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,64}(?:>?From [^\r\n]{0,998}[\r\n]+)?[!-9;-~]{1,76}[ \t]*:")
_PART_START = re.compile(rb"\s{0,64}content-(?:type|transfer-encoding|disposition)[ \t]*:", re.I)
_VERSION_FIELD = b"mime-version:"
_ANY_CASE_HEAD, _ARCHIVE_HEAD = 8 << 10, 256 << 10  # bytes in which a web archive may begin
_ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")
File = tuple[str, bytes]  # name, content
Wrapped = tuple[str, File]  # format, file


def looks_like_message(data: bytes) -> bool:
    """True where `data` begins with header fields that make a client open it as a message or as a body part."""
    if _PART_START.match(data, 0, 400):
        return True
    if not _MESSAGE_START.match(data, 0, 2048):
        return False
    fields = {match[1].lower() for match in _MESSAGE_FIELD.finditer(data, 0, 8192)}
    has_mime = any(name.startswith((b"content-", b"mime-")) for name in fields)
    return has_mime or len(fields & {b"from", b"to", b"subject", b"date", b"received", b"message-id"}) >= 2


def web_archive(data: bytes) -> int:
    """Where a web archive (RFC 2557) begins behind the beginning of another file, -1 where there is none. Word goes by
    the MIME-Version field and so opens what is a PDF file for others (JPCERT/CC: MalDoc in PDF, 2023)."""
    if data.startswith(_ARCHIVES):
        return -1
    at = data[:_ANY_CASE_HEAD].lower().find(_VERSION_FIELD)
    return at if at >= 0 else data.find(b"MIME-Version:", _ANY_CASE_HEAD - len(_VERSION_FIELD), _ARCHIVE_HEAD)


def opened(data: bytes, budget: Budget) -> Iterator[Wrapped]:
    """The format and each file inside `data`, where it is in one of the formats. Raises LimitExceededError where the
    budget for what is expanded is used up."""
    if data.startswith(TNEF_MAGIC):
        yield from (("tnef", file) for file in tnef_files(data))
    elif data.startswith(b"\x30"):
        content = cms_content(data, budget)
        if content:
            yield "cms", ("", content)
    elif b"-----BEGIN " in data[:200]:
        pem = _PEM.search(data)
        if pem is not None:
            content = cms_content(decode("base64", pem[1])[0][0][1], budget)
            if content:
                yield "cms", ("", content)
    elif data.startswith(apple.APPLE_MAGICS):
        yield from (("apple", file) for file in apple.apple_forks(data))
    elif data.startswith(b"\0"):
        if apple.is_macbinary(data):
            yield from (("macbinary", file) for file in apple.macbinary_forks(data))
    elif data.startswith(ACTIVE_MIME):
        yield from (("mso", ("", content)) for content in _active_mime(data, budget))
    elif pgp.may_be_pgp(data):
        yield from (("pgp", file) for file in pgp.literals(data, budget))


def tnef_files(data: bytes) -> Iterator[File]:
    """Attachments of a TNEF stream (MS-OXTNEF 2.1): attachment data, and objects in attachment properties."""
    position, name, content = 6, "", b""
    count = 0
    while position + 9 <= len(data) and count < _MAX_FILES:
        attribute = int.from_bytes(data[position + 1 : position + 3], "little")
        length = int.from_bytes(data[position + 5 : position + 9], "little")
        value = data[position + 9 : position + 9 + length]
        position += 9 + length + 2
        if attribute == _ATTACH_RENDER:
            if content:
                yield name, content
            name, content = "", b""
            count += 1
        elif attribute == _ATTACH_TITLE:
            name = name or value.rstrip(b"\0").decode("latin-1")
        elif attribute == _ATTACH_DATA:
            content = value
        elif attribute == _ATTACHMENT:
            for tag, item in _mapi_properties(value):
                if tag == _LONG_NAME_PROPERTY:
                    name = item.decode("utf-16-le" if item[1:2] == b"\0" else "latin-1", "replace").rstrip("\0")
                elif tag == _OBJECT_PROPERTY:
                    yield name, item[16:]  # behind the interface identifier
                    yield name, item
    if content:
        yield name, content


_FIXED_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}


def _mapi_properties(value: bytes) -> Iterator[tuple[int, bytes]]:
    """(property id, value) of the variable-length properties of one attachment (MS-OXTNEF 2.1.3.4)."""
    position = 4
    for _ in range(min(int.from_bytes(value[:4], "little"), 2000)):
        if position + 4 > len(value):
            return
        kind = int.from_bytes(value[position : position + 2], "little")
        tag = int.from_bytes(value[position + 2 : position + 4], "little")
        position += 4
        if tag >= 0x8000:
            position = _skip_property_name(value, position)
        count = 1
        if kind & 0x1000 or kind in (0x0D, 0x1E, 0x1F, 0x102):
            count = int.from_bytes(value[position : position + 4], "little")
            position += 4
        fixed = _FIXED_SIZES.get(kind & 0xFFF)
        if fixed is not None:
            position += fixed * count
            continue
        for _ in range(min(count, 2000)):
            length = int.from_bytes(value[position : position + 4], "little")
            yield tag, value[position + 4 : position + 4 + length]
            position += 4 + (length + 3 & ~3)
            if position > len(value):
                return


def _skip_property_name(value: bytes, position: int) -> int:
    kind = int.from_bytes(value[position + 16 : position + 20], "little")
    if kind == 0:
        return position + 24
    length = int.from_bytes(value[position + 20 : position + 24], "little")
    return position + 24 + (length + 3 & ~3)


def cms_content(data: bytes, budget: Budget) -> bytes:
    """The encapsulated content of SignedData or CompressedData (RFC 5652, RFC 3274), BER or DER; empty where none.
    Raises LimitExceededError."""
    strings = list(_octet_strings(data))
    is_signed = _SIGNED_DATA in data[:64]
    is_compressed = _COMPRESSED_DATA in data[:64]
    if not strings or not (is_signed or is_compressed):
        return b""
    content = b"".join(strings)
    return expanded(zlib_format, content, budget) if is_compressed else content


def _octet_strings(data: bytes) -> Iterator[bytes]:
    """The pieces of the first octet string (primitive or constructed) in the encapsulated content.

    Walks ContentInfo → [0] → SignedData → encapContentInfo → [0] → OCTET STRING without recursion."""
    position = elements = 0
    path: list[tuple[int, int]] = []  # tag and end of every open constructed element; end -1: indefinite
    content_depth = 0
    while position + 2 <= len(data) and elements < _MAX_ASN1_ELEMENTS:
        elements += 1
        while path and path[-1][1] >= 0 and position >= path[-1][1]:
            path.pop()
            if content_depth and len(path) < content_depth:
                return
        if data[position : position + 2] == b"\0\0" and path and path[-1][1] < 0:
            position += 2
            path.pop()
            if content_depth and len(path) < content_depth:
                return
            continue
        tag, length, position = _element(data, position)
        if tag & 0x20:
            if len(path) >= _MAX_ASN1_DEPTH:
                return
            path.append((tag, -1 if length < 0 else position + length))
            tags = [kind for kind, _ in path]
            # In encapContentInfo, a sequence in a sequence; the certificates beside it are a [0] too.
            if tag == 0xA0 and not content_depth and tags.count(0xA0) == 2 and tags[-3:-1] == [0x30, 0x30]:
                content_depth = len(path)
            continue
        if length < 0:
            return
        if tag == 0x04 and content_depth:
            yield data[position : position + length]
        position += length


def _element(data: bytes, position: int) -> tuple[int, int, int]:
    """Tag, length (-1: indefinite) and start of the content of the element at `position`."""
    tag = data[position]
    length = data[position + 1]
    position += 2
    if length == 0x80:
        return tag, -1, position
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[position : position + min(size, 8)], "big")
        position += size
    return tag, length, position


def _active_mime(data: bytes, budget: Budget) -> Iterator[bytes]:
    """What Office packs into an .mso file, commonly OLE2 with macros. The length of the header differs, so whatever may
    begin a zlib stream is tried."""
    for match in _ZLIB_START.finditer(data, 0, 1024):
        content = expanded(zlib_format, data[match.start() :], budget)
        if content:
            yield content
