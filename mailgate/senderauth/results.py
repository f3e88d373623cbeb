"""The field Authentication-Results: written, and read strictly (RFC 8601 section 2.2). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailgate.model.address import AddressError, parse_domain
from mailgate.senderauth.comments import after_comment

_LINE = 76
LONGEST_VALUE = 16 << 10  # characters; what others write has a few hundred for each method
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = re.compile(r"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]+")
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<mark>[;=])|(?P<text>[^\x00-\x20;=()\"\x7f]+)",
    re.DOTALL,
)
_VERSION = re.compile(r"[0-9]{1,9}")


class ResultsError(ValueError):
    """Not what the grammar says; the text says where."""


@dataclass(frozen=True, slots=True)
class Property:
    """`type.name=value`, e.g. `header.d=example.org`."""

    type: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class MethodResult:
    """`comment` is written behind the result, and not kept when a field is read."""

    method: str
    result: str
    reason: str = ""
    properties: tuple[Property, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """`results` is empty for `none`."""

    authserv_id: str
    results: tuple[MethodResult, ...] = ()

    @property
    def value(self) -> str:
        """What stands after the colon, on one line."""
        return f"{self.authserv_id}; {self.body}"

    @property
    def body(self) -> str:
        """Without the authserv-id, as ARC wants it."""
        return "; ".join(map(_text, self.results)) or "none"

    def field(self) -> str:
        """The whole field, folded, without the last line end."""
        lines, line = [], "Authentication-Results:"
        for word in self.value.split(" "):
            if len(line) + 1 + len(word) > _LINE and line != "Authentication-Results:":
                lines.append(line)
                line = f"\t{word}"
            else:
                line = f"{line} {word}"
        return "\r\n".join([*lines, line])


def _text(result: MethodResult) -> str:
    words = [f"{result.method}={result.result}"]
    if result.comment:
        words.append(f"({_comment(result.comment)})")
    if result.reason:
        words.append(f"reason={_value(result.reason, is_quoted=True)}")
    words += (f"{each.type}.{each.name}={_value(each.value)}" for each in result.properties)
    return " ".join(words)


def _comment(text: str) -> str:
    return "".join(char if " " <= char <= "~" and char not in "()\\" else "?" for char in text)


def _value(text: str, is_quoted: bool = False) -> str:
    """As it is where the grammar allows it: a token, or an address; else quoted. Nothing breaks out of the field."""
    clean = _CONTROL.sub("?", text)
    local, _, domain = clean.rpartition("@")
    is_plain = _PLAIN.fullmatch(domain) and (not local or _PLAIN.fullmatch(local))
    if is_plain and not is_quoted:
        return clean
    return quoted(clean)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_written_by(value: str, authserv_id: str) -> bool:
    """Would some reader take a field with this value for one of `authserv_id`? What can't be read at all counts where
    it holds the name anywhere."""
    own = _canonical(authserv_id)
    try:
        first = next(iter(_tokens(value)), "")
    except ResultsError:
        return own in value.lower()
    return _canonical(first.partition("/")[0]) == own


def _canonical(name: str) -> str:
    """Host names are the same in any case, with a final dot, and as U-labels."""
    try:
        return parse_domain(name.removesuffix("."))
    except AddressError:
        return name.lower()


def parse(value: str) -> AuthenticationResults:
    """What stands after the colon. An empty text has no authserv-id and no results. Raises ResultsError."""
    if len(value) > LONGEST_VALUE:
        raise ResultsError(f"longer than {LONGEST_VALUE} characters")
    parts = list(_split(list(_tokens(value))))
    head = parts[0]
    if not head and len(parts) == 1:
        return AuthenticationResults("")
    if len(head) > 2 or not head or head[0] in _MARKS or (len(head) == 2 and not _VERSION.fullmatch(head[1])):
        raise ResultsError("no authserv-id")
    bodies = parts[1:]
    if bodies and not bodies[-1]:
        bodies.pop()
    if not bodies:
        raise ResultsError("no results")
    if bodies == [["none"]]:
        return AuthenticationResults(head[0])
    return AuthenticationResults(head[0], tuple(map(_method_result, bodies)))


_MARKS = (";", "=")


class _Quoted(str):
    """A value that stood in quotes: never a mark, never a keyword."""

    __slots__ = ()


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if text[at] == "(":
            at = after_comment(text, at)
            if at < 0:
                raise ResultsError("a comment does not end")
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise ResultsError(f"character {text[at]!r} must not stand here")
        at = match.end()
        if match["quoted"] is not None:
            held = match["quoted"]
            yield _Quoted(re.sub(r"\\(.)", r"\1", held, flags=re.DOTALL) if "\\" in held else held)
        elif not match["space"]:
            yield match[0]


def _split(tokens: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in tokens:
        if word == ";" and not isinstance(word, _Quoted):
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _method_result(tokens: list[str]) -> MethodResult:
    """method[/version]=result [reason=value] *(type.name=value)"""
    pairs = list(_pairs(tokens))
    if not pairs:
        raise ResultsError("an empty result")
    method, result = pairs[0]
    name, _, version = method.partition("/")
    if not _KEYWORD.fullmatch(name) or (version and not _VERSION.fullmatch(version)) or not _KEYWORD.fullmatch(result):
        raise ResultsError(f"no method and result: {method[:40]!r}")
    reason = ""
    rest = pairs[1:]
    if rest and rest[0][0].lower() == "reason":
        reason = rest.pop(0)[1]
    return MethodResult(name.lower(), result.lower(), reason, tuple(_property(*pair) for pair in rest))


def _property(name: str, value: str) -> Property:
    type_, dot, item = name.partition(".")
    if not dot or not _KEYWORD.fullmatch(type_) or not _KEYWORD.fullmatch(item):
        raise ResultsError(f"{name[:40]!r} is no property")
    return Property(type_.lower(), item.lower(), value)


def _pairs(tokens: list[str]) -> Iterator[tuple[str, str]]:
    """name = value, one after the other."""
    at = 0
    while at < len(tokens):
        name, at = _name(tokens, at)
        value, at = _assigned(tokens, at)
        yield name, value


def _name(tokens: list[str], at: int) -> tuple[str, int]:
    """What stands before the equals sign, and where its value begins. White space and comments may stand around the dot
    and the slash in it (RFC 8601 appendix B.7)."""
    name = ""
    while at < len(tokens) and (tokens[at] != "=" or isinstance(tokens[at], _Quoted)):
        word = tokens[at]
        is_glued = not name or name.endswith((".", "/")) or word.startswith((".", "/"))
        if isinstance(word, _Quoted) or not is_glued:
            break
        name += word
        at += 1
    if not name or at >= len(tokens) or tokens[at] != "=" or isinstance(tokens[at], _Quoted):
        raise ResultsError("name=value expected")
    return name, at + 1


def _assigned(tokens: list[str], at: int) -> tuple[str, int]:
    """The value, and where the next pair begins. Unquoted it may hold further equals signs, as tags in base64 do; a
    quoted local part stays quoted."""
    if at >= len(tokens) or (tokens[at] == "=" and not isinstance(tokens[at], _Quoted)):
        raise ResultsError("name=value expected")
    value = tokens[at]
    at += 1
    if isinstance(value, _Quoted) and at < len(tokens) and tokens[at].startswith("@"):
        value = quoted(value) + tokens[at]
        at += 1
    while at < len(tokens) and tokens[at] == "=":
        value += "="
        at += 1
    return str(value), at
