"""What a header says about the body: type, encoding and name, each in every reading."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from mailgate.inspect.encodings import read_encoding
from mailgate.inspect.headers import Header
from mailgate.inspect.names import file_names
from mailgate.inspect.parameters import Structured, parse_structured, strip_comments

_MAX_FIELDS = 8
_REMEMBERED = 500  # meanings of short fields: most parts of most mail say the same few things
_SHORT = 300  # bytes
_NO_FIELD = Structured((), (), is_clean=True)
_STRUCTURE_TYPES = ("multipart/", "message/")


class Meaning(Struct, frozen=True):
    """`types`: each reading of the content type with the field it comes from, the strict one first;
    likewise `encodings`. `is_clear`: one reading only."""

    types: tuple[tuple[str, Structured], ...]
    encodings: tuple[str, ...]
    names: tuple[str, ...]
    is_attachment: bool
    defects: frozenset[str]
    is_clear: bool

    @property
    def name(self) -> str:
        return self.names[0] if self.names else ""

    @property
    def charsets(self) -> tuple[str, ...]:
        fields = dict.fromkeys(field for _, field in self.types)
        found = [value for field in fields for value in field.readings(b"charset")]
        return tuple(dict.fromkeys(value.decode("latin-1").strip("\"' ").lower() for value in found))


def read_meaning(header: Header, body_start: int, default_type: str) -> Meaning:
    """The meaning of the fields in front of `body_start`."""
    values = header.values(body_start)
    types, encodings, dispositions = (
        tuple(values.get(name, ())) for name in (b"content-type", b"content-transfer-encoding", b"content-disposition")
    )
    is_short = sum(map(len, types + encodings + dispositions)) <= _SHORT
    read = _meaning_of_short if is_short else _meaning
    return read(types, encodings, dispositions, default_type)


def _meaning(
    type_values: tuple[bytes, ...],
    encoding_values: tuple[bytes, ...],
    disposition_values: tuple[bytes, ...],
    default_type: str,
) -> Meaning:
    defects: set[str] = set()
    fields = [parse_structured(value) for value in _first_and_last(type_values)]
    types = _type_readings(fields, default_type)
    if any(not field.is_clean or b"/" not in field.mains[0] for field in fields if field.mains):
        defects.add("type-syntax")
    if any(kind.startswith("multipart/") for kind, _ in types[1:]):
        defects.add("type-syntax")  # a boundary without a multipart type, or a type with several readings
    if _differ(type_values):
        defects.add("duplicate-content-type")
    encodings, encoding_defects = read_encoding(_first_and_last(encoding_values))
    if _differ(disposition_values):
        defects.add("duplicate-content-disposition")
    dispositions = [parse_structured(value) for value in _first_and_last(disposition_values)]
    names, name_defects = file_names(dispositions, fields)
    is_attachment = bool(names) or any(b"attachment" in main for field in dispositions for main in field.mains)
    return Meaning(
        types=types,
        encodings=tuple(encodings),
        names=names,
        is_attachment=is_attachment or not types[0][0].startswith(("text/", *_STRUCTURE_TYPES)),
        defects=frozenset(defects | encoding_defects | name_defects),
        is_clear=not (defects or encoding_defects) and len(encodings) == 1,
    )


_meaning_of_short = lru_cache(_REMEMBERED)(_meaning)


def _differ(values: tuple[bytes, ...]) -> bool:
    return len(values) > 1 and len({value.strip() for value in values}) > 1


def _first_and_last(values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if len(values) <= _MAX_FIELDS:
        return values
    return values[: _MAX_FIELDS // 2] + values[-_MAX_FIELDS // 2 :]


def _type_readings(fields: list[Structured], default_type: str) -> tuple[tuple[str, Structured], ...]:
    readings = [(_normal(main), field) for field in fields for main in field.mains]
    if not readings:
        readings = [(default_type, field) for field in fields] or [(default_type, _NO_FIELD)]
    if not any(kind.startswith("multipart/") for kind, _ in readings):
        readings += [("multipart/mixed", field) for field in fields if field.readings(b"boundary")]
    if len(fields) > 1 and default_type != "text/plain":
        readings.append((default_type, _NO_FIELD))
    return tuple(dict.fromkeys(readings))


def _normal(main: bytes) -> str:
    """`type/subtype`; a type alone or with odd characters becomes the nearest that clients act upon."""
    text = main.decode("latin-1").strip()
    if text.count("/") == 1 and ("multipart" not in text or text.startswith("multipart/")):
        return text
    for kind, fallback in (("multipart", "multipart/mixed"), ("message", "message/rfc822"), ("text", "text/plain")):
        if text == kind or (text.startswith(kind + "/") and text.count("/") > 1):
            return fallback
    if not text.startswith("multipart/") and "multipart" in text:
        return "multipart/mixed"
    return text if "/" in text else "text/plain"


def lacks_mime_version(header: Header, body_start: int) -> bool:
    """True where fields of MIME stand in front of the body, and no MIME-Version of 1.0."""
    values = header.values(body_start)
    if b"content-type" not in values and b"content-transfer-encoding" not in values:
        return False
    versions = values.get(b"mime-version", ())
    return not any(strip_comments(version).replace(b" ", b"").strip() == b"1.0" for version in versions)
