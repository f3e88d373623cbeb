"""xtext, the encoding of DSN parameters (RFC 3461 section 4), and its forms for internationalised addresses (RFC 6533
section 3)."""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
# EmbeddedUnicodeChar of RFC 6533: no leading zeros, and never what could be written as it is
_NEEDLESS = frozenset(chr(code) for code in range(0x21, 0x7F)) - frozenset("+=\\")


class XtextError(ValueError):
    """Not valid xtext; the text says why."""


def decode(text: str) -> str:
    """xtext to printable ASCII. XtextError also where it stands for control characters or bytes above 126: neither an
    envelope id nor an address may hold them."""
    if not _XTEXT.fullmatch(text):
        raise XtextError("not xtext")
    decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), text)
    if not all(" " <= char <= "~" for char in decoded):
        raise XtextError("stands for more than printable ASCII")
    return decoded


def decode_utf8_address(text: str) -> str:
    """The address behind `utf-8-addr-xtext` or `utf-8-addr-unitext`: characters may be written as `\\x{HEX}`."""
    if any(char in "+=" or not (char >= "\xa0" or "!" <= char <= "~") for char in text):
        raise XtextError("a character that must be written as \\x{HEX}")
    parts: list[str] = []
    at = 0
    for match in _EMBEDDED.finditer(text):
        parts += [text[at : match.start()], _embedded(match[1])]
        at = match.end()
    parts.append(text[at:])
    if any("\\" in plain for plain in parts[::2]):
        raise XtextError("a backslash that must be written as \\x{5C}")
    return "".join(parts)


def escape_utf8_address(text: str) -> str:
    """`utf-8-addr-unitext` as `utf-8-addr-xtext`, which is ASCII alone."""
    return "".join(char if char.isascii() else f"\\x{{{ord(char):X}}}" for char in text)


def _embedded(digits: str) -> str:
    code = int(digits, 16)
    if len(digits.lstrip("0")) != len(digits) or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise XtextError(f"\\x{{{digits}}} is no character")
    char = chr(code)
    if char in _NEEDLESS or code < 0x20 or 0x7F <= code < 0xA0:
        raise XtextError(f"\\x{{{digits}}} is not allowed")
    return char
