"""Structured field values such as Content-Type (RFC 2045 section 5.1, RFC 2231): the strict reading, and all others."""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from msgspec import Struct

_TOKEN = rb"[^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]+"
_MAIN = re.compile(rb"\s*(" + _TOKEN + rb"(?:/" + _TOKEN + rb")?)\s*")
_STRICT = re.compile(rb";\s*(?:(" + _TOKEN + rb")\s*=\s*(?:\"([^\"\\]*(?:\\.[^\"\\]*)*)\"|([^\s;\"(),]+))\s*)?", re.S)
_DOUBTFUL = re.compile(rb"[(\\\0]|=\?|=\s*'|[^;\s]\s*\r\n")
_DOUBTFUL_BESIDE_WORDS = re.compile(rb"[(\\\0]|=\s*'")
_NAMES = (b"name", b"filename")
_FOLD = re.compile(rb"\r\n[ \t]+")
_BOUNDARY = re.compile(rb"boundary[*0-9]*[ \t]*=", re.I)
_LENIENT = re.compile(rb"(?<![A-Za-z0-9_*-])([A-Za-z][A-Za-z0-9_-]*(?:\*[0-9]*\*?)?)\s*=\s*")
_QUOTED = re.compile(rb"\"([^\"\\]*(?:\\.[^\"\\]*)*)(\"\s*(?:;|\Z))?", re.S)
_UNESCAPE = re.compile(rb"\\(.)", re.S)
_COMMENT_MARK = re.compile(rb"[()\"\\]")
_TAIL = 8 << 10  # longest parameter value that is read leniently
_MAX_LENIENT = 64
_MAX_READINGS = 16


class Structured(Struct, frozen=True):
    """`mains`: readings of what stands in front of the first semicolon, in lower case, the strict one first.
    `parameters`: in order of appearance, names in lower case, every reading a value of its own.
    `is_clean`: the value follows the grammar and has one reading."""

    mains: tuple[bytes, ...]
    parameters: tuple[tuple[bytes, bytes], ...]
    is_clean: bool

    def readings(self, name: bytes) -> tuple[bytes, ...]:
        """All values of one parameter, plain ones first, then RFC 2231 values percent-decoded."""
        plain = [value for key, value in self.parameters if key == name]
        return tuple(dict.fromkeys(plain + [value for value, _ in self.extended(name)]))[:_MAX_READINGS]

    def extended(self, name: bytes) -> list[tuple[bytes, bytes]]:
        """Values given as `name*`, `name*0`, `name*0*` …: (decoded bytes, charset)."""
        sections = [(key[len(name) :], value) for key, value in self.parameters if key.startswith(name + b"*")]
        if not sections:
            return []
        whole = [_decode_extended([(True, value)]) for mark, value in sections if mark == b"*"]
        numbered = [(mark, value) for mark, value in sections if mark[1:].strip(b"*").isdigit()]
        return whole + [_decode_extended(order) for order in _orders(numbered)]


def _orders(numbered: list[tuple[bytes, bytes]]) -> Iterator[list[tuple[bool, bytes]]]:
    """The continuations put together: by number (first or last of duplicates), in order of appearance."""
    if not numbered:
        return
    first: dict[int, tuple[bool, bytes]] = {}
    last: dict[int, tuple[bool, bytes]] = {}
    for mark, value in numbered:
        number = int(mark[1:].strip(b"*")[:6])
        section = (mark.endswith(b"*"), value)
        first.setdefault(number, section)
        last[number] = section
    yield [first[number] for number in sorted(first)]
    gap = next((number for number in range(len(first) + 1) if number not in first), 0)
    if 0 < gap < len(first):
        yield [first[number] for number in range(gap)]
    yield [last[number] for number in sorted(last)]
    yield [(mark.endswith(b"*"), value) for mark, value in numbered]


def _decode_extended(sections: list[tuple[bool, bytes]]) -> tuple[bytes, bytes]:
    charset = b""
    text: list[bytes] = []
    for number, (is_encoded, value) in enumerate(sections):
        if is_encoded:
            if number == 0 and value.count(b"'") >= 2:
                charset, _, value = value.split(b"'", 2)  # noqa: PLW2901
            value = unquote_to_bytes(value)  # noqa: PLW2901
        text.append(value)
    return b"".join(text), charset.lower()


def parse_structured(value: bytes) -> Structured:
    """Every reading of a Content-Type or Content-Disposition value (folds still in it as CRLF)."""
    unfolded = value.replace(b"\r\n", b"").replace(b"\0", b"")
    has_comment = b"(" in unfolded
    main, parameters, is_complete = _strict(strip_comments(unfolded) if has_comment else unfolded)
    is_hiding = len(_BOUNDARY.findall(unfolded)) != sum(key.startswith(b"boundary") for key, _ in parameters)
    if is_complete and not is_hiding and not _DOUBTFUL.search(value):
        return Structured((main,), tuple(parameters), is_clean=True)
    mains = dict.fromkeys([main, *_lenient_mains(unfolded)] if main else _lenient_mains(unfolded))
    lenient = list(_lenient(unfolded))
    if b"=?" in unfolded:
        lenient += _lenient(decode_words(unfolded))
    if b"\r\n" in value:
        lenient += _lenient(_FOLD.sub(b"", value))
    if b"\0" in value:
        lenient += [(key, item.split(b"\0", 1)[0]) for key, item in _lenient(value)]
    merged = tuple(dict.fromkeys(parameters + lenient))
    is_same = is_complete and set(merged) == set(parameters) and b"\0" not in value
    if is_complete and not is_hiding and b"=?" in unfolded and _are_words_in_names(value, unfolded, main, parameters):
        decoded = [item for item in merged if b"=?" not in item[1]]  # names for those who decode before all else
        return Structured((main,), tuple(dict.fromkeys(parameters + decoded)), is_clean=True)
    return Structured(tuple(mains), merged, is_clean=is_same and len(mains) == 1)


def _are_words_in_names(value: bytes, unfolded: bytes, main: bytes, parameters: list[tuple[bytes, bytes]]) -> bool:
    """Encoded words in quoted file names, as most programs write them: one reading, as long as those who decode the
    words before they look for parameters find the same parameters."""
    if _DOUBTFUL_BESIDE_WORDS.search(value):
        return False
    keys = [key for key, _ in parameters]
    first, second = (_strict(_words_in_utf8(each)) for each in (unfolded, _FOLD.sub(b"", value)))
    same = [item for item in parameters if item[0] not in _NAMES]
    return (
        first == second
        and first[2]
        and first[0] == main
        and [key for key, _ in first[1]] == keys
        and len(set(keys)) == len(keys)
        and [item for item in first[1] if item[0] not in _NAMES] == same
    )


def _strict(value: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bool]:
    """Main value, parameters, and whether the grammar was followed to the end."""
    match = _MAIN.match(value)
    if match is None:
        return b"", [], False
    main = match[1].lower()
    position = match.end()
    parameters: list[tuple[bytes, bytes]] = []
    while (match := _STRICT.match(value, position)) is not None:
        position = match.end()
        if match[1]:
            item = match[3] if match[2] is None else _unescaped(match[2])
            parameters.append((match[1].lower(), item))
    return main, parameters, position == len(value)


def _unescaped(text: bytes) -> bytes:
    return _UNESCAPE.sub(rb"\1", text) if b"\\" in text else text


def _lenient_mains(value: bytes) -> list[bytes]:
    """The type with comments and blanks taken out, cut at semicolon, comma or blank, or decoded."""
    head = value[:1024]
    if b"=?" in head:
        head = decode_words(head)
    readings = []
    for text in (strip_comments(head), head):
        main = text.split(b";", 1)[0]
        joined = re.sub(rb"[\s\"']+", b"", main)
        readings += [joined.split(b",", 1)[0].lower(), main.strip(b" \t\"'").split(b" ", 1)[0].split(b",")[0].lower()]
    return [reading for reading in dict.fromkeys(readings) if reading]


def _lenient(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Whatever looks like a parameter anywhere in the value, its value in every reading."""
    matches = list(_LENIENT.finditer(value))
    if len(matches) > _MAX_LENIENT:
        matches = matches[: _MAX_LENIENT // 2] + matches[-_MAX_LENIENT // 2 :]
    for match in matches:
        for reading in value_readings(value[match.end() : match.end() + _TAIL]):
            yield match[1].lower(), reading


def value_readings(tail: bytes) -> Iterable[bytes]:
    """What programs that don't follow the grammar may take for the value that begins here."""
    readings: list[bytes] = []
    quoted = _QUOTED.match(tail)
    if quoted is not None:
        readings += [_unescaped(quoted[1]), quoted[1]]
        if quoted[2]:
            tail = quoted[1]
        else:
            readings.append(quoted[1].split(b'"', 1)[0])
            tail = tail[1:]
    for text in (tail, strip_comments(tail)) if b"(" in tail else (tail,):
        upto = text.split(b";", 1)[0]
        for cut in (upto.strip(), upto.split(b",", 1)[0].strip(), (upto.split() or [b""])[0]):
            readings += [cut, cut.strip(b"\"'<>"), cut.strip(b"\"'"), cut.replace(b'"', b""), cut.split(b'"', 1)[0]]
    for reading in tuple(readings):
        if b"=?" in reading:
            readings.append(decode_words(reading))
    return dict.fromkeys(readings)


def strip_comments(value: bytes) -> bytes:
    """Without RFC 5322 comments (nested ones too), in linear time; an unclosed one reaches to the end."""
    kept: list[bytes] = []
    depth = start = position = 0
    is_quoted = False
    while (match := _COMMENT_MARK.search(value, position)) is not None:
        mark, position = match[0], match.end()
        if mark == b"\\":
            position += 1
        elif mark == b'"':
            is_quoted = not is_quoted if not depth else is_quoted
        elif is_quoted:
            continue
        elif mark == b"(":
            if not depth:
                kept.append(value[start : match.start()])
            depth += 1
        elif depth:
            depth -= 1
            start = position if not depth else start
    return b"".join(kept) + (b"" if depth else value[start:])


_WORD = re.compile(rb"=\?([^?\s]{1,40})\?([bBqQ])\?([^?]*)\?=(?:[ \t\r\n]+(?==\?))?")


def decode_words(value: bytes) -> bytes:
    """RFC 2047 encoded words decoded to their bytes, in whatever character set they are."""
    return _WORD.sub(lambda match: decode_word(match[2], match[3]), value)


def _words_in_utf8(value: bytes) -> bytes:
    return _WORD.sub(_word_in_utf8, value)


def _word_in_utf8(match: re.Match[bytes]) -> bytes:
    raw = decode_word(match[2], match[3])
    text = text_in(raw, match[1].partition(b"*")[0])
    return raw if text is None else text.encode("utf-8", "replace")


def text_in(raw: bytes, charset: bytes) -> str | None:
    """`raw` in a character set of mail, or in the one that programs mean by its name; None for an unknown one, and for
    bytes that do not fit. What ISO-2022-JP has no sign for becomes a replacement."""
    try:
        label = charset.decode("ascii", "replace").lower()
        name = codecs.lookup(_LABELS.get(label, label)).name if label else ""
    except (LookupError, ValueError):
        return None
    if name not in _CHARSETS:
        return None
    for label in (name, *_MEANT.get(name, ())):
        try:
            return raw.decode(label)
        except ValueError:
            continue
    return raw.decode(name, "replace") if name == "iso2022_jp" else None


# Labels that Python does not know.
_LABELS = {
    **dict.fromkeys(("windows-31j", "x-sjis", "cswindows31j", "ms932"), "cp932"),
    **dict.fromkeys(("cp50220", "cp50221", "iso-2022-jp-ms"), "iso2022_jp"),
    **dict.fromkeys(("x-euc-jp", "eucjp-ms"), "euc_jp"),
    **dict.fromkeys(("x-gbk", "cp936", "windows-936"), "gbk"),
    **dict.fromkeys(("x-windows-949", "windows-949"), "cp949"),
    "iso-8859-8-i": "iso8859-8",
    "windows-874": "cp874",
}
_CHARSETS = frozenset(
    {
        *("ascii", "utf-8", "utf-7", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "tis-620"),
        *("gb2312", "gbk", "gb18030", "big5", "shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "iso2022_kr"),
        *(f"iso8859-{number}" for number in range(1, 17)),
        *(f"cp{number}" for number in (437, 850, 866, 874, 932, 949, *range(1250, 1259))),
    }
)
_MEANT = {
    "ascii": ("utf-8",),
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "big5": ("cp950", "big5hkscs"),
    "shift_jis": ("cp932",),
    "euc_kr": ("cp949",),
    "euc_jp": ("euc_jis_2004",),
    "iso2022_jp": ("iso2022_jp_3", "iso2022_jp_ext"),
    "tis-620": ("cp874",),
    "iso8859-1": ("cp1252",),
}


def decode_word(kind: bytes, text: bytes) -> bytes:
    if kind in b"qQ":
        return binascii.a2b_qp(text, header=True)
    try:
        return binascii.a2b_base64(text + b"==")
    except binascii.Error:
        return text
