"""Files written as text before MIME: uuencode (POSIX), xxencode, yEnc (yenc.org, draft 1.3), BinHex 4.0 (RFC 1741)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from contextlib import suppress

import pybase64

_UU_BEGIN = re.compile(
    rb"(?:^|(?<=[\r\n]))[ \t]*+begin(-base64)?[ \t]++[0-7]{1,8}(?:[ \t]++([^\r\n]{0,512}))?(?:\r\n|\n|\r)", re.I
)
_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\n|\r|\Z)")
_FULL_LINE = re.compile(rb"([^\r\n]+)")
_EMPTY_OR_FULL = re.compile(rb"([\r\n]+)|[^\r\n]+(?:\r\n|\n|\r|\Z)")
_YENC_BEGIN = re.compile(  # the last of a line, so that each byte is looked at once
    rb"=ybegin ((?:(?!=ybegin )[^\r\n]){0,998})(?:\r\n|\n|\r)(?:=ypart [^\r\n]{0,998}(?:\r\n|\n|\r))?"
)
_UU_BASE64_END = re.compile(rb"====|begin-base64")
_YENC_END = re.compile(rb"=yend|=ybegin ")
_BINHEX_BEGIN = re.compile(rb"\(This file must be converted with BinHex[^\r\n]{0,200}(?:\r\n|\n|\r)\s{0,8}:")
_YENC_PLAIN = bytes((value - 42) % 256 for value in range(256))
_YENC_ESCAPED = bytes((value - 64) % 256 for value in range(256))
_YENC_ESCAPES = ((b"=@", b"\0"), (b"=J", b"\n"), (b"=M", b"\r"), (b"=}", b"="))  # `=` itself must come last
_YENC_RARE_ESCAPE = re.compile(rb"=([^@JM}=])", re.S)
_MAX_RARE_ESCAPES = 100_000
_BINHEX_LETTERS = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BASE64_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_BASE64 = bytes.maketrans(_BINHEX_LETTERS, _BASE64_LETTERS)
_XX_LETTERS = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_XX_TO_UU = bytes.maketrans(_XX_LETTERS, b"`" + bytes(range(33, 96)))
_XX_END = re.compile(rb"(?:^|(?<=[\r\n]))end\b")
_NOT_BINHEX = bytes(sorted(set(range(256)) - set(_BINHEX_LETTERS)))
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(_BASE64_LETTERS)))
_OF_RETURN, _OF_FEED = (13 - 32) & 63, (10 - 32) & 63  # the lengths that empty lines say, by their first byte
_OF_NOTHING = 96  # a grave accent
_MAX_FILES = 200
_MAX_RUNS = 500_000
_MAX_EXPANDED = 32 << 20
File = tuple[str, bytes]  # name, content


def files_in_text(text: bytes) -> Iterator[tuple[str, File]]:
    """The encoding and every file written into `text`, at most 200 for each encoding."""
    if b"begin" in text or b"BEGIN" in text or b"Begin" in text:
        for number, match in enumerate(_first(_UU_BEGIN.finditer(text))):
            for content in _uu_readings(text, match, goes_on=number == 0):
                yield "uuencode", (_name(match[2] or b""), content)
    if b"=ybegin " in text:
        for match in _first(_YENC_BEGIN.finditer(text)):
            content = _yenc_body(text, match.end())
            if content:
                yield "yenc", (_name(match[1].partition(b"name=")[2]), content)
    if b"BinHex" in text:
        for match in _first(_BINHEX_BEGIN.finditer(text)):
            for file in _binhex_forks(text, match.end()):
                yield "binhex", file


def decode_uuencoded(data: bytes) -> tuple[bytes, ...]:
    """Every reading of the first uuencoded file in `data`; lines without a `begin` line are taken as they are."""
    begin = _UU_BEGIN.search(data)
    filled = _uu_filled(data, begin.end() if begin else 0)
    return tuple(dict.fromkeys((*_uu_readings(data, begin, goes_on=True), *([filled] if filled else []))))


def decode_yenc(data: bytes) -> tuple[bytes, ...]:
    match = _YENC_BEGIN.search(data)
    return (_yenc_body(data, match.end() if match else 0),)


def decode_binhex(data: bytes) -> tuple[bytes, ...]:
    """Data and resource fork of the first BinHex file in `data`."""
    match = _BINHEX_BEGIN.search(data)
    start = match.end() if match else data.find(b":") + 1
    return tuple(content for _, content in _binhex_forks(data, start))


def _first(matches: Iterator[re.Match[bytes]]) -> Iterator[re.Match[bytes]]:
    for count, match in enumerate(matches):
        if count >= _MAX_FILES:
            return
        yield match


def _name(raw: bytes) -> str:
    return raw.strip(b" \t\"'").decode("utf-8", "replace")


def _uu_readings(text: bytes, begin: re.Match[bytes] | None, *, goes_on: bool) -> tuple[bytes, ...]:
    """The file behind the `begin` line: up to the first line that is not uuencoded, and, if it `goes_on` (some clients
    do), with all such lines passed over up to `end`."""
    start = begin.end() if begin else 0
    if begin and begin[1]:
        readings = [_uu_base64(text, start)]
    else:
        readings = [_uu_lines(text, start, passes_over=False), _xx_lines(text, start)]
        if goes_on:
            readings.append(_uu_lines(text, start, passes_over=True))
    return tuple(dict.fromkeys(content for content in readings if content))


def _uu_lines(text: bytes, start: int, *, passes_over: bool) -> bytes:
    chunks: list[bytes] = []
    for match in (_FULL_LINE if passes_over else _LINE).finditer(text, start):
        line = match[1]
        bare = line.strip()
        if bare == b"`":
            continue
        if bare.lower() == b"end":
            break
        chunk = _uu_line(line) if bare else b""
        if chunk:
            chunks.append(chunk)
        elif not passes_over:
            break
    return b"".join(chunks)


def _xx_lines(text: bytes, start: int) -> bytes:
    """The same with the letters of xxencode, where the first line can be one of it."""
    first = _LINE.match(text, start)
    line = first[1] if first else b""
    count = _XX_LETTERS.find(line[:1]) if line else -1
    if count < 1 or len(line) != 1 + (count + 2) // 3 * 4 or line.translate(None, _XX_LETTERS):
        return b""
    end = _XX_END.search(text, start)
    return _uu_lines(text[start : end.start() if end else len(text)].translate(_XX_TO_UU), 0, passes_over=False)


def _uu_filled(text: bytes, start: int) -> bytes:
    """As Python reads: what a line lacks is filled with zeros, and no line but `end` is the last."""
    chunks: list[bytes] = []
    for match in _EMPTY_OR_FULL.finditer(text, start):
        line = match[0]
        if match[1]:
            begin_in_feed = line.count(b"\n") - line.count(b"\r\n")
            chunks.append(bytes(_OF_FEED * begin_in_feed + _OF_RETURN * line.count(b"\r")))
            continue
        if line[0] == _OF_NOTHING:
            continue
        if line.strip(b" \t\r\n\f") == b"end":
            break
        try:
            chunks.append(binascii.a2b_uu(line))
        except binascii.Error:
            wanted = (((line[0] - 32) & 63) * 4 + 5) // 3
            with suppress(binascii.Error):
                chunks.append(binascii.a2b_uu(line[:wanted]))
    return b"".join(chunks)


def _uu_line(line: bytes) -> bytes:
    """One line by its length character, with its trailing blanks cut off or junk behind; empty: no uuencoded line."""
    count = (line[0] - 32) & 63
    wanted = (count * 4 + 2) // 3 + 1
    if not 33 <= line[0] <= 96 or len(line) < wanted // 2:
        return b""
    try:
        return binascii.a2b_uu(line[:wanted])
    except binascii.Error:
        return b""


def _uu_base64(text: bytes, start: int) -> bytes:
    end = _UU_BASE64_END.search(text, start)
    letters = text[start : end.start() if end else len(text)].translate(None, _NOT_BASE64)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return pybase64.b64decode(letters + b"=" * (-len(letters) % 4))


def _yenc_body(text: bytes, start: int) -> bytes:
    end = _YENC_END.search(text, start)
    body = text[start : end.start() if end else len(text)].translate(None, b"\r\n")
    body = _YENC_RARE_ESCAPE.sub(lambda match: match[1].translate(_YENC_ESCAPED), body, count=_MAX_RARE_ESCAPES)
    for escaped, value in _YENC_ESCAPES:
        body = body.replace(escaped, value)
    return body.translate(_YENC_PLAIN)


def _binhex_forks(text: bytes, start: int) -> Iterator[File]:
    """Data and resource fork of the BinHex stream that begins at `start`, behind its first colon."""
    end = text.find(b":", start)
    letters = text[start : end if end >= 0 else len(text)].translate(None, _NOT_BINHEX)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    packed = pybase64.b64decode(letters.translate(_TO_BASE64) + b"=" * (-len(letters) % 4))
    raw = _expand_runs(packed)
    head = 1 + raw[0] if raw else 0
    if len(raw) < head + 21:
        return
    data_length = int.from_bytes(raw[head + 11 : head + 15], "big")
    resource_length = int.from_bytes(raw[head + 15 : head + 19], "big")
    data_start = head + 21
    name = raw[1:head].decode("mac_roman", "replace")
    for begin, length in ((data_start, data_length), (data_start + data_length + 2, resource_length)):
        content = raw[begin : begin + length]
        if content:
            yield name, content


def _expand_runs(packed: bytes) -> bytes:
    """BinHex run lengths: 0x90 n repeats the byte before n times in all, 0x90 0x00 is 0x90 itself."""
    first, *rest = packed.split(b"\x90", _MAX_RUNS)
    chunks, size, last = [first], len(first), first[-1:]
    for chunk in rest:
        if not chunk:
            continue
        count = chunk[0]
        repeated = b"\x90" if count == 0 else last * (count - 1)
        last = b"\x90" if count == 0 else last
        chunks += (repeated, chunk[1:])
        last = chunk[-1:] if len(chunk) > 1 else last
        size += len(repeated) + len(chunk)
        if size > _MAX_EXPANDED:
            break
    return b"".join(chunks)
