"""Pure: content in pieces into a transfer encoding (RFC 2045 sections 6.7, 6.8). What is decoded again is the same."""

from __future__ import annotations

import binascii
import re
from typing import Protocol

_UNSAFE = re.compile(rb"[^\t\r\n\x20-\x3c\x3e-\x7e]+")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]+")
_BLANK_AT_END = re.compile(rb"[ \t](?=\r\n|\Z)")
_LIKE_DELIMITER = re.compile(rb"(?m)^--(?=[^\r\n]*=)")  # what escapes made of it may be one
_LONG_LINE = re.compile(rb"[^\r\n]{76,}")
_BREAK = re.compile(rb"([^\r\n]{73,75}(?<!=)(?<!=.))(?=[^\r\n])")
_WHITE = b" \t\r\n"
_PIECE = 64 << 10  # bytes of a line without an end that are kept back
_LINE = 76
_RAW = _LINE // 4 * 3


class Encoder(Protocol):
    """`feed` takes the content in pieces of any size, `end` gives the rest."""

    def feed(self, data: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class Written:
    """Something else in its place."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def feed(self, data: bytes) -> bytes:
        return b""

    def end(self) -> bytes:
        return self._text


class Masked:
    """8-bit octets of what no mail program shows become question marks."""

    def feed(self, data: bytes) -> bytes:
        return _EIGHT_BIT.sub(lambda match: b"?" * len(match[0]), data)

    def end(self) -> bytes:
        return b""


class QuotedPrintable:
    """Text whose line ends are CR LF. `is_encoded`: it is quoted-printable already, but for 8-bit octets and the length
    of its lines."""

    def __init__(self, is_encoded: bool = False) -> None:
        self._unsafe = _EIGHT_BIT if is_encoded else _UNSAFE
        self._is_encoded = is_encoded
        self._rest = b""
        self._continues = False  # the rest stands in the middle of a line of the original

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        cut = data.rfind(b"\r\n") + 2
        if cut >= 2:
            self._rest = data[cut:]
            return self._encoded(data[:cut])
        if self._is_encoded or len(data) < _PIECE:
            self._rest = data
            return b""
        cut = len(data) - 2  # CR LF stays together, and something stays for the end
        self._rest = data[cut:]
        text = self._encoded(data[:cut])
        self._continues = True
        return text + b"=\r\n"

    def end(self) -> bytes:
        return self._encoded(self._rest) if self._rest else b""

    def _encoded(self, data: bytes) -> bytes:
        text = self._unsafe.sub(_escaped, data)
        if not self._is_encoded:
            text = _BLANK_AT_END.sub(_escaped, text)
        if self._continues and text.startswith(b"-"):
            text = b"=2D" + text[1:]
        self._continues = False
        return _LONG_LINE.sub(_folded, _LIKE_DELIMITER.sub(b"-=2D", text))


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"=" + match[0].hex("=").upper().encode()


def _folded(match: re.Match[bytes]) -> bytes:
    """No line that begins anew looks like the delimiter of a multipart."""
    return _BREAK.sub(rb"\1=\r\n", match[0].replace(b"--", b"-=2D"))


class Base64:
    """Anything. `is_encoded`: it is base64 already, but for the length of its lines."""

    def __init__(self, is_encoded: bool = False) -> None:
        self._is_encoded = is_encoded
        self._unit = _LINE if is_encoded else _RAW
        self._rest = b""
        self._tail = b""
        self._has_lines = False

    def feed(self, data: bytes) -> bytes:
        self._tail = (self._tail + data[-2:])[-2:]
        data = self._rest + (data.translate(None, _WHITE) if self._is_encoded else data)
        cut = len(data) // self._unit * self._unit
        self._rest = data[cut:]
        return self._lines(data[:cut])

    def end(self) -> bytes:
        return self._lines(self._rest) + (b"\r\n" if self._tail == b"\r\n" else b"")

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        text = data if self._is_encoded else binascii.b2a_base64(data, newline=False)
        lines = b"\r\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))
        lines = b"\r\n" + lines if self._has_lines else lines
        self._has_lines = True
        return lines
