"""What decoders make of quoted-printable data (RFC 2045 section 6.7): every reading of what is malformed. Pure; each
reading is one pass."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

_ODD_ESCAPE = re.compile(rb"=(?![0-9A-F]{2}|\r\n)")
_NO_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_CAPITAL_ESCAPE = re.compile(rb"=([0-9A-F]{2})")
_SMALL_ESCAPE = re.compile(rb"=(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])")
_BROKEN_WITH_ONE = re.compile(rb"=(?![0-9A-Fa-f]{2})[^\r\n=]?")
_BROKEN_WITH_TWO = re.compile(rb"=(?![0-9A-Fa-f]{2})[^\r\n=]{0,2}")
_SPACED_ESCAPE = re.compile(rb"=[ \t]{1,8}([0-9A-Fa-f])[ \t]{0,8}([0-9A-Fa-f])|=([0-9A-Fa-f])[ \t]{1,8}([0-9A-Fa-f])")
_SOFT = re.compile(rb"=[ \t]*(?:\r\n|\n|\r|\Z)")
_ODD_SOFT = re.compile(rb"=[ \t\0\x0b\x0c]*(?:\r[\r]*\n?|\n|\xc2?\x85|\xe2\x80[\xa8\xa9]|\Z)")
_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r|\n|\Z)")  # one attempt for each run, not one for each blank of it
_CONTROLS = bytes((*range(9), 11, 12, *range(14, 32), 127))
_NO_TEXT = _CONTROLS + bytes(range(128, 256))
_FIELD = re.compile(rb"[!-9;-~]{1,76}:[^\r\n]*(?:\r\n|\n|\r)")
_FOLDED = re.compile(rb"[ \t][^\r\n]*(?:\r\n|\n|\r)")
_EMPTY = re.compile(rb"[ \t]*(?:\r\n|\n|\r)")
_MOST_FIELDS = 100
Reading = tuple[str, bytes]  # how it was read ("" for the strict way), decoded bytes


def quoted_printable(data: bytes) -> tuple[list[Reading], set[str]]:
    """Every reading of `data`, the strict one first, and the defects of the data."""
    readings = {binascii.a2b_qp(data): ""}
    if _is_odd(data):
        for name, decoded in _odd_readings(data):
            readings.setdefault(decoded, name)
    defects = {"quoted-printable-malformed"} if len(readings) > 1 else set[str]()
    start = _behind_header(data)
    if start:
        readings.setdefault(binascii.a2b_qp(data[start:]), "after-blank")
    return [(name, decoded) for decoded, name in readings.items()], defects


def _odd_readings(data: bytes) -> Iterator[Reading]:
    joined = _SOFT.sub(b"", data)
    yield "soft-breaks", binascii.a2b_qp(joined)
    yield "trimmed", binascii.a2b_qp(_TRAILING.sub(b"", _SOFT.sub(b"=\r\n", data)))
    yield from _with_broken_escapes(joined)
    if _SMALL_ESCAPE.search(data):
        yield "capitals", _CAPITAL_ESCAPE.sub(_escaped, joined)
    for name, octets in (("no-controls", _CONTROLS), ("text-only", _NO_TEXT)):
        cleaned = data.translate(None, octets)
        if len(cleaned) != len(data):
            text = _SOFT.sub(b"", cleaned)
            yield name, binascii.a2b_qp(text)
            yield f"{name}-dropped", binascii.a2b_qp(_NO_ESCAPE.sub(b"", text))
    yield "odd-soft-breaks", binascii.a2b_qp(_ODD_SOFT.sub(b"", data))


def _with_broken_escapes(joined: bytes) -> Iterator[Reading]:
    """An escape that is none is kept, dropped with or without what stands in it, or ends the data; or the data is shown
    as it is."""
    if not _NO_ESCAPE.search(joined):
        return
    yield "kept", _ESCAPE.sub(_escaped, joined)
    yield "dropped", binascii.a2b_qp(_NO_ESCAPE.sub(b"", joined))
    yield "dropped-1", binascii.a2b_qp(_BROKEN_WITH_ONE.sub(b"", joined))
    yield "dropped-2", binascii.a2b_qp(_BROKEN_WITH_TWO.sub(b"", joined))
    yield "spaced", binascii.a2b_qp(_SPACED_ESCAPE.sub(rb"=\1\2\3\4", joined))
    yield "to-junk", binascii.a2b_qp(_NO_ESCAPE.split(joined, maxsplit=1)[0])
    yield "undecoded", joined


def _escaped(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode("ascii"))


def _is_odd(data: bytes) -> bool:
    """True where decoders may differ: odd escapes, trailing blanks, line ends other than CRLF, octets that are no
    text."""
    if _ODD_ESCAPE.search(data) or data.endswith((b" ", b"\t")) or len(data.translate(None, _NO_TEXT)) != len(data):
        return True
    line_ends = data.count(b"\r\n")
    if data.count(b"\n") != line_ends or data.count(b"\r") != line_ends:
        return True
    return b" \r\n" in data or b"\t\r\n" in data


def _behind_header(data: bytes) -> int:
    """Where the data begins behind a second block of header fields, 0 where there is none."""
    at = 0
    for _ in range(_MOST_FIELDS):
        field = _FIELD.match(data, at) or (_FOLDED.match(data, at) if at else None)
        if field is None:
            break
        at = field.end()
    empty = _EMPTY.match(data, at) if at else None
    return empty.end() if empty else 0
