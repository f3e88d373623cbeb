"""Where the parts of a multipart begin and end (RFC 2046 section 5.1.1), for strict and for lenient clients."""

from __future__ import annotations

import enum
import re
from urllib.parse import unquote_to_bytes

from msgspec import Struct
from msgspec.structs import replace

from mailgate.inspect.parameters import Structured, decode_words

_TAIL = re.compile(rb"(--)?([^\r\n]{0,1000})(\r\n|\n|\r|\Z)?")
_LINE_END = re.compile(rb"\r\n|\n|\r|\Z")
_INDENT = re.compile(rb"(?:^|(?<=[\r\n]))[ \t]{1,200}\Z")
_GUESS_HEAD = rb"([^\r\n]{0,998})(?:\r\n|\n|\r)[ \t]*content-[a-z-]{3,40}[ \t]*:"
_GUESSES = (
    re.compile(rb"--(?<=[\r\n]--)" + _GUESS_HEAD, re.I),
    re.compile(rb"\A[ \t]*--" + _GUESS_HEAD, re.I),
    re.compile(rb"[\r\n][ \t]{1,16}--" + _GUESS_HEAD, re.I),
)
_DASHED_LINE = re.compile(rb"(?:^|(?<=[\r\n]))[ \t]*+--([^\r\n]++)")
_LONGEST_DASHED = 1000  # bytes
_NOTE = re.compile(rb"(?:(?!begin)[A-Za-z0-9 ,.'()/\r\n-])*", re.I)  # no uuencoded, yEnc or BinHex file, no header
_MAX_BOUNDARIES = 16
_MAX_GUESSES = 8
_FEW_DASHES = 32  # more than the header of a part has


class Leniency(enum.Flag):
    """What a client must overlook to take a line for a delimiter."""

    NONE = 0
    PREFIX = enum.auto()
    INDENTED = enum.auto()
    BARE_CR = enum.auto()
    BARE_LF = enum.auto()
    AFTER_CLOSE = enum.auto()


_DEFECTS = {
    Leniency.PREFIX: "boundary-prefix",
    Leniency.INDENTED: "delimiter-indented",
    Leniency.BARE_CR: "bare-cr",
    Leniency.BARE_LF: "bare-lf",
    Leniency.AFTER_CLOSE: "boundary-in-epilogue",
}


class Delimiter(Struct, frozen=True):
    """`content_end`: where the part in front of it ends; `start` and `end` of the line, line end included."""

    content_end: int
    start: int
    end: int
    is_close: bool
    leniency: Leniency


class Division(Struct, frozen=True):
    """The parts of one multipart. `strict`: the parts of the strict reading; `lenient`: those that only others see.
    `preamble` and `epilogue` are spans of the strict reading."""

    strict: tuple[tuple[int, int], ...]
    lenient: tuple[tuple[int, int], ...]
    preamble: tuple[int, int]
    epilogue: tuple[int, int]
    defects: frozenset[str]
    is_cut: bool = False


def boundaries(field: Structured) -> tuple[bytes, ...]:
    """Every boundary the parameter may mean, the strict one first."""
    found: dict[bytes, None] = {}
    readings = field.readings(b"boundary")
    for value in readings:
        found[value] = None
    found.update(dict.fromkeys(value for key, value in field.parameters if key.endswith(b"boundary")))
    for value in readings:
        found.setdefault(value.strip(b" \t"))
        if b"%" in value:
            found.setdefault(unquote_to_bytes(value))
        if b"=?" in value:
            found.setdefault(decode_words(value))
        if len(value) > 70:
            found.setdefault(value[:70])
    return tuple(found)[:_MAX_BOUNDARIES]


def divide(data: bytes, start: int, end: int, boundary: bytes, limit: int) -> Division | None:
    """The parts between delimiter lines of `boundary`; None where there is none. At most `limit` delimiters count."""
    delimiters, is_cut = _delimiters(data, start, end, boundary, limit)
    if not delimiters:
        return None
    exact = [d for d in delimiters if d.leniency in (Leniency.NONE, Leniency.BARE_LF)]
    close = next((n for n, d in enumerate(exact) if d.is_close), None)
    until_close = exact if close is None else exact[: close + 1]
    strict = _between(until_close, end)
    seen = Leniency.NONE
    for delimiter in delimiters:
        if delimiter.leniency is not Leniency.NONE:
            seen |= delimiter.leniency
    if close is not None and close + 1 < len(exact):
        seen |= Leniency.AFTER_CLOSE
    defects = {"missing-close-delimiter"} if close is None else set[str]()
    lenient: tuple[tuple[int, int], ...] = ()
    if seen is not Leniency.NONE:
        known = set(strict)
        lenient = tuple(span for span in _lenient(delimiters, end, seen) if span not in known)
        defects |= {name for flag, name in _DEFECTS.items() if flag & seen}
    return Division(
        strict=tuple(strict),
        lenient=lenient,
        preamble=(start, (exact or delimiters)[0].content_end),
        epilogue=(end if close is None else exact[close].end, end),
        defects=frozenset(defects),
        is_cut=is_cut,
    )


def _lenient(delimiters: list[Delimiter], end: int, seen: Leniency) -> dict[tuple[int, int], None]:
    """The parts that a client finds which overlooks one thing of those `seen`, or all."""
    found: dict[tuple[int, int], None] = {}
    for flag in (*Leniency, ~Leniency.NONE):
        if flag & seen:
            allowed = flag | Leniency.BARE_LF if flag is not Leniency.BARE_LF else Leniency.NONE
            chosen = [_opening(d, flag & seen) for d in delimiters if not d.leniency & ~allowed]
            found.update(dict.fromkeys(_between(chosen, end)))
    return found


def _opening(delimiter: Delimiter, overlooked: Leniency) -> Delimiter:
    """A line that goes on behind `--boundary--` opens a part for clients that compare the beginning of lines; each line
    does for those that cut at the boundary, as PHP's Mail_mimeDecode."""
    is_cut_at = Leniency.PREFIX in delimiter.leniency or Leniency.AFTER_CLOSE in overlooked
    return replace(delimiter, is_close=False) if delimiter.is_close and is_cut_at else delimiter


def _between(delimiters: list[Delimiter], end: int) -> list[tuple[int, int]]:
    """The spans behind each delimiter that does not close, up to the next one or the end."""
    ends = [*(d.content_end for d in delimiters[1:]), end]
    spans = [(d.end, until) for d, until in zip(delimiters, ends, strict=False) if not d.is_close]
    return [span for span in spans if span[0] < span[1]]


def _delimiters(data: bytes, start: int, end: int, boundary: bytes, limit: int) -> tuple[list[Delimiter], bool]:
    dashed = b"--" + boundary
    found: list[Delimiter] = []
    uses_crlf = data.find(b"\r\n", start, min(end, start + 2000)) >= 0
    position, looked_at = start, 0
    while (at := _find_dashed(data, dashed, position, end)) >= 0:
        looked_at += 1
        if looked_at > limit:
            return found, True
        delimiter = _delimiter(data, start, end, at, at + len(dashed), uses_crlf)
        if delimiter is None:
            position = at + len(dashed)
        else:
            found.append(delimiter)
            position = delimiter.end
    return found, False


def _find_dashed(data: bytes, dashed: bytes, start: int, end: int) -> int:
    """`data.find(dashed, start, end)`, where single bytes are found at the speed of memory and base64 has no dash."""
    for _ in range(_FEW_DASHES):
        at = data.find(b"-", start, end)
        if at < 0 or data.startswith(dashed, at, end):
            return at
        start = at + 1
    return data.find(dashed, start, end)


def _delimiter(data: bytes, start: int, end: int, at: int, after: int, uses_crlf: bool) -> Delimiter | None:
    """The delimiter line with its dashes at `at`, boundary up to `after`; None where no line begins there."""
    leniency = Leniency.NONE
    line_start = at
    if at > start and data[at - 1] not in b"\r\n":
        indent = _INDENT.search(data, max(start, at - 200), at)
        if indent is None or (indent.start() != start and data[indent.start() - 1] not in b"\r\n"):
            return None
        line_start, leniency = indent.start(), Leniency.INDENTED
    content_end = line_start
    if line_start > start:
        if data[line_start - 1 : line_start] == b"\r":
            leniency |= Leniency.BARE_CR
            content_end -= 1
        elif data[line_start - 2 : line_start] == b"\r\n" and line_start - 2 >= start:
            content_end -= 2
        else:
            leniency |= Leniency.BARE_LF if uses_crlf else Leniency.NONE
            content_end -= 1
    tail = _TAIL.match(data, after, end)
    assert tail is not None
    if tail[2].strip(b" \t"):
        leniency |= Leniency.PREFIX
    line_end = tail.end() if tail[3] is not None else _LINE_END.search(data, tail.end(), end).end()  # type: ignore[union-attr]
    return Delimiter(content_end, line_start, line_end, tail[1] is not None, leniency)


def first_dashed_lines(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    """What clients take for the boundary of a multipart that declares none that occurs: its first lines with dashes."""
    found: dict[bytes, None] = {}
    for match in _DASHED_LINE.finditer(data, start, end):
        line = match[1].rstrip(b" \t") or match[1][:1]
        line = line.removesuffix(b"--") if len(line) > 2 else line
        if len(line) > _LONGEST_DASHED:
            continue
        found.setdefault(line)
        if len(found) >= _MAX_GUESSES:
            break
    return tuple(found)


def guess_boundaries(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    """Boundaries that lines in front of part headers suggest, whatever the header of the multipart says."""
    text = data if (start, end) == (0, len(data)) else data[start:end]
    if _find_dashed(text, b"--", 0, len(text)) < 0:
        return ()
    found: dict[bytes, None] = {}
    has_indented = b" --" in text or b"\t--" in text
    for pattern in _GUESSES if has_indented else _GUESSES[:2]:
        for match in pattern.finditer(text):
            line = match[1].rstrip(b" \t")
            found.setdefault(line.removesuffix(b"--") if len(line) > 2 else line)
            if len(found) >= _MAX_GUESSES:
                return tuple(found)
    return tuple(found)


def is_usual_preamble(data: bytes, start: int, end: int) -> bool:
    """The note for programs without MIME that most mail has, such as "This is a multi-part message in MIME format."."""
    return end - start < 200 and data.find(b"MIME", start, end) >= 0 and _NOTE.fullmatch(data, start, end) is not None
