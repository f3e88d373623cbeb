"""Pure: the header of a message or part, as far as recoding must know it (RFC 2045, RFC 2046). Strict: what two mail
programs might read in two ways is not read at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE = 998
"""Octets without CR LF (RFC 5322 section 2.1.1)."""

_NEXT_FIELD = re.compile(rb"\r\n(?![ \t])")
_FIELD = re.compile(rb"([!-9;-~]+):(.*)", re.S)
_TOKEN = rb"[^\x00-\x20\x7f-\xff()<>@,;:\\\"/\[\]?=]+"
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")/(" + _TOKEN + rb")\s*(?=;|\Z)")
_PARAMETER = re.compile(rb";\s*(?:(" + _TOKEN + rb")\s*=\s*(\"(?:[^\"\\]|\\.)*+\"|[^\s;\"()]+)\s*)?", re.S)
_COMPOSITE = re.compile(rb"multipart|message", re.I)
_MOST_LINES = 10_000
_LONGEST_TYPE = 16 << 10  # octets of a Content-Type
_LONGEST_BOUNDARY = 900  # octets; the standard allows 70
_FOLD_HERE = re.compile(rb"(?<=[^ \t\r\n])(?=[ \t]+[^ \t\r\n])")
_FOLD_MIME_HERE = re.compile(rb"(?<=;)(?=[ \t]+[^ \t\r\n])")  # never inside of a boundary or a name
_IDENTITY = {b"", b"7bit", b"8bit", b"binary", b"7-bit", b"8-bit"}
_ENCODING = b"content-transfer-encoding"


class NotConvertibleError(Exception):
    """The text says why, as a sentence about the message (`it is signed …`)."""


@dataclass(frozen=True, slots=True)
class Entity:
    """The header between `start` and `body`, the empty line included. `kind` is `type/subtype` and `encoding` the
    transfer encoding, in lower case, empty where it names none. `is_mime`, `is_typed`: it has such a field."""

    start: int
    body: int
    fields: tuple[bytes, ...]
    kind: bytes
    boundary: bytes
    encoding: bytes
    is_mime: bool
    is_typed: bool

    @property
    def main(self) -> bytes:
        return self.kind.partition(b"/")[0] or b"text"

    @property
    def is_identity(self) -> bool:
        """The body is the content."""
        return self.encoding in _IDENTITY

    def written(self, fold: bool, encoding: bytes = b"", add: bytes = b"") -> bytes:
        """The header anew: with this transfer encoding, the fields `add` more, and long lines folded at white space."""
        fields = [field for field in self.fields if _name(field) != _ENCODING] if encoding else list(self.fields)
        if encoding:
            at = next((n for n, field in enumerate(self.fields) if _name(field) == _ENCODING), len(fields))
            fields.insert(at, b"Content-Transfer-Encoding: " + encoding)
        if fold:
            fields = [_folded(field) for field in fields]
        return b"".join(field + b"\r\n" for field in fields) + add + b"\r\n"


def read(section: bytes, start: int) -> Entity:
    """`section` is the header with its empty line, from the offset `start`. NotConvertibleError where it is no header,
    or one with two meanings."""
    if section.count(b"\r\n") > _MOST_LINES:
        raise NotConvertibleError("a header of it has too many lines")
    fields = () if section == b"\r\n" else tuple(_NEXT_FIELD.split(section[:-4]))
    found: dict[bytes, bytes] = {}
    for field in fields:
        name = _name(field)
        if name in (b"content-type", _ENCODING):
            if name in found:
                raise NotConvertibleError(f"it has two {name.decode().title()} fields in one header")
            found[name] = field.partition(b":")[2]
        elif not name:
            raise NotConvertibleError("a header of it has a line that is no field")
    kind, boundary = _content_type(found.get(b"content-type", b""))
    encoding = found.get(_ENCODING, b"").lstrip(b" \t").lower()
    if encoding.strip() in _IDENTITY:
        encoding = encoding.strip()  # of other encodings some readers do not know the name then
    is_mime = any(_name(field) == b"mime-version" for field in fields)
    return Entity(start, start + len(section), fields, kind, boundary, encoding, is_mime, b"content-type" in found)


def _name(field: bytes) -> bytes:
    match = _FIELD.fullmatch(field)
    return match[1].lower() if match is not None else b""


def _content_type(value: bytes) -> tuple[bytes, bytes]:
    if len(value) > _LONGEST_TYPE:
        raise NotConvertibleError("a Content-Type of it can't be read")
    match = _TYPE.match(value)
    boundaries: list[bytes] = []
    at = match.end() if match is not None else 0
    while match is not None and at < len(value):
        parameter = _PARAMETER.match(value, at)
        if parameter is None:
            break
        at = parameter.end()
        if parameter[1] and parameter[1].lower().startswith(b"boundary"):
            boundaries.append(parameter[1] + b"=" + parameter[2])
    is_whole = match is not None and at == len(value)
    kind = (match[1] + b"/" + match[2]).lower() if match is not None else b""
    if not kind.startswith((b"multipart/", b"message/")):
        if not is_whole and _COMPOSITE.search(value) and not kind:
            raise NotConvertibleError("a Content-Type of it can't be read")
        return kind, b""
    if not is_whole:
        raise NotConvertibleError("a Content-Type of it can't be read")
    if not kind.startswith(b"multipart/"):
        return kind, b""
    if len(boundaries) != 1 or not boundaries[0].lower().startswith(b"boundary="):
        raise NotConvertibleError("a multipart of it does not say clearly where its parts begin")
    text = boundaries[0][len(b"boundary=") :]
    if text.startswith(b'"'):
        text = re.sub(rb"\\(.)", rb"\1", text[1:-1], flags=re.S)
    text = text.rstrip(b" \t")
    if not text or len(text) > _LONGEST_BOUNDARY or not text.isascii() or b"\r" in text:
        raise NotConvertibleError("a multipart of it does not say clearly where its parts begin")
    return kind, text


def _folded(field: bytes) -> bytes:
    name, _, _ = field.partition(b":")
    here = _FOLD_MIME_HERE if name.lower().startswith(b"content-") else _FOLD_HERE
    lines: list[bytes] = []
    for line in field.split(b"\r\n"):
        at = 0
        while len(line) - at > LONGEST_LINE:
            after = at + 1 if lines else len(name) + 2  # the first line has more than the name
            places = [match.start() for match in here.finditer(line, after, at + LONGEST_LINE + 2)]
            places = [place for place in places if place - at <= LONGEST_LINE]
            if not places:
                shown = name[:40].decode("ascii", "replace")
                raise NotConvertibleError(
                    f"its field {shown} has too long a line without a blank where it could be folded"
                )
            lines.append(line[at : places[-1]])
            at = places[-1]
        lines.append(line[at:])
    return b"\r\n".join(lines)
