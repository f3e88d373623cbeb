"""The header section as bytes that are signed: fields in their order, nothing changed (RFC 5322 section 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEXT_FIELD = re.compile(rb"\r\n(?![ \t])")
_NAME = re.compile(rb"[!-~]+")
_SPACES = re.compile(rb"[ \t]{2,}|\t")
_HEADER_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Field:
    """`name` in lower case, empty for a line that is no field; `raw` the whole field with its line end."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """What stands after the colon, unchanged, line end included."""
        return self.raw.partition(b":")[2]

    @property
    def relaxed(self) -> bytes:
        """RFC 6376 section 3.4.2, with the line end."""
        return self.name + b":" + relax(self.value) + b"\r\n"


@dataclass(frozen=True, slots=True)
class Header:
    """`fields` from the top; `size` is where the body starts, in bytes."""

    fields: tuple[Field, ...]
    size: int

    def named(self, *names: bytes) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.name in names)


def read(head: bytes) -> Header:
    """`head` is the beginning of a message, at least the header with the empty line after it, where there is one."""
    if head.startswith(b"\r\n"):
        return Header((), 2)
    end = head.find(_HEADER_END)
    section = head if end < 0 else head[:end]
    lines = _NEXT_FIELD.split(section.removesuffix(b"\r\n"))
    return Header(tuple(_field(line) for line in lines if line), len(head) if end < 0 else end + len(_HEADER_END))


def _field(line: bytes) -> Field:
    name, colon, _ = line.partition(b":")
    stripped = name.rstrip(b" \t").lower()
    is_field = colon and _NAME.fullmatch(stripped)
    return Field(stripped if is_field else b"", line + b"\r\n")


def relax(value: bytes) -> bytes:
    """Unfolded, runs of white space as one space, none at the ends. Linear in the size, whatever is in it."""
    return _SPACES.sub(b" ", value.replace(b"\r\n", b"")).strip(b" \t")
