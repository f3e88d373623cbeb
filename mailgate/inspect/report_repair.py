"""Pure: aggregate reports whose XML is not well-formed, mended. The faults are those that reporters really make; what
they report can be told all the same."""

from __future__ import annotations

import re

_DECLARATION = re.compile(r"<\?xml\b[^<>]*\?>")
_ENCODING = re.compile(rb"<\?xml\b[^<>]{0,100}?\bencoding\s*=\s*[\"']([A-Za-z0-9_-]{1,20})[\"']")
_KNOWN = re.compile(rb"utf-?8|utf-?16(?:le|be)?|iso-8859-[0-9]{1,2}|latin-?1|(?:windows-|cp)125[0-8]|us-ascii", re.I)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBERED = re.compile(r"&#(?:([0-9]{1,7})|x([0-9A-Fa-f]{1,6}));")
_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_LESS_THAN = re.compile(r"<(?![A-Za-z_/!?])|<(?=[A-Za-z0-9.!#$%&'*+=?^_`{|}~-]{1,64}@)")
_SCHEMA = re.compile(r"</?(?:[A-Za-z_][\w.-]{0,40}:)?schema\b[^<>]*>")
_PREFIX = re.compile(r"(</?)[A-Za-z_][\w.-]{0,40}:")
_ATTRIBUTE = re.compile(r"(<[A-Za-z_][\w.-]*)\s[^<>]*?(/?>)")


def mended(xml: bytes) -> bytes:
    """As UTF-8: without what stands before and behind the document, the elements of a schema around it, prefixes,
    attributes, and characters that XML forbids; `&` and `<` escaped where they begin nothing. What can't be mended
    stays as it is."""
    text = _decoded(xml)
    text = _DECLARATION.sub("", text[max(text.find("<"), 0) : text.rfind(">") + 1])
    for pattern, replacement in (
        (_FORBIDDEN, ""),
        (_AMPERSAND, "&amp;"),
        (_LESS_THAN, "&lt;"),
        (_SCHEMA, ""),
        (_PREFIX, r"\1"),
        (_ATTRIBUTE, r"\1\2"),
    ):
        text = pattern.sub(replacement, text)
    return _NUMBERED.sub(_character, text).encode()


def _decoded(xml: bytes) -> str:
    """By the byte order mark, by the declaration if it is true, as UTF-8, as what Windows makes of it."""
    declared = _ENCODING.search(xml[:200])
    if xml.startswith((b"\xff\xfe", b"\xfe\xff")):
        return xml.decode("utf-16", "replace")
    for encoding in (declared[1] if declared else b"utf-8", b"utf-8"):
        if _KNOWN.fullmatch(encoding):
            try:
                return xml.decode(encoding.decode())
            except UnicodeDecodeError:
                continue
    return xml.decode("cp1252", "replace")


def _character(found: re.Match[str]) -> str:
    """A reference to a character that XML forbids is dropped; others stay."""
    number = int(found[1]) if found[1] else int(found[2], 16)
    return "" if number > 0x10FFFF or _FORBIDDEN.match(chr(number)) else found[0]
