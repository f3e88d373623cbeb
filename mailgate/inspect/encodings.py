"""Content-Transfer-Encoding (RFC 2045 section 6): what a field may mean, and what decoders make of the data."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Sequence

import pybase64

from mailgate.inspect.parameters import decode_words, strip_comments
from mailgate.inspect.quoted_printable import quoted_printable
from mailgate.inspect.textfiles import decode_binhex, decode_uuencoded, decode_yenc

IDENTITY = frozenset({"7bit", "8bit", "binary", ""})
_ALIASES = {
    b"7bit": "7bit",
    b"7-bit": "7bit",
    b"8bit": "8bit",
    b"8-bit": "8bit",
    b"binary": "binary",
    b"base64": "base64",
    b"base-64": "base64",
    b"b64": "base64",
    b"quoted-printable": "quoted-printable",
    b"quotedprintable": "quoted-printable",
    b"qp": "quoted-printable",
    b"uuencode": "uuencode",
    b"x-uuencode": "uuencode",
    b"uue": "uuencode",
    b"x-uue": "uuencode",
    b"uu": "uuencode",
    b"yenc": "yenc",
    b"x-yenc": "yenc",
    b"binhex": "binhex",
    b"x-binhex": "binhex",
    b"mac-binhex40": "binhex",
    b"x-binhex40": "binhex",
}
_INSIDE = re.compile(rb"base-?64|quoted-?printable|uuencode|[78]-?bit|binary|yenc|binhex")
_SEPARATORS = re.compile(rb"[\s,;:\"'()<>\0]+")
_WHITE = b"\r\n\t "
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_ALPHABET = bytes(sorted(set(range(256)) - set(_ALPHABET)))
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_CLEAN_LINES = re.compile(rb"(?:\A|(?<=[\r\n]))(?:[ \t]*[A-Za-z0-9+/]+={0,2}[ \t]*(?:\r\n|\n|\r|\Z))+")
_PADDED_RUN = re.compile(rb"[A-Za-z0-9+/]+=*")
_MAX_RUNS = 1000
_LONGEST_LINE = 1000
_EMPTY_LINES = 3  # behind the data: no program writes more
Reading = tuple[str, bytes]  # how it was read ("" for the strict way), decoded bytes


def read_encoding(values: Sequence[bytes]) -> tuple[list[str], set[str]]:
    """The encodings that the fields may mean, the strict reading first, and the defects of the fields.

    No field means `7bit`. A field that is in doubt always allows for being ignored too."""
    found: dict[str, None] = {}
    defects: set[str] = set()
    for value in values:
        names, defect = _one_field(value)
        found.update(dict.fromkeys(names))
        if defect:
            defects.add(defect)
    if len(values) > 1 and len({value.strip().lower() for value in values}) > 1:
        defects.add("duplicate-content-transfer-encoding")
    if not found or (defects and not IDENTITY & found.keys()):
        found["7bit"] = None
    return list(found), defects


def _one_field(value: bytes) -> tuple[list[str], str]:
    token = value.lstrip(b" \t").lower()
    if token in _STANDARD:
        return [_ALIASES[token]], ""
    text = value.replace(b"\r\n", b"").lower()
    if b"=?" in text:
        text = decode_words(text)
    words = _SEPARATORS.split(strip_comments(text)) + _SEPARATORS.split(text.replace(b"\0", b""))
    words += _INSIDE.findall(text.replace(b"\0", b""))[:8]
    names = dict.fromkeys(_ALIASES[word] for word in words if word in _ALIASES)
    if not names:
        return ["7bit"] if not text.strip(_WHITE) else [
            "7bit",
            "base64?",
            "quoted-printable?",
        ], "transfer-encoding-unknown"
    if text.strip(_WHITE) in _ALIASES.keys() - _STANDARD:
        return list(names), "transfer-encoding-unknown"
    return list(names), "transfer-encoding-list" if len(names) > 1 else "transfer-encoding-syntax"


_STANDARD = frozenset(
    {b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable", b"uuencode", b"x-uuencode", b"x-uue", b"uue"}
)


def decode(encoding: str, data: bytes) -> tuple[list[Reading], set[str]]:
    """Every reading of `data`, the strict one first, and the defects of the data.

    A trailing `?` on the encoding asks for a reading only if the data looks like it."""
    if encoding in IDENTITY:
        return [("", data)], set()
    if encoding.endswith("?"):
        readings, defects = decode(encoding[:-1], data)
        return ([], set()) if defects else (readings, defects)
    return _DECODERS[encoding](data)


def regular_base64(data: bytes, start: int, end: int) -> bytes | None:
    """Base64 in `data[start:end]` as programs write it, all lines equally long and ended by CRLF, without a copy of the
    data; None for any other."""
    for _ in range(_EMPTY_LINES):
        if data.endswith(b"\r\n", start, end):
            end -= 2
    first_end = data.find(b"\r\n", start, min(end, start + _LONGEST_LINE))
    width = first_end - start
    if width <= 0 or width % 4:
        return None
    returns, feeds = data[first_end : end : width + 2], data[first_end + 1 : end : width + 2]
    if returns.count(b"\r") != len(returns) or feeds.count(b"\n") != len(feeds):
        return None
    letters = end - start - len(returns) - len(feeds)
    try:
        content = pybase64.b64decode(memoryview(data)[start:end])
    except binascii.Error:
        return None
    pads = 4 - len(data[max(start, end - 4) : end].rstrip(b"="))
    return content if letters % 4 == 0 and pads <= 2 and len(content) == letters // 4 * 3 - pads else None


def _base64(data: bytes) -> tuple[list[Reading], set[str]]:
    compact = data.translate(None, _WHITE)
    try:
        return [("", pybase64.b64decode(compact, validate=True))], set()
    except (binascii.Error, ValueError):
        return _lenient_base64(data, compact)


def _lenient_base64(data: bytes, compact: bytes) -> tuple[list[Reading], set[str]]:
    """Malformed base64: decoders skip junk, or whole lines with junk, and at `=` they stop, go on or start again."""
    letters = compact.translate(None, _NOT_ALPHABET)
    defects = set()
    if len(letters) != len(compact):
        defects.add("base64-junk")
    core = letters.rstrip(b"=")
    if b"=" in core:
        defects.add("base64-concatenated")
    if not defects:
        defects.add("base64-length")
    readings: dict[bytes, str] = {}
    for name, text in _base64_texts(data, compact, letters):
        decoded = _forgiving(text)
        if decoded:
            readings.setdefault(decoded, name)
    to_full_pad = _to_full_pad(letters)
    if b"=" in core:
        for name, decoded in (("to-full-pad", to_full_pad), ("by-fours", _by_fours(letters))):
            if decoded:
                readings.setdefault(decoded, name)
    runs = b"".join(map(_forgiving, _runs(letters))) if b"=" in core else b""
    if runs:
        readings.setdefault(runs, "concatenated")
    if not to_full_pad or "base64-junk" in defects:
        readings.setdefault(data, "undecoded")  # clients that reject the data show it as it is
        readings.setdefault(data.translate(None, b"\r\n"), "joined")
    return [(name, decoded) for decoded, name in readings.items()], defects


def _base64_texts(data: bytes, compact: bytes, letters: bytes) -> Iterator[tuple[str, bytes]]:
    yield "to-padding", letters.split(b"=", 1)[0]
    yield "", letters.replace(b"=", b"")
    if b"-" in compact or b"_" in compact:
        yield "url-safe", compact.translate(_URL_SAFE).translate(None, _NOT_ALPHABET + b"=")
    if len(letters) != len(compact):
        lines = [match[0].translate(None, _WHITE) for match in _CLEAN_LINES.finditer(data)][:_MAX_RUNS]
        yield "clean-lines", b"".join(lines).split(b"=", 1)[0]
        yield from (("clean-run", line.split(b"=", 1)[0]) for line in lines[:4])
        yield "to-junk", _PADDED_RUN.match(compact + b"\0")[0].rstrip(b"=") if compact[:1].isalnum() else b""  # type: ignore[index]
    blank = re.search(rb"\r\n[ \t]*\r\n|\n[ \t]*\n|\r[ \t]*\r", data)
    if blank is not None:
        yield "after-blank", data[blank.end() :].translate(None, _WHITE + _NOT_ALPHABET).split(b"=", 1)[0]


def _runs(letters: bytes) -> list[bytes]:
    """Padded streams written one behind the other, each without its padding."""
    runs = [match[0].rstrip(b"=") for match in _PADDED_RUN.finditer(letters)]
    return runs if len(runs) <= _MAX_RUNS else [*runs[:_MAX_RUNS], b"".join(runs[_MAX_RUNS:])]


def _to_full_pad(letters: bytes) -> bytes:
    """As Python reads: padding is passed over until it completes a group of four; nothing counts behind it."""
    try:
        return binascii.a2b_base64(letters.rstrip(b"=") + b"==")
    except binascii.Error:  # a single letter is left over
        return b""


def _by_fours(letters: bytes) -> bytes:
    """As Thunderbird reads: each group of four by itself, padding wherever it stands in it."""
    chunks: list[bytes] = []
    position = count = 0
    while (at := letters.find(b"=", position)) >= 0 and count < _MAX_RUNS:
        count += 1
        group = at - (at - position) % 4
        chunks.append(pybase64.b64decode(letters[position:group]))
        four = letters[group : group + 4]
        chunks.append(pybase64.b64decode(four.replace(b"=", b"A").ljust(4, b"A"))[: max(0, 3 - four.count(b"="))])
        position = group + 4
    return b"".join((*chunks, _forgiving(letters[position:].replace(b"=", b""))))


def _forgiving(letters: bytes) -> bytes:
    """Decode alphabet characters without padding; a lone last character is dropped."""
    whole = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return pybase64.b64decode(whole + b"=" * (-len(whole) % 4))


def _legacy(decoder: Callable[[bytes], tuple[bytes, ...]]) -> Callable[[bytes], tuple[list[Reading], set[str]]]:
    """An encoding outside the standard: some clients decode it, the others show the data as it is."""

    def decoded(data: bytes) -> tuple[list[Reading], set[str]]:
        found: list[Reading] = [(f"{number}" if number else "", each) for number, each in enumerate(decoder(data))]
        return [*found, ("undecoded" if found else "", data)], set()

    return decoded


_DECODERS: dict[str, Callable[[bytes], tuple[list[Reading], set[str]]]] = {
    "base64": _base64,
    "quoted-printable": quoted_printable,
    "uuencode": _legacy(decode_uuencoded),
    "yenc": _legacy(decode_yenc),
    "binhex": _legacy(decode_binhex),
}
