"""Names of archive members are bytes, and most archives do not say in which character set: every plausible reading, the
likeliest first. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LONGEST = 1024  # characters of a name that are kept
_MOST_READINGS = 6
# What Explorer, WinRAR and tar write where nothing else is said: the DOS and Windows code pages of the sender.
_CHARSETS = ("cp437", "cp850", "cp1252", "cp866", "cp1251", "cp932", "gb18030", "big5", "cp949", "cp1250", "cp1253")
_CONTROL = re.compile("[\x80-\x9f]")
_CJK = ("CJK", "HIRAGANA", "KATAKANA")


def shortened(name: str, longest: int = LONGEST) -> str:
    """A name that is too long without its middle: rules look at both ends, and programs act on the last one."""
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def readings(raw: bytes, longest: int = LONGEST) -> tuple[str, ...]:
    """What the bytes may say, without anything that can't be written as UTF-8; nothing where there are none."""
    if raw.isascii():
        text = raw.decode("ascii")
        return (shortened(text, longest),) if text else ()
    if len(raw) > 2 * longest:
        raw = raw[:longest] + raw[-longest:]
    found: dict[str, int] = {}
    for rank, charset in enumerate(("utf-8", *_CHARSETS, "latin-1")):
        try:
            text = raw.decode(charset)
        except ValueError:
            continue
        if charset == "utf-8":
            return (shortened(text, longest),)  # nothing else is valid UTF-8 by chance
        found.setdefault(_CONTROL.sub("\ufffd", text), 16 * _oddness(text) + rank)
    ordered = sorted(found, key=found.__getitem__)[:_MOST_READINGS]
    return tuple(shortened(text, longest) for text in ordered)


def printable(text: str) -> str:
    """Without halves of surrogate pairs, which neither UTF-8 nor any protocol can carry."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def _oddness(text: str) -> int:
    """How unlike a name in one language it is: signs instead of letters, scripts within one word, capitals in it."""
    odd = 0
    before = ("", "")
    for char in text:
        script, kind = _script(char)
        if not char.isascii() and not script:
            odd += 3
        if script and before[0] and script != before[0]:
            odd += 2
        if script == before[0] and (before[1], kind) == ("Ll", "Lu"):
            odd += 1
        before = (script, kind)
    return odd


@lru_cache(4096)
def _script(char: str) -> tuple[str, str]:
    """The first word of its name as a letter, such as LATIN; empty for anything else. And its category."""
    kind = unicodedata.category(char)
    if kind[0] not in "LM":
        return "", kind
    script = unicodedata.name(char, "").partition(" ")[0].partition("-")[0]
    return ("CJK" if script in _CJK else script), kind
