"""The walk over one message: every entity in every reading, gathered in one union."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mailgate.inspect.elsewhere import lies_elsewhere
from mailgate.inspect.embedded import in_plain_charset, is_texty
from mailgate.inspect.encapsulated import looks_like_message, web_archive
from mailgate.inspect.encodings import IDENTITY, Reading, decode, regular_base64
from mailgate.inspect.headers import Header, leading_junk, one_kind_of_line_end, read_header
from mailgate.inspect.inner_files import InnerFile, wrapped_files, written_files
from mailgate.inspect.meaning import Meaning, lacks_mime_version, read_meaning
from mailgate.inspect.members import Budget, LimitExceededError
from mailgate.inspect.multipart import (
    Division,
    boundaries,
    divide,
    first_dashed_lines,
    guess_boundaries,
    is_usual_preamble,
)
from mailgate.inspect.parameters import Structured
from mailgate.inspect.parts import ParseLimits, Union
from mailgate.inspect.places import At, Text, found_at
from mailgate.inspect.textfiles import files_in_text

_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/global-headers", "message/disposition-notification"})
_MAX_PACKETS = 100_000  # of OpenPGP, in all


class Walk:
    """State of one parse: the union and what was already seen."""

    def __init__(self, raw: bytes, limits: ParseLimits) -> None:
        self.limits = limits
        self.union = Union(len(raw), limits)
        self._seen: dict[tuple[int, int, int, str, bool], Text] = {}
        self._budget = Budget(members=_MAX_PACKETS, data=limits.decoded_bytes)

    def entity(self, text: Text, start: int, end: int, at: At) -> None:
        """One entity: header and body, in every reading."""
        if not self._enter(text, start, end, at):
            return
        begins = [start]
        if at.is_message:
            begin, junk = leading_junk(text.data, start, end)
            if junk:
                self.union.defect(junk, at.leaf_place)
                begins = [begin, start]
        for begin in begins:
            header = read_header(text.data, begin, end, self.limits)
            self._header(text, header, end, at.read(at.is_strict and len(begins) == 1))
            if "bare-cr" in header.defects and self.union.charge(end - start):
                header = read_header(text.data, begin, end, self.limits, cr_ends_line=False)
                self._header(text, header, end, at.loosely())
        if at.is_message and (start, end) == (0, len(text.data)):
            self._normalised(text, at)

    def _header(self, text: Text, header: Header, end: int, at: At) -> None:
        self.union.defects(header.defects, at.leaf_place)
        if header.is_truncated:
            self.union.exceed("header")
        for number, body_start in enumerate(header.body_starts):
            is_strict = at.is_strict and number == 0 and header.is_certain
            self._reading(text, header, body_start, end, at.read(is_strict))

    def _normalised(self, text: Text, at: At) -> None:
        """A whole message once more as clients store it that drop NUL, or make every kind of line end the same."""
        others = [("no-nul", text.data.replace(b"\0", b""))]
        if self.union.is_ambiguous:  # as every message is whose headers or delimiters have an odd line end
            others.append(("line-ends", one_kind_of_line_end(text.data)))
        for suffix, data in others:
            if data is not text.data and self.union.charge(len(data)):
                self.entity(Text(data, text.origin(0, len(text.data))), 0, len(data), at.loosely(suffix))

    def _enter(self, text: Text, start: int, end: int, at: At) -> bool:
        key = (id(text.data), start, end, at.default_type, at.is_message)
        if key in self._seen or (not at.is_strict and not self.union.charge(end - start)):
            return False
        self._seen[key] = text
        if at.depth > self.limits.depth:
            self.union.exceed("depth")
            self._add(text.data[start:end], text.origin(start, end), at.loosely(), "")
            return False
        if len(self._seen) > 4 * self.limits.parts:
            self.union.exceed("parts")
            return False
        return True

    def _reading(self, text: Text, header: Header, body_start: int, end: int, at: At) -> None:
        meaning = read_meaning(header, body_start, at.default_type)
        self.union.defects(meaning.defects, at.leaf_place)
        if at.is_message and not at.depth and lacks_mime_version(header, body_start):
            self.union.defect("missing-mime-version", at.leaf_place)
        at = at.read(at.is_strict and meaning.is_clear)
        done: set[str] = set()
        for content_type, field in meaning.types:
            if content_type.startswith("multipart/"):
                self._multipart(text, body_start, end, content_type, field, meaning, at)
            elif content_type in _MESSAGE_TYPES and "message" not in done:
                done.add("message")
                self._message(text, body_start, end, meaning, at)
            elif "leaf" not in done:
                done.add("leaf")
                self._leaf(text, body_start, end, content_type, meaning, at)
        if not at.is_strict and "leaf" not in done:
            self._leaf(text, body_start, end, meaning.types[0][0], meaning, at)

    def _message(self, text: Text, start: int, end: int, meaning: Meaning, at: At) -> None:
        inner = at.attached()
        self.entity(text, start, end, inner)
        for name, inner_text in self._decoded(text, start, end, meaning, at):
            self.entity(inner_text, 0, len(inner_text.data), inner.loosely(name))

    def _decoded(self, text: Text, start: int, end: int, meaning: Meaning, at: At) -> Iterable[tuple[str, Text]]:
        """The body of a composite type decoded by an encoding it must not have (RFC 2045 section 6.4)."""
        for encoding in meaning.encodings:
            if encoding in IDENTITY:
                continue
            self.union.defect("composite-encoding", at.leaf_place, encoding.rstrip("?"))
            if not self.union.charge(end - start):
                return
            for name, data in decode(encoding, text.data[start:end])[0]:
                yield f"{encoding.rstrip('?')}{name and '-' + name}", Text(data, text.origin(start, end))

    def _multipart(
        self, text: Text, start: int, end: int, content_type: str, field: Structured, meaning: Meaning, at: At
    ) -> None:
        """The parts of a multipart, by each boundary that occurs; where none does the body is a leaf."""
        default = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
        at = at.within(content_type)
        candidates = boundaries(field)
        if not candidates or not candidates[0]:
            self.union.defect("boundary-missing", at.leaf_place)
        if len(field.readings(b"boundary")) > 1 or field.extended(b"boundary"):
            self.union.defect("ambiguous-boundary", at.leaf_place)
        found = self._divided(text, start, end, candidates, default, at)
        for name, inner in self._decoded(text, start, end, meaning, at):
            self._divided(inner, 0, len(inner.data), candidates, default, at.loosely(name))
        if not found:
            self._divided(text, start, end, first_dashed_lines(text.data, start, end), default, at.loosely("guess"))
        if not found.intersection(candidates[:1]):
            if candidates and candidates[0]:
                self.union.defect("boundary-not-found", at.leaf_place)
            self._leaf(text, start, end, content_type, meaning, at.loosely())

    def _divided(
        self, text: Text, start: int, end: int, candidates: Iterable[bytes], default: str, at: At
    ) -> set[bytes]:
        """Walk the parts for each candidate that occurs in the text; the boundaries with exact delimiter lines."""
        seen: set[tuple[int, int]] = set()
        found: set[bytes] = set()
        for boundary in candidates:
            if seen and not self.union.charge(end - start):
                break
            division = divide(text.data, start, end, boundary, self.limits.delimiters)
            if division is None:
                continue
            if division.is_cut:
                self.union.exceed("delimiters")
            if seen and not seen.issuperset(division.strict):
                self.union.defect("ambiguous-boundary", at.leaf_place)
                at = at.loosely("boundary")
            seen.update(division.strict)
            if division.strict:
                found.add(boundary)
            self._parts(text, division, default, at)
        return found

    def _parts(self, text: Text, division: Division, default: str, at: At) -> None:
        self.union.defects(division.defects, at.leaf_place)
        is_strict = at.is_strict and not division.lenient
        for number, (start, end) in enumerate(division.strict, 1):
            self.entity(text, start, end, at.child(number, default).read(is_strict))
        for number, (start, end) in enumerate(division.lenient, 1):
            self.entity(text, start, end, at.child(number, default).loosely("delimiter"))
        if not division.strict or not is_usual_preamble(text.data, *division.preamble):
            self._margin(text, *division.preamble, at.loosely("preamble"))
        self._margin(text, *division.epilogue, at.loosely("epilogue"))

    def _margin(self, text: Text, start: int, end: int, at: At) -> None:
        """Preamble or epilogue: nothing to see for most clients, a part or a file for some."""
        data = text.data[start:end]
        if not data.strip() or not self.union.charge(len(data)):
            return
        if looks_like_message(data) or guess_boundaries(data, 0, len(data)) or any(True for _ in files_in_text(data)):
            self.union.defect("preamble-content", at.place)
        self._add(data, text.origin(start, end), at, "text/plain")

    def _leaf(self, text: Text, start: int, end: int, content_type: str, meaning: Meaning, at: At) -> None:
        """One leaf in every encoding it may have."""
        elsewhere = lies_elsewhere(content_type, at.enclosing[-1] if at.enclosing else "")
        if elsewhere:
            self.union.defect(elsewhere, at.leaf_place)
        origin = text.origin(start, end)
        at = at.leaf()
        if at.is_strict and meaning.encodings == ("base64",):
            regular = regular_base64(text.data, start, end)
            if regular is not None:
                self._add(regular, origin, at, content_type, meaning, "base64")
                return
        raw = text.data[start:end]
        for number, encoding in enumerate(meaning.encodings):
            if number and not self.union.charge(len(raw)):
                break
            readings, defects = decode(encoding, raw)
            self.union.defects(defects, at.place)
            self._add_readings(
                readings, encoding, origin, content_type, meaning, at if not number else at.loosely(encoding)
            )
        if not at.is_strict:
            self._add(raw, origin, at.loosely("raw"), content_type, meaning)
        if len(meaning.encodings) > 2 or (len(meaning.encodings) == 2 and not IDENTITY & set(meaning.encodings)):
            for order in (meaning.encodings, meaning.encodings[::-1]):
                self._add(_chain(order, raw), origin, at.loosely("chain"), content_type, meaning)

    def _add_readings(
        self,
        readings: list[Reading],
        encoding: str,
        origin: tuple[int, int],
        content_type: str,
        meaning: Meaning,
        at: At,
    ) -> None:
        is_strict = at.is_strict and len(readings) == 1
        for name, data in readings:
            where = at.loosely(name) if name else at.read(is_strict)
            self._add(data, origin, where, content_type, meaning, encoding.rstrip("?"))

    def _add(
        self,
        data: bytes,
        origin: tuple[int, int],
        at: At,
        content_type: str,
        meaning: Meaning | None = None,
        encoding: str = "",
        name: str = "",
    ) -> None:
        """Add one content to the union and look inside it."""
        part = found_at(at, data, origin, content_type, meaning, encoding, name)
        if self.union.add(part):
            self._inside(data, origin, at.deeper(), content_type, meaning)

    def _inside(self, data: bytes, origin: tuple[int, int], at: At, content_type: str, meaning: Meaning | None) -> None:
        """What clients find inside a leaf: messages, parts, wrapped files, files written as text."""
        if at.depth > self.limits.depth:
            self.union.exceed("depth")
            return
        self._inner_files(wrapped_files(data, self._expansion()), origin, at)
        begin = 0 if looks_like_message(data) else -1 if is_texty(data) else web_archive(data)
        if begin >= 0:
            if content_type not in _HEADER_TYPES:
                self.union.defect("embedded-message", at.place)
            inner = replace(at.loosely("message"), is_message=True, enclosing=(), is_attached=True)
            self.entity(Text(data, origin), begin, len(data), inner)
        charsets = meaning.charsets if meaning and content_type.startswith("text/") else ()
        for content in in_plain_charset(data, charsets):
            self.union.defect("charset-unusual", at.place)
            self._add(content, origin, at.loosely("utf8"), content_type, name=meaning.name if meaning else "")
        if is_texty(data):
            self._inside_text(data, origin, at, meaning.name if meaning else "")

    def _expansion(self) -> Budget:
        """What wrapped files may still expand to, whether that becomes a part or not."""
        self._budget.data = min(self._budget.data, self.union.room())
        return self._budget

    def _inside_text(self, data: bytes, origin: tuple[int, int], at: At, name: str) -> None:
        guesses = guess_boundaries(data, 0, len(data))
        if guesses:
            self.union.defect("embedded-mime", at.place)
            self._divided(Text(data, origin), 0, len(data), guesses, "text/plain", at.loosely("mime"))
        self._inner_files(written_files(data, self._expansion()), origin, at, name)

    def _inner_files(self, files: Iterable[InnerFile], origin: tuple[int, int], at: At, outer_name: str = "") -> None:
        """What is the text itself in another form, and no defect, has the name of the text."""
        try:
            for file in files:
                if file.defect:
                    self.union.defect(file.defect, at.place, file.detail)
                where = at.loosely(file.suffix)
                name = file.name or (outer_name if not file.defect else "")
                self._add(file.content, origin, where, "application/octet-stream", name=name)
        except LimitExceededError:
            self.union.exceed("decoded-bytes")


def _chain(order: Iterable[str], data: bytes) -> bytes:
    """`data` decoded by one encoding after the other."""
    for encoding in order:
        readings, _ = decode(encoding, data)
        data = readings[0][1] if readings else data
    return data
