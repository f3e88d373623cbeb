"""Tag lists, the syntax that DKIM, ARC and DMARC share (RFC 6376 section 3.2)."""

from __future__ import annotations

import re

_SPACE = " \t\r\n"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e \t\r\n]*")
_WIDE_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e\x80-\U0010ffff \t\r\n]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_WHITE = re.compile(r"[ \t\r\n]+")


class TagError(ValueError):
    """Not a valid tag list, or a tag has a wrong value; the text says which."""


def parse(text: str, is_wide: bool = False) -> dict[str, str]:
    """Values by tag name in their order, without white space around them. Names keep their case. `is_wide` admits
    characters beyond ASCII (RFC 8616). Raises TagError."""
    segments = text.split(";")
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    allowed = _WIDE_VALUE if is_wide else _VALUE
    tags: dict[str, str] = {}
    for segment in segments:
        name, equals, value = segment.partition("=")
        name, value = name.strip(_SPACE), value.strip(_SPACE)
        if not equals or not _NAME.fullmatch(name):
            raise TagError(f"not a tag: {_shown(segment)}")
        if name in tags:
            raise TagError(f"tag {name} stands there twice")
        if not allowed.fullmatch(value):
            raise TagError(f"tag {name} holds a character that is not allowed")
        tags[name] = value
    return tags


def compact(value: str) -> str:
    """Without any white space: base64 and lists may be folded anywhere."""
    return _WHITE.sub("", value)


def base64_text(value: str, name: str) -> str:
    """The base64 of tag `name`, folding removed; raises TagError where it is none."""
    text = compact(value)
    if not _BASE64.fullmatch(text) or len(text) % 4:
        raise TagError(f"tag {name} is not base64")
    return text


def listed(value: str) -> tuple[str, ...]:
    """The items of a list with colons."""
    return tuple(item.strip(_SPACE) for item in value.split(":"))


def _shown(text: str) -> str:
    return repr(text.strip(_SPACE)[:40])
