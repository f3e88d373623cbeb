"""Files and messages wrapped in formats that mail clients open: TNEF, S/MIME (CMS), ActiveMime, messages as files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailgate.inspect import apple, pgp, tnef
from mailgate.inspect.encodings import decode
from mailgate.inspect.expansion import expanded, zlib_format
from mailgate.inspect.members import Budget

ACTIVE_MIME = b"ActiveMime"
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
    if data.startswith(tnef.MAGIC):
        yield from (("tnef", file) for file in tnef.tnef_files(data, budget))
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
