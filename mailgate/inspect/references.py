"""Text written in numeric character references (XML 1.0 section 4.1, HTML), as parsers read it."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Nobody has to write white space, letters, digits and signs of base64 so; quotes and the like are common.
_HEX_SIGN = rb"x0*(?:9|a|d|20|2b|2f|3[0-9d]|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])(?![0-9a-f])"
_DECIMAL_SIGN = rb"0*(?:9|10|13|32|43|4[7-9]|5[0-7]|61|6[5-9]|[78][0-9]|90|9[7-9]|1[01][0-9]|12[0-2])(?![0-9])"
_NEEDLESS = re.compile(rb"&#(?:" + _HEX_SIGN + rb"|" + _DECIMAL_SIGN + rb")", re.I)
_REFERENCE = re.compile(rb"&#(?:x[0-9a-f]{1,100}|[0-9]{1,100});?", re.I)
_LEAST = 24  # references in a row
_SHORT = 7  # bytes
_SPELLED = re.compile(rb"(?:&#(?:x[0-9a-f]{1,100}|[0-9]{1,100});?){%d,}" % _LEAST, re.I)


def is_written_oddly(text: bytes) -> bool:
    """Whether a reference stands for a sign that needs none."""
    return b"&#" in text and _NEEDLESS.search(text) is not None


class _Signs(dict[bytes, bytes]):
    """What a reference stands for, worked out once for a short one; those beyond ASCII are left as they are."""

    def __missing__(self, reference: bytes) -> bytes:
        digits = reference[2:].rstrip(b";")
        value = int(digits[1:], 16) if digits[:1] in b"xX" else int(digits)
        sign = bytes((value,)) if value < 128 else reference
        if len(reference) <= _SHORT:
            self[reference] = sign
        return sign


def resolved(text: bytes) -> bytes:
    """The text with the references to ASCII characters replaced."""
    signs = _Signs()
    return _REFERENCE.sub(lambda match: signs[match[0]], text)


def spelled(text: bytes) -> Iterator[bytes]:
    """What stands in runs of references with nothing between."""
    return (resolved(match[0]) for match in _SPELLED.finditer(text))
