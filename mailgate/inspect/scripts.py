"""Files that a script puts together when a page is opened (HTML smuggling): from strings in pieces or backwards, from
escapes, from numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# Nothing is put together without one of these; most texts are done with at the first look.
_BUILDERS = (b"<script", b"atob", b"charcode", b"uint8array", b"unescape", b"decodeuri", b"blob", b"parseint")
_SEAM = re.compile(rb"([\"'`])\s*[+,]\s*[\"'`]")
_LEAST = 24  # escapes, numbers or pairs of digits in a row
_ESCAPES = re.compile(rb"(?:(?:\\x|\\u00|%%(?:u00)?)[0-9a-f]{2}){%d,}" % _LEAST, re.I)
_PAIR = re.compile(rb"(?:\\x|\\u00|%(?:u00)?)", re.I)
_DIGITS = re.compile(rb"(?:[0-9a-f]{2}){%d,}" % _LEAST, re.I)
_NUMBERS = re.compile(rb"(?:0x[0-9a-f]{1,2}|[0-9]{1,3})(?:\s*,\s*(?:0x[0-9a-f]{1,2}|[0-9]{1,3})){%d,}" % _LEAST, re.I)


def rebuilt(text: bytes, runs: Callable[[bytes], Iterator[bytes]]) -> Iterator[bytes]:
    """What a script in `text` may make; `runs` finds base64 in the text that strings joined or reversed are."""
    lowered = text.lower()
    if not any(word in lowered for word in _BUILDERS):
        return
    joined = _SEAM.sub(b"", text)
    if joined != text:
        yield from runs(joined)
    if b"reverse" in text:
        yield from runs(joined[::-1])
    for match in _ESCAPES.finditer(joined):
        yield bytes.fromhex(_PAIR.sub(b"", match[0]).decode("ascii"))
    for match in _DIGITS.finditer(joined):
        yield bytes.fromhex(match[0].decode("ascii"))
    for match in _NUMBERS.finditer(text):
        yield bytes(int(each, 0 if b"x" in each.lower() else 10) & 255 for each in match[0].split(b","))
