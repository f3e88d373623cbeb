"""Whom the From field names, strictly: its real domain, whatever is in display names (RFC 5322 section 3.4). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailgate.model.address import AddressError, parse_domain
from mailgate.senderauth.header import Header

MOST_AUTHORS = 20
LONGEST_FIELD = 64 << 10  # bytes; a longer one is malformed

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r'|(?P<quoted>"(?:[^"\\]|\\.)*")'
    r"|(?P<literal>\[[^\[\]\\]*\])"
    r"|(?P<atom>[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]+)"
    r"|(?P<special>[<>:;@,.])",
    re.DOTALL,
)


class AuthorError(ValueError):
    """The author is not named so that everybody reads the same one; the text says why."""


class NoAuthorError(AuthorError):
    """Nobody is named: there is no From field, or no address in it."""


@dataclass(frozen=True, slots=True)
class _Word:
    kind: str
    text: str


def author_domains(header: Header) -> tuple[str, ...]:
    """The domains of the From field's addresses as A-labels in lower case, each once. Raises AuthorError where there
    are several From fields, or where the field is not what the grammar says."""
    fields = header.named(b"from")
    if len(fields) > 1:
        raise AuthorError(f"{len(fields)} From fields")
    if not fields or b"@" not in fields[0].value:
        raise NoAuthorError("no address in From")
    value = fields[0].value
    if len(value) > LONGEST_FIELD:
        raise AuthorError("the From field is too long")
    try:
        domains = _domains(list(_words(value.decode("utf-8"))))
    except UnicodeDecodeError:
        raise AuthorError("the From field is not UTF-8") from None
    return tuple(dict.fromkeys(domains))


def _words(text: str) -> Iterator[_Word]:
    """Tokens without white space and comments."""
    at = 0
    while at < len(text):
        if text[at] == "(":
            at = _after_comment(text, at)
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise AuthorError(f"the From field holds {text[at]!r} where it must not")
        at = match.end()
        if match.lastgroup != "space":
            yield _Word(str(match.lastgroup), match[0])


def _after_comment(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        char = text[at]
        depth += (char == "(") - (char == ")")
        at += 2 if char == "\\" else 1
        if not depth:
            return at
    raise AuthorError("a comment in the From field does not end")


def _domains(words: list[_Word]) -> list[str]:
    """mailbox-list (groups, RFC 6854, are taken apart)."""
    domains: list[str] = []
    entry: list[_Word] = []
    is_angle = False
    for word in [*words, _Word("special", ",")]:
        is_special = word.kind == "special"
        is_angle = (is_angle or word.text == "<") and word.text != ">" if is_special else is_angle
        if is_special and not is_angle and word.text in ",;:":
            if entry and word.text != ":":
                domains.append(_mailbox(entry))
            entry = []
            continue
        entry.append(word)
    if not domains:
        raise AuthorError("the From field holds no address")
    if len(domains) > MOST_AUTHORS:
        raise AuthorError("the From field holds too many addresses")
    return domains


def _mailbox(words: list[_Word]) -> str:
    """The domain of `display name <local@domain>` or `local@domain`."""
    texts = [word.text if word.kind == "special" else "" for word in words]
    if "<" in texts or ">" in texts:
        if texts.count("<") != 1 or texts.count(">") != 1 or texts[-1] != ">":
            raise AuthorError("angle brackets in the From field do not match")
        display, words = words[: texts.index("<")], words[texts.index("<") + 1 : -1]
        if any(word.kind == "special" and word.text != "." for word in display):
            raise AuthorError("the From field holds an address beside the one in angle brackets")
    ats = [number for number, word in enumerate(words) if word.kind == "special" and word.text == "@"]
    if len(ats) != 1 or not ats[0]:
        raise AuthorError("the From field holds no address, or one that can be read in several ways")
    local, domain = words[: ats[0]], words[ats[0] + 1 :]
    _check_dotted(local, ("atom", "quoted"))
    if [word.kind for word in domain] != ["literal"]:
        _check_dotted(domain, ("atom",))
    try:
        return parse_domain("".join(word.text for word in domain))
    except AddressError as error:
        raise AuthorError(f"the address in the From field has no valid domain: {error}") from None


def _check_dotted(words: list[_Word], kinds: tuple[str, ...]) -> None:
    """word *("." word)."""
    is_word_due = True
    for word in words:
        if (word.kind in kinds) != is_word_due or (not is_word_due and word.text != "."):
            raise AuthorError("the address in the From field is not valid")
        is_word_due = not is_word_due
    if is_word_due:
        raise AuthorError("the address in the From field is not valid")
