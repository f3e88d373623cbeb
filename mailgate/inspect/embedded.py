"""Files hidden in text: data: URIs (RFC 2397), runs of base64, character references, character sets that hide ASCII."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pybase64

from mailgate.inspect import references, scripts

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_MASK = bytes(65 if value in _LETTERS else 32 for value in range(256))
_SHORTEST_RUN = 40
_NEEDLE = b"A" * _SHORTEST_RUN
_RUN = re.compile(rb"[A-Za-z0-9+/]+(?:[ \t]*(?:\r\n|\n|\r)[ \t]*[A-Za-z0-9+/]+)*={0,2}")
_NOT_DATA = bytes(sorted(set(range(256)) - set(_LETTERS)))
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_LONGEST_TYPE = 300  # bytes between `data:` and the comma, or the sign of base64 in front of it
_SIGN = re.compile(rb";[ \t]{0,8}base64[ \t]{0,8}\Z", re.I)
_URI_DATA = re.compile(rb"[^\"'<>\\)]*")
_PRINTABLE = bytes(range(32, 127)) + b"\r\n\t"
_LATIN = _PRINTABLE + bytes(range(0xA0, 0x100))
_UTF16_HEAD = 64  # bytes looked at
_UTF16_LEAST = 12  # characters
_DOCUMENTS = (b"%PDF", b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"MZ")
_PROGRAMS = (b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"L\0\0\0\x01\x14\x02\0", b"#!")
_PACKED = (
    b"BZh",
    b"\xfd7zXZ",
    b"MSCF",
    b"\xd0\xcf\x11\xe0",
    b"\x78\x9f\x3e\x22",
    b"ITSF",
    b"\xe4\x52\x5c\x7b",
    b"ActiveMime",
)
_MAGICS = (*_DOCUMENTS, *_PROGRAMS, *_PACKED)
_BINARY_STARTS = (*_DOCUMENTS, b"\x89PNG", b"GIF8", b"\xff\xd8\xff")
_MAX_FOUND = 64
_UNICODE = frozenset({"utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})
_EBCDIC = frozenset({"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"})
_HIDING = _UNICODE | _EBCDIC | {"hz", "iso2022_kr", "iso2022_jp"}
_BOMS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
Found = tuple[str, str, bytes]  # defect, suffix of the place, content


def is_texty(data: bytes) -> bool:
    """True where a client might show the bytes as text."""
    return b"\0" not in data[:4096] and not data.startswith(_BINARY_STARTS)


def hidden(text: bytes) -> Iterator[Found]:
    """What a browser or a person decodes out of the text; beyond the 64th find all the rest come as one."""
    yield from _bounded("data-uri", "data", _uris(text))
    whole = _whole(text)
    if whole:
        yield "encoded-run", "base64", whole
    else:
        yield from _bounded("encoded-run", "base64", _runs(text))
        yield from _bounded("encoded-run", "script", filter(_is_file, scripts.rebuilt(text, _runs)))
    if references.is_written_oddly(text):
        yield from _bounded("encoded-run", "references", _in_references(text))


def _in_references(text: bytes) -> Iterator[bytes]:
    """The same once more in what references stand for, and texts that consist of them."""
    plain = references.resolved(text)
    yield from _uris(plain)
    yield from _runs(plain)
    yield from filter(_is_file, scripts.rebuilt(plain, _runs))
    yield from filter(_is_file, references.spelled(text))


def _bounded(defect: str, suffix: str, contents: Iterator[bytes]) -> Iterator[Found]:
    rest: list[bytes] = []
    for count, content in enumerate(contents):
        if count < _MAX_FOUND:
            yield defect, suffix, content
        else:
            rest.append(content)
    if rest:
        yield defect, suffix, b"\n".join(rest)


def _whole(text: bytes) -> bytes:
    """All of the text, where it is nothing but one block of base64."""
    block = text.strip()
    if len(block) < _SHORTEST_RUN or b" " in block or block.translate(None, _LETTERS + b"=\r\n\t"):
        return b""
    return _decode(block.rstrip(b"=").split(b"=", 1)[0])


def _uris(text: bytes) -> Iterator[bytes]:
    lowered = text.lower()
    position = 0
    while (at := lowered.find(b"data:", position)) >= 0:
        position = at + 5
        comma = text.find(b",", position, position + _LONGEST_TYPE + 25)
        if comma < 0 or not _is_media_type(media_type := text[position:comma]):
            continue
        data = _URI_DATA.match(text, comma + 1)
        assert data is not None
        body, position = data[0], data.end()
        if len(body) < 8 or (b"/" not in media_type and b";" not in media_type):
            continue
        if b"&" in body:
            body = html.unescape(body.decode("latin-1")).encode("utf-8", "replace")
        if b"%" in body:
            body = unquote_to_bytes(body)
        yield _decode(body.translate(_URL_SAFE)) if b"base64" in media_type.lower() else body


def _is_media_type(text: bytes) -> bool:
    """Of a data: URI; quotes may stand in front of the sign of base64 only."""
    if text.translate(None, b"<>\\") != text:
        return False
    if text.translate(None, b"\"'") == text and len(text) <= _LONGEST_TYPE:
        return True
    sign = _SIGN.search(text)
    return sign is not None and sign.start() <= _LONGEST_TYPE


def _runs(text: bytes) -> Iterator[bytes]:
    """Runs of 40 base64 characters and more whose content looks like a file or a text, not like a key or an id."""
    mask = text.translate(_MASK)
    position = 0
    while (at := mask.find(_NEEDLE, position)) >= 0:
        match = _RUN.match(text, at)
        assert match is not None
        position = match.end()
        content = _decode(match[0])
        if _is_file(content):
            yield content


def _is_file(content: bytes) -> bool:
    """Does it begin like a file or a text, not like a key or an id?"""
    return content.startswith(_MAGICS) or not content[:48].translate(None, _PRINTABLE)


def _decode(letters: bytes) -> bytes:
    letters = letters.translate(None, _NOT_DATA)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return pybase64.b64decode(letters + b"=" * (-len(letters) % 4))


def in_plain_charset(data: bytes, charsets: tuple[str, ...]) -> Iterator[bytes]:
    """The text as UTF-8 for every character set that hides ASCII: declared, shown by a byte order mark or by zeros."""
    labels = [label for mark, label in _BOMS if data.startswith(mark)][:1] or _unmarked_utf16(data)
    for label in dict.fromkeys([*labels, *charsets]):
        try:
            if codecs.lookup(label).name in _HIDING:
                yield data.decode(label, "replace").encode("utf-8", "replace")
        except (LookupError, ValueError):
            continue


def _unmarked_utf16(data: bytes) -> list[str]:
    """Latin text whose every second byte is zero begins the data: Windows opens it without mark or declaration."""
    head = data[:_UTF16_HEAD] if data[:4].count(0) == 2 else b""
    pairs = len(head) // 2
    if pairs < _UTF16_LEAST:
        return []
    for label, high, low in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        odd = len(high) - high.count(0) + len(low.translate(None, _LATIN))
        if odd <= pairs // 8:
            return [label]
    return []
