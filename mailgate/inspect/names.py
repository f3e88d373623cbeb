"""File names of a part: every name that some client would show or save the part under."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain

from mailgate.inspect import member_names
from mailgate.inspect.parameters import Structured, decode_words, text_in, value_readings

_MAX_NAMES = 16
_ODD = re.compile("[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Of these, those that change how a name looks. Marks of direction stand in honest Hebrew and Arabic names, and a tab
# where a long name was folded.
_DECEPTIVE = re.compile("[\x00-\x08\x0a-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_SHIFTS = re.compile(rb"\x1b(?:\$[@B]|\([BJI])")  # RFC 1468
_WORD_CHARSET = re.compile(rb"=\?([^?*\s]{1,40})[?*]")


def file_names(dispositions: Iterable[Structured], types: Iterable[Structured]) -> tuple[tuple[str, ...], set[str]]:
    """All readings of the file name, the best first, and the defects of the names. Readings that come from encoded
    words only, decoded before the field was taken apart, are names like others, but no defect of who wrote it."""
    names: dict[str, None] = {}
    echoes: list[bytes] = []
    defects: set[str] = set()
    plain: set[str] = set()
    for key, fields in ((b"filename", tuple(dispositions)), (b"name", tuple(types))):
        for field in fields:
            for raw, charset in field.extended(key):
                _note(names, *_texts(raw, charset))
            own, echoed = _told_apart([value for name, value in field.parameters if name == key], field.is_clean)
            echoes += echoed
            for raw in own:
                readings = _plain_readings(raw)
                plain.add(readings[0])
                _note(names, *readings)
                if b"=?" in raw:
                    defects.add("file-name-encoded-word")
                if b"\0" in raw:
                    defects.add("file-name-control")
    if len(plain) > 1 or len({_as_one_sees_it(name) for name in names}) > 1 + len(plain):
        defects.add("duplicate-file-name")
    if any(_DECEPTIVE.search(name) for name in names):
        defects.add("file-name-control")
    for raw in echoes:
        _note(names, *_plain_readings(raw))
    for name in tuple(names):
        if name.rstrip(" .") != name:
            _note(names, name.rstrip(" ."))  # Windows saves without trailing dots and blanks
    return tuple(names)[:_MAX_NAMES], defects


def _told_apart(values: list[bytes], has_one_reading: bool) -> tuple[list[bytes], list[bytes]]:
    """Values that stand there, and what they become for programs that decode encoded words before anything else."""
    if has_one_reading and any(b"=?" in value for value in values):
        return [value for value in values if b"=?" in value], [value for value in values if b"=?" not in value]
    decoded: set[bytes] = set()
    for text in [decode_words(value) for value in values if b"=?" in value]:
        decoded.update(value_readings(text), value_readings(b'"' + text + b'"'))
    return [value for value in values if value not in decoded], [value for value in values if value in decoded]


def _as_one_sees_it(name: str) -> str:
    """Words that stand as they are, folded or not, are one name."""
    return "=?" if "=?" in name else _ODD.sub("", name).rstrip(" .")


def _plain_readings(raw: bytes) -> list[str]:
    readings = []
    if b"=?" in raw:
        match = _WORD_CHARSET.search(raw)
        readings += _texts(decode_words(raw), match[1] if match else b"")
    readings.append(_text(raw, b""))
    return readings


def _note(names: dict[str, None], *texts: str) -> None:
    """Programs cut names at NUL, drop what can't be seen, and shorten what is too long in the middle."""
    readings = ((name, name.partition("\0")[0], _ODD.sub("", name)) for name in texts)
    for reading in dict.fromkeys(chain.from_iterable(readings)):
        kept = member_names.printable(member_names.shortened(reading.strip()))
        if kept:
            names.setdefault(kept)


def _texts(raw: bytes, charset: bytes) -> list[str]:
    """UTF-16 without a byte order mark is big-endian by its standard (RFC 2781 section 4.3), little-endian in practice:
    so both."""
    if charset.lower() in (b"utf-16", b"utf16") and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [raw.decode(label, "replace") for label in ("utf-16-le", "utf-16-be")]
    return [_text(raw, charset)]


def _text(raw: bytes, charset: bytes) -> str:
    """`raw` in its declared character set, else UTF-8, else Latin-1, which always works."""
    if not charset and _SHIFTS.search(raw):
        charset = b"iso-2022-jp"  # as Japanese programs write names without any encoding
    if not charset and raw.isascii():
        return raw.decode("ascii")
    for label in (charset, b"utf-8"):
        text = text_in(raw, label)
        if text is not None:
            return text
    return raw.decode("latin-1")
