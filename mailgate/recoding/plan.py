"""Pure: which bytes of a message must change so that it is 7-bit, or its lines are short, and into what. Everything
else stays as it is, byte for byte.

What is signed is never touched: a multipart/signed that would have to change makes the message one that can't be
converted. So does everything that might be read in two ways. Header fields with raw 8-bit octets are left alone: RFC
6152 is about bodies only, and Postfix does the same."""

from __future__ import annotations

import asyncio
import codecs
import functools
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

from mailgate.recoding import entity
from mailgate.recoding.encoders import Base64, Encoder, Masked, QuotedPrintable, Written
from mailgate.recoding.entity import Entity, NotConvertibleError
from mailgate.recoding.lines import Lines, is_long

PIECE = 256 << 10
LONGEST_HEADER = 512 << 10  # bytes
MOST_PARTS = 10_000
DEEPEST = 32
_LONGEST_BROKEN = 1 << 20  # bytes of a quoted-printable part with faults
_MIME = b"MIME-Version: 1.0\r\n"
_REST_OF_DELIMITER = re.compile(rb"(--)?[ \t]*")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NO_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*(?:\r\n|\Z))")
_SIGNED = "it is signed, and the signature would break"

Steps = Generator[None, None, None]


@dataclass(frozen=True, slots=True)
class Source:
    """`read(offset, size)` gives so many bytes, `size` is how many there are."""

    size: int
    read: Callable[[int, int], bytes]

    def pieces(self, start: int = 0, end: int = -1) -> Iterator[bytes]:
        end = self.size if end < 0 else end
        for at in range(start, end, PIECE):
            yield self.read(at, min(PIECE, end - at))


@dataclass(frozen=True, slots=True)
class Aim:
    """What is to be reached: bodies without 8-bit octets, lines of no more than 998."""

    seven_bit: bool = False
    short_lines: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes from `start` to `end` go through a new encoder."""

    start: int
    end: int
    encoder: Callable[[], Encoder]


def planning(source: Source, aim: Aim) -> Generator[None, None, tuple[Edit, ...]]:
    """Comes back after each piece, so that others get their turn; returns the edits in their order, none where nothing
    has to change. NotConvertibleError; OSError where the bytes can't be read."""
    plan = _Plan(source, aim)
    yield from plan.message(0, source.size, 0)
    return tuple(plan.edits)


async def planned(source: Source, aim: Aim) -> tuple[Edit, ...]:
    """`planning`, the loop's other tasks in between."""
    steps = planning(source, aim)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            edits: tuple[Edit, ...] = done.value
            return edits
        await asyncio.sleep(0)


def recoded(pieces: Iterable[bytes], edits: Iterable[Edit]) -> Iterator[bytes]:
    """The message with the edits done, piece by piece."""
    waiting, at, encoder = deque(edits), 0, None
    for data in pieces:
        done = 0
        while done < len(data):
            edit = waiting[0] if waiting else None
            if edit is None or at + done < edit.start:
                until = len(data) if edit is None else min(len(data), edit.start - at)
                yield data[done:until]
                done = until
                continue
            encoder = encoder or edit.encoder()
            until = min(len(data), edit.end - at)
            text, done = encoder.feed(data[done:until]), until
            if at + done == edit.end:
                text += encoder.end()
                waiting.popleft()
                encoder = None
            if text:
                yield text
        at += len(data)


class _Plan:
    def __init__(self, source: Source, aim: Aim) -> None:
        self._source = source
        self._aim = aim
        self._entities = 0
        self._delimiters_seen = 0
        self.edits: list[Edit] = []

    def _must_change(self, start: int, end: int) -> Generator[None, None, bool]:
        lines = Lines()
        for data in self._source.pieces(start, end):
            if self._aim.seven_bit and not data.isascii():
                return True
            if self._aim.short_lines and lines.feed(data):
                return True
            yield
        return self._aim.short_lines and lines.end()

    def message(self, start: int, end: int, depth: int) -> Steps:
        yield from self._entity(start, end, depth, b"text/plain", is_message=True)

    def _entity(self, start: int, end: int, depth: int, default: bytes, is_message: bool = False) -> Steps:
        """With everything in it. `default`: its type where it names none (RFC 2046 section 5.1.5)."""
        if not (yield from self._must_change(start, end)):
            return
        self._entities += 1
        if depth > DEEPEST or self._entities > MOST_PARTS:
            raise NotConvertibleError("it has too many parts")
        section, has_body = self._section(start, end)
        found = entity.read(section, start)
        fold = self._aim.short_lines and is_long([section])
        if not has_body:
            if fold:
                self._write(found, end, found.written(fold).removesuffix(b"\r\n"))
            return
        if not (yield from self._must_change(found.body, end)):
            if fold:
                self._write(found, found.body, found.written(fold))
            return
        kind = found.kind or default
        if kind == b"multipart/signed":
            raise NotConvertibleError(_SIGNED)
        if kind.startswith((b"multipart/", b"message/")):
            yield from self._composite(found, kind, end, depth, fold, is_message)
        else:
            yield from self._leaf(found, end, fold, is_message)

    def _section(self, start: int, end: int) -> tuple[bytes, bool]:
        """The header with its empty line, which is added where there is none: then there is no body either."""
        head = b""
        for data in self._source.pieces(start, end):
            searched = max(0, len(head) - 3)
            head += data
            if head.startswith(b"\r\n"):
                return b"\r\n", True
            found = head.find(b"\r\n\r\n", searched)
            if (found if found >= 0 else len(head)) > LONGEST_HEADER:
                raise NotConvertibleError("a header of it has no end, or is too large")
            if found >= 0:
                return head[: found + 4], True
        return head.removesuffix(b"\r\n") + b"\r\n\r\n", False

    def _write(self, found: Entity, until: int, text: bytes) -> None:
        self.edits.append(Edit(found.start, until, functools.partial(Written, text)))

    def _composite(self, found: Entity, kind: bytes, end: int, depth: int, fold: bool, is_message: bool) -> Steps:
        if not found.is_identity:
            raise NotConvertibleError(
                "a multipart or message inside of it has a transfer encoding, which none may have"
            )
        encoding = b"7bit" if self._aim.seven_bit and found.encoding not in (b"", b"7bit") else b""
        add = _MIME if is_message and not found.is_mime else b""
        if encoding or fold or add:
            self._write(found, found.body, found.written(fold, encoding, add))
        if kind == b"message/rfc822":
            yield from self.message(found.body, end, depth + 1)
        elif kind.startswith(b"multipart/"):
            yield from self._parts(found, end, depth, b"message/rfc822" if kind == b"multipart/digest" else b"")
        else:
            raise NotConvertibleError(f"a part of it is {kind[:60].decode()}, which must be 7-bit as it is")

    def _parts(self, found: Entity, end: int, depth: int, default: bytes) -> Steps:
        """Everything between the delimiters; what stands in front of the first and behind the last one no mail program
        shows."""
        if not found.boundary:
            raise NotConvertibleError("a multipart of it does not say clearly where its parts begin")
        at, is_part = found.body, False
        for delimiter in self._delimiters(found.body, end, found.boundary):
            if delimiter is None:
                yield
                continue
            self._delimiters_seen += 1
            if self._delimiters_seen > MOST_PARTS:
                raise NotConvertibleError("it has too many parts")
            line, after, is_last = delimiter
            if is_last and not is_part:
                raise NotConvertibleError("a multipart of it has no parts")
            if is_part:
                yield from self._entity(at, line, depth + 1, default or b"text/plain")
            else:
                yield from self._around(at, line)
            at, is_part = min(after, end), True
            if is_last:
                yield from self._around(at, end)
                return
        if not is_part:
            raise NotConvertibleError("a multipart of it has no parts")
        if (yield from self._must_change(at, end)):
            raise NotConvertibleError("a multipart of it has no end")  # is the last line end of the part or not?

    def _around(self, start: int, end: int) -> Steps:
        if not (yield from self._must_change(start, end)):
            return
        if self._aim.short_lines and is_long(self._source.pieces(start, end)):
            raise NotConvertibleError("the text around its parts has too long a line")
        self.edits.append(Edit(start, end, Masked))

    def _delimiters(self, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int, bool] | None]:
        """(where the CR LF in front of it begins, where the next line begins, is it the closing one?) of each line that
        is one (RFC 2046 section 5.1.1), as far as the closing one; None after each piece."""
        mark, text, base = b"\r\n--" + boundary, b"\r\n", start - 2
        for data in self._source.pieces(start, end):
            text += data
            is_end = base + len(text) == end
            at = text.find(mark)
            while at >= 0:
                until = text.find(b"\r\n", at + 2)
                if until < 0 and not is_end and len(text) - at < PIECE:
                    break
                line = text[at + len(mark) : until if until >= 0 else len(text)]
                match = _REST_OF_DELIMITER.fullmatch(line)
                if match is not None:
                    yield max(base + at, start), base + (until + 2 if until >= 0 else len(text)), bool(match[1])
                    if match[1]:
                        return
                at = text.find(mark, at + 2)
            kept = at if at >= 0 else max(0, len(text) - len(mark))
            base, text = base + kept, text[kept:]
            yield None

    def _leaf(self, found: Entity, end: int, fold: bool, is_message: bool) -> Steps:
        encoding = b"base64" if found.main != b"text" else b"quoted-printable"
        encoder: Callable[[], Encoder] = Base64 if found.main != b"text" else QuotedPrintable
        if not found.is_identity:
            encoder = self._again(found, end)
            encoding = b""
        add = b""
        if is_message and not found.is_mime:
            add = _MIME + ((yield from self._type(found.body, end)) if not found.is_typed else b"")
        if encoding or fold or add:
            self._write(found, found.body, found.written(fold, encoding, add))
        self.edits.append(Edit(found.body, end, encoder))

    def _again(self, found: Entity, end: int) -> Callable[[], Encoder]:
        """What is encoded already, but with octets or lines that no encoding has."""
        fault = "a part of it is not encoded as it says it is"
        if found.encoding == b"quoted-printable" and end - found.body <= _LONGEST_BROKEN:
            if _NO_ESCAPE.search(b"".join(self._source.pieces(found.body, end))) is None:
                return functools.partial(QuotedPrintable, is_encoded=True)
        elif found.encoding == b"base64":
            has_ended, size = False, 0
            for data in self._source.pieces(found.body, end):
                text = data.translate(None, b" \t\r\n")
                letters = text.rstrip(b"=")
                if letters.translate(None, _BASE64) or (has_ended and letters):
                    raise NotConvertibleError(fault)
                has_ended, size = has_ended or len(letters) < len(text), size + len(text)
            if size % 4:
                raise NotConvertibleError(fault)
            return functools.partial(Base64, is_encoded=True)
        raise NotConvertibleError(fault)

    def _type(self, start: int, end: int) -> Generator[None, None, bytes]:
        """The Content-Type of a message from before MIME (RFC 1428 section 3 has the name for what nobody knows)."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        is_ascii = True
        try:
            for data in self._source.pieces(start, end):
                is_ascii = is_ascii and data.isascii()
                decoder.decode(data)
                yield
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return b"Content-Type: text/plain; charset=unknown-8bit\r\n"
        return b"" if is_ascii else b"Content-Type: text/plain; charset=utf-8\r\n"
