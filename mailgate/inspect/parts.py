"""What the parser hands back: parts, views, and the collector that keeps each distinct content once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from mailgate.model.defect import is_structural
from mailgate.model.verdict import Defect

# Encoded bytes from which a decoded part is left out of the raw scan; text stays longer: mail signatures look at it.
LARGE_PART = 512
LARGE_TEXT = 16 << 10
_MAX_DEFECTS = 200
_LARGE_REWORK = 128 << 20  # bytes looked at again, however large the message: some 10 s of processor time


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """`header_bytes` and `header_lines` for each header block; `decoded_bytes` in all; `delimiters` for each multipart;
    `rework` bytes looked at again for alternative readings, in multiples of the message's size, less if large."""

    depth: int = 50
    parts: int = 1000
    header_bytes: int = 256 << 10
    header_lines: int = 10_000
    decoded_bytes: int = 128 << 20
    delimiters: int = 20_000
    rework: int = 16


class Part(Struct, frozen=True):
    """One content that some client shows. `place` is a path such as `2.1`; an alternative reading carries a suffix
    (`2.1~base64`). `names` holds every reading of the file name, `name` the best. `data` is decoded. `span` is where
    its encoded bytes lie in the raw message. `is_strict`: part of the strict reading, read without ambiguity.
    `places` are all places with the same content; `is_own`: one is in the message itself, `is_forwarded`: one is inside
    an attached message. `enclosing` are the types of the multiparts around it, the outermost first."""

    place: str
    name: str
    names: tuple[str, ...]
    declared_type: str
    encoding: str
    data: bytes
    is_attachment: bool
    span: tuple[int, int]
    is_strict: bool
    places: tuple[str, ...] = ()
    is_own: bool = True
    is_forwarded: bool = False
    enclosing: tuple[str, ...] = ()


class Views(Struct, frozen=True):
    """`exceeded` names the limits hit, such as `depth`: what lies beyond was not parsed.
    `raw_spans` are the byte ranges of the message that the raw scan needs."""

    parts: tuple[Part, ...]
    defects: tuple[Defect, ...]
    exceeded: tuple[str, ...]
    raw_spans: tuple[tuple[int, int], ...]

    @property
    def is_ambiguous(self) -> bool:
        return bool(self.exceeded) or any(is_structural(defect.name) for defect in self.defects)


class Union:
    """Collects parts (each distinct content once), defects and exceeded limits of one message."""

    def __init__(self, size: int, limits: ParseLimits) -> None:
        self.limits = limits
        self._size = size
        self._parts: list[Part] = []
        self._by_length: dict[int, int] = {}
        self._by_content: dict[bytes, int] = {}
        self._taken: dict[str, int] = {}
        self._defects: dict[tuple[str, str], Defect] = {}
        self._exceeded: dict[str, None] = {}
        self._decoded = 0
        self._rework = min(limits.rework * size, max(_LARGE_REWORK, 3 * size)) + (4 << 20)
        self.is_ambiguous = False

    def defect(self, name: str, place: str, detail: str = "") -> None:
        if is_structural(name):
            self.is_ambiguous = True
        if len(self._defects) < _MAX_DEFECTS:
            self._defects.setdefault((name, place), Defect(name, place, detail))

    def defects(self, names: Iterable[str], place: str) -> None:
        for name in names:
            self.defect(name, place)

    def exceed(self, limit: str) -> None:
        self._exceeded[limit] = None

    def room(self) -> int:
        """Bytes that may still be decoded."""
        return max(0, self.limits.decoded_bytes - self._decoded)

    def charge(self, size: int) -> bool:
        """Take `size` bytes from the budget for alternative readings; False when it is used up."""
        self._rework -= size
        if self._rework < 0:
            self.exceed("readings")
            return False
        return True

    def add(self, part: Part) -> bool:
        """Keep the part unless its content is empty or known; False when it is not new."""
        if not part.data:
            return False
        known = self._find(part.data)
        if known is not None:
            self._join(known, part)
            return False
        if len(self._parts) >= self.limits.parts:
            self.exceed("parts")
            return False
        self._decoded += len(part.data)
        if self._decoded > self.limits.decoded_bytes:
            self.exceed("decoded-bytes")
            return False
        place = self._unique(part.place)
        self._parts.append(part if place == part.place else replace(part, place=place, places=(place,)))
        return True

    def _find(self, data: bytes) -> int | None:
        """The index of the part with this content. Contents are hashed only once two have the same length."""
        index = len(self._parts)
        first = self._by_length.setdefault(len(data), index)
        if first == index:
            return None
        if first >= 0:
            self._by_content[self._parts[first].data] = first
            self._by_length[len(data)] = -1
        found = self._by_content.setdefault(data, index)
        return None if found == index else found

    def _join(self, index: int, part: Part) -> None:
        """The same content once more: its names and places belong to the part that is there."""
        old = self._parts[index]
        names = old.names if part.names == old.names else tuple(dict.fromkeys(old.names + part.names))
        places = old.places if part.place in old.places or len(old.places) > 8 else (*old.places, part.place)
        is_own, is_forwarded = old.is_own or part.is_own, old.is_forwarded or part.is_forwarded
        if (
            names != old.names
            or places != old.places
            or part.is_attachment > old.is_attachment
            or (is_own, is_forwarded) != (old.is_own, old.is_forwarded)
        ):
            self._parts[index] = replace(
                old,
                name=old.name or part.name,
                names=names,
                places=places,
                is_attachment=old.is_attachment or part.is_attachment,
                is_own=is_own,
                is_forwarded=is_forwarded,
            )

    def _unique(self, place: str) -> str:
        count = self._taken[place] = self._taken.get(place, 0) + 1
        return place if count == 1 else f"{place}#{count}"

    def views(self) -> Views:
        return Views(tuple(self._parts), tuple(self._defects.values()), tuple(self._exceeded), self._raw_spans())

    def _raw_spans(self) -> tuple[tuple[int, int], ...]:
        """Everything less the large parts, where the whole message has one reading only."""
        spans: list[tuple[int, int]] = []
        start = 0
        if not self.is_ambiguous and not self._exceeded:
            for begin, end in sorted(p.span for p in self._parts if p.is_strict and is_large(p)):
                if begin >= start:
                    spans.append((start, begin))
                    start = end
        spans.append((start, self._size))
        return tuple(span for span in spans if span[0] < span[1])


def is_large(part: Part) -> bool:
    begin, end = part.span
    return end - begin > (LARGE_TEXT if part.declared_type.startswith("text/") else LARGE_PART)
