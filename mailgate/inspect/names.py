"""File names of a part: every name that some client would show or save the part under."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from itertools import chain

from mailgate.inspect import member_names
from mailgate.inspect.parameters import Structured, decode_words, value_readings

_MAX_NAMES = 16
_ODD = re.compile("[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
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
            own, echoed = _told_apart([value for name, value in field.parameters if name == key])
            echoes += echoed
            for raw in own:
                readings = _plain_readings(raw)
                plain.add(readings[0])
                _note(names, *readings)
                if b"=?" in raw:
                    defects.add("file-name-encoded-word")
                if b"\0" in raw:
                    defects.add("file-name-control")
    if len(plain) > 1 or len({name.rstrip(" .") for name in names}) > 1 + len(plain):
        defects.add("duplicate-file-name")
    if any(_ODD.search(name) for name in names):
        defects.add("file-name-control")
    for raw in echoes:
        _note(names, *_plain_readings(raw))
    for name in tuple(names):
        if name.rstrip(" .") != name:
            _note(names, name.rstrip(" ."))  # Windows saves without trailing dots and blanks
    return tuple(names)[:_MAX_NAMES], defects


def _told_apart(values: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Values that stand there, and what they become for programs that decode encoded words before anything else."""
    decoded: set[bytes] = set()
    for text in [decode_words(value) for value in values if b"=?" in value]:
        decoded.update(value_readings(text), value_readings(b'"' + text + b'"'))
    return [value for value in values if value not in decoded], [value for value in values if value in decoded]


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
    if not charset and raw.isascii():
        return raw.decode("ascii")
    for label in (charset.decode("ascii", "replace"), "utf-8"):
        try:
            if label and codecs.lookup(label).name in _CHARSETS:
                return raw.decode(label)
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")


_CHARSETS = frozenset(
    {
        *("ascii", "utf-8", "utf-7", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "tis-620"),
        *("gb2312", "gbk", "gb18030", "big5", "shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "iso2022_kr"),
        *(f"iso8859-{number}" for number in range(1, 17)),
        *(f"cp{number}" for number in (437, 850, 866, 932, 949, *range(1250, 1259))),
    }
)
