"""The header of an entity (RFC 5322 section 2.2): its fields, and every place where clients let the body begin."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from msgspec import Struct

from mailgate.inspect.parts import ParseLimits

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_LINE_WITH_CR = re.compile(rb"((?:[^\r\n]++|\r++(?!\n))*+)(\r*+\n|\Z)")
_FIELD = re.compile(rb"([!-9;-~]+)([ \t]*):")
_INDENTED_FIELD = re.compile(
    rb"[ \t]*(?:content-type[ \t]*:(?![ \t]*(?!multipart|message)[a-z-]+[ \t]*[:;])"  # no list of names, as DKIM has
    rb"(?=[^\r\n]*(?:/|boundary|multipart|message))"
    rb"|content-transfer-encoding[ \t]*:[ \t]*[\"(]?(?:base64|quoted|x?-?uu|[78]bit|binary)"
    rb"|content-disposition[ \t]*:[ \t]*(?:attachment|inline))",
    re.I,
)
_MIME_NAMES = (b"content-type", b"content-transfer-encoding", b"content-disposition", b"mime-version")
# As programs write it: every line a field or its continuation, ended by CRLF, without NUL, and nothing in doubt.
_ORDINARY = re.compile(rb"(?:[!-9;-~]++:[^\r\n\0]*+\r\n(?:[ \t]++(?!\r|(?i:content-))[^\r\n\0]*+\r\n)*+)++\r\n")
_MIME_FIELD = re.compile(
    rb"(?:(" + rb"|".join(_MIME_NAMES) + rb"):([^\n]*+(?:\n[ \t][^\n]*+)*+)|[^\n]*+)(?:\n|(?<=[^\n])\Z)", re.I
)
_LINES_AFTER_BROKEN = 200
BOM = b"\xef\xbb\xbf"


class Field(Struct, frozen=True):
    """`name` in lower case; `value` as it stands, folds kept as CRLF; `position` of its first byte."""

    name: bytes
    value: bytes
    position: int


class Header(Struct, frozen=True):
    """`fields`: those of MIME. `body_starts`: where the body begins, the strict reading first; fields behind a start
    belong to the body there. `is_certain` is False where a client may see other fields than these."""

    fields: tuple[Field, ...]
    body_starts: tuple[int, ...]
    defects: frozenset[str]
    is_truncated: bool = False

    @property
    def is_certain(self) -> bool:
        return not self.defects

    def values(self, body_start: int) -> dict[bytes, list[bytes]]:
        """The values of each name in front of `body_start`."""
        found: dict[bytes, list[bytes]] = {}
        for each in self.fields:
            if each.position < body_start:
                found.setdefault(each.name, []).append(each.value)
        return found


@dataclass(slots=True)
class _Reader:
    """The state while the lines of one header are read."""

    fields: list[tuple[bytes, list[bytes], int]] = field(default_factory=list)
    extra: list[Field] = field(default_factory=list)
    defects: set[str] = field(default_factory=set)
    line_ends: set[bytes] = field(default_factory=set)
    blank: int | None = None
    other_starts: dict[str, int] = field(default_factory=dict)  # the first of each kind: no client tells more apart
    broken: int | None = None

    def take(self, text: bytes, position: int, is_first: bool) -> None:
        if text[:1] in (b" ", b"\t"):
            self._continuation(text, position)
            return
        name = text
        if b"\0" in text:
            self.defects.add("header-nul")
            name = text.replace(b"\0", b"")
        match = _FIELD.match(name)
        if match is not None:
            if match[2]:
                self.defects.add("header-space-before-colon")
                self._break("spaced-field", position)
            self.fields.append((match[1].lower(), [text.partition(b":")[2]], position))
        elif is_first and text.startswith((b"From ", b">From ")):
            self.defects.add("from-line")
        elif text[:1] == b":":
            self.fields.append((b"", [text], position))
        else:
            self.defects.add("header-separator")
            self._break("no-field", position)

    def _continuation(self, text: bytes, position: int) -> None:
        if _INDENTED_FIELD.match(text):
            self.defects.add("header-leading-blank")
            match = _FIELD.match(text.lstrip())
            if match is not None:
                self.extra.append(Field(match[1].lower(), text.lstrip()[match.end() :], position))
        if self.fields:
            self.fields[-1][1].append(text)

    def _break(self, kind: str, position: int) -> None:
        self.other_starts.setdefault(kind, position)
        if self.broken is None:
            self.broken = position

    def nearly_blank(self, kind: str, position: int) -> None:
        self.defects.add("header-separator")
        self.other_starts.setdefault(kind, position)

    def header(self, end: int, is_truncated: bool) -> Header:
        if b"\r" in self.line_ends:
            self.defects.add("bare-cr")
        if {b"\r\n", b"\n"} <= self.line_ends:
            self.defects.add("bare-lf")
        if self.blank is None and self.broken is not None:
            self.defects.add("header-separator")
        if is_truncated:
            self.defects.add("header-limit")
        starts = [*([] if self.blank is None else [self.blank]), *self.other_starts.values()]
        found = tuple(dict.fromkeys(starts))
        fields = [
            Field(name, b"\r\n".join(chunks), position) for name, chunks, position in self.fields if name in _MIME_NAMES
        ]
        return Header(tuple(fields + self.extra), found or (end,), frozenset(self.defects), is_truncated)


def read_header(data: bytes, start: int, end: int, limits: ParseLimits, *, cr_ends_line: bool = True) -> Header:
    """The header that begins at `start` of the entity `data[start:end]`; a bare CR ends a line, or is a blank in it."""
    return _ordinary(data, start, end, limits) or line_by_line(data, start, end, limits, cr_ends_line=cr_ends_line)


def _ordinary(data: bytes, start: int, end: int, limits: ParseLimits) -> Header | None:
    """The header in one sweep, where it is as programs write it."""
    match = _ORDINARY.match(data, start, min(end, start + limits.header_bytes))
    if match is None or data.count(b"\n", start, match.end()) > limits.header_lines:
        return None
    found = _MIME_FIELD.findall(data, start, match.end())
    fields = tuple(Field(name.lower(), value[:-1], start) for name, value in found if name)
    return Header(fields, (match.end(),), frozenset())


def line_by_line(data: bytes, start: int, end: int, limits: ParseLimits, *, cr_ends_line: bool = True) -> Header:
    """The same for any header."""
    reader = _Reader()
    lines = _LINE if cr_ends_line else _LINE_WITH_CR
    stop = min(end, start + limits.header_bytes)
    last_line = limits.header_lines
    previous_end = b""
    is_cut = False
    for number, match in enumerate(lines.finditer(data, start, stop)):
        text, line_end = match.groups()
        if not text:
            if line_end == b"\r\n" and previous_end == b"\r":
                reader.nearly_blank("doubled-cr", match.end())  # a line end for some, an empty line for others
            else:
                reader.blank = match.end() if line_end else None
                break
        elif not text.strip(b" \t\r\0"):
            reader.nearly_blank("nul" if b"\0" in text else "blanks", match.end())
            if b"\0" in text:
                reader.take(text, match.start(), is_first=False)
        else:
            reader.take(text, match.start(), number == 0)
        if reader.broken is not None:
            last_line = min(last_line, number + _LINES_AFTER_BROKEN)
        reader.line_ends.add(line_end)
        previous_end = line_end
        if number >= last_line:
            is_cut = True
            break
    is_truncated = reader.blank is None and reader.broken is None and (stop < end or is_cut)
    return reader.header(end, is_truncated)


def one_kind_of_line_end(data: bytes) -> bytes:
    """`data` itself where every line ends in CRLF or every line in LF, else with CRLF at all of them."""
    returns = data.count(b"\r")
    if not returns or returns == data.count(b"\r\n") == data.count(b"\n"):
        return data
    return _ANY_LINE_END.sub(b"\r\n", data)


_ANY_LINE_END = re.compile(rb"(?<!\r)\r*+\n|\r")


def leading_junk(data: bytes, start: int, end: int) -> tuple[int, str]:
    """Where the header really begins for lenient clients, and the defect that says why (empty: at `start`)."""
    match = _JUNK.match(data, start, end)
    if match is None or match.end() == start:
        return start, ""
    if BOM in match[0]:
        return match.end(), "bom"
    return match.end(), "header-leading-blank"


_JUNK = re.compile(rb"(?:\xef\xbb\xbf|[ \t]*(?:\r\n|\n|\r)){1,16}(?=>?From |[!-9;-~]+[ \t]*:)|\xef\xbb\xbf")
