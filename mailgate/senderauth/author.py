"""Whom a field such as From names: real addresses, whatever is in display names (RFC 5322 section 3.4). Where the
field is not what the grammar says, mail programs read it each in its own way; then it names a domain only if no reading
gives another one. Pure."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from mailgate.model.address import Address, AddressError, parse_domain
from mailgate.senderauth.comments import after_comment
from mailgate.senderauth.header import Field, Header

MOST_AUTHORS = 20
LONGEST_FIELD = 64 << 10  # bytes; a longer one is malformed

_ENCODED_WORD = re.compile(rb"=\?[^?\s]*\?([bBqQ])\?([^?\s]*)\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r'|(?P<quoted>"(?:[^"\\]|\\.)*")'
    r"|(?P<literal>\[[^\[\]\\]*\])"
    r"|(?P<atom>[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]+)"
    r"|(?P<special>[<>:;@,.])",
    re.DOTALL,
)


_RUN = re.compile(r'[^\s<>()\[\]:;,"@\\]*')  # of characters that no reading takes apart
_LITERAL = re.compile(r"\[[^\s\[\]@\\]*\]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ALPHABET = re.compile(r"\x1b(?:\$[@B]|\([BIJ])")  # ISO-2022-JP (RFC 1468)
_BEHIND_WORD = re.compile(r"[\s<,]|\Z")
_QUOTES = "'\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"  # that people put around an address


class AuthorError(ValueError):
    """The author is not named so that everybody reads the same one; the text says why."""


class NoAuthorError(AuthorError):
    """Nobody is named: there is no From field, or no address in it."""


class _Word(NamedTuple):
    kind: str
    text: str


class _Malformed(ValueError):
    """Not what the grammar says; the text goes on after the name of the field."""


def author_domains(header: Header) -> tuple[str, ...]:
    """The domains of the From field's addresses as A-labels in lower case, each once. Raises AuthorError where two
    readers might find different ones."""
    return tuple(dict.fromkeys(author.domain for author in authors(header)))


def authors(header: Header) -> tuple[Address, ...]:
    """The addresses of the From field, their local parts as they are written; raises like `author_domains`."""
    fields = header.named(b"from")
    if len(fields) > 1:
        return _of_one_domain([address for field in fields for address in addresses_in(field, "From")], len(fields))
    if not fields or b"@" not in fields[0].value:
        if fields and any(map(_shows_address, _ENCODED_WORD.findall(fields[0].value[:LONGEST_FIELD]))):
            raise AuthorError("the From field holds an address in encoded words only")
        raise NoAuthorError("no address in From")
    return addresses_in(fields[0], "From")


def _shows_address(encoded_word: tuple[bytes, bytes]) -> bool:
    """Would a mail program that decodes it show an address? (`@` is the same octet in all that is based on ASCII.)"""
    encoding, text = encoded_word
    if encoding in b"Qq":
        return b"@" in binascii.a2b_qp(text, header=True)
    letters = _NOT_BASE64.sub(b"", text)
    return b"@" in binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + b"==")


def _of_one_domain(found: list[Address], fields: int) -> tuple[Address, ...]:
    """Of several From fields each program shows another one."""
    if len({address.domain for address in found}) > 1:
        raise AuthorError(f"{fields} From fields")
    return tuple(dict.fromkeys(found))


def addresses_in(field: Field, name: str) -> tuple[Address, ...]:
    """The addresses of a field, groups taken apart. Raises AuthorError, which calls the field `name`."""
    if len(field.value) > LONGEST_FIELD:
        raise AuthorError(f"the {name} field is too long")
    try:
        text = field.value.decode("utf-8")
    except UnicodeDecodeError:  # a display name in an older encoding, of which nothing is needed
        text = field.value.decode("ascii", "replace")
    try:
        found = _addresses(list(_words(text)))
    except _Malformed as error:
        found = _every_address(field.value, text)
        if len({address.domain for address in found}) != 1:
            raise AuthorError(f"the {name} field {error}") from None
    if any("\ufffd" in address.local for address in found):
        raise AuthorError(f"the {name} field holds an address that is not UTF-8")
    return tuple(found)


def _every_address(value: bytes, text: str) -> list[Address]:
    """What any reading of a malformed field may take for an address: what surrounds each `@`, in display names,
    comments and quotes, too. Empty where that can't be told. What has no dot is the domain of nobody if another one is
    there: `Sales @ Shop <s@shop.example>`. Japanese text as it was written before encoded words is read with and
    without what switches its alphabet."""
    if any(map(_shows_address, _ENCODED_WORD.findall(value))):
        return []
    found: list[Address] = []
    for reading in dict.fromkeys(_ALPHABET.sub(instead, text) for instead in (" ", "")):
        addresses = _addresses_around_ats(reading)
        if addresses is None:
            return []
        found += addresses
    dotted = [address for address in found if "." in address.domain or address.is_literal]
    return list(dict.fromkeys(dotted or found))


def _addresses_around_ats(text: str) -> list[Address] | None:
    """None where that can't be told."""
    if _CONTROL.search(text):
        return None
    found: list[Address] = []
    for before, after in pairwise(text.split("@")):
        local, name = _first_run(before[::-1])[::-1], after.lstrip()
        literal = _LITERAL.match(name)
        domain = literal[0] if literal else _first_run(name)
        left, right = before[: len(before) - len(local)], name[len(domain) :]
        local = local.lstrip(_QUOTES)
        # comments and blanks beside a dot are none for those who follow the grammar: `a@b (c).d` is at `b.d`
        if left.rstrip().endswith((")", ".")) or right.lstrip().startswith(("(", ".")):
            return None
        if not literal and "." not in domain and (not local or name != after) and _BEHIND_WORD.match(right):
            continue  # `@shop`, `Sales @ Shop`
        try:
            found.append(Address(local, parse_domain(domain.removesuffix(".").rstrip(_QUOTES))))
        except AddressError:
            return None
        if not local or len(found) > MOST_AUTHORS:
            return None
    return found


def _first_run(text: str) -> str:
    """The characters in front of the first that ends a word."""
    run = _RUN.match(text)
    return run[0] if run else ""


def _words(text: str) -> Iterator[_Word]:
    """Tokens without white space and comments."""
    at = 0
    while at < len(text):
        if text[at] == "(":
            at = after_comment(text, at)
            if at < 0:
                raise _Malformed("holds a comment that does not end")
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Malformed(f"holds {text[at]!r} where it must not")
        at = match.end()
        if match.lastgroup != "space":
            yield _Word(str(match.lastgroup), match[0])


def _addresses(words: list[_Word]) -> list[Address]:
    """mailbox-list (groups, RFC 6854, are taken apart)."""
    found: list[Address] = []
    entry: list[_Word] = []
    is_angle = False
    for word in [*words, _Word("special", ",")]:
        is_special = word.kind == "special"
        is_angle = (is_angle or word.text == "<") and word.text != ">" if is_special else is_angle
        if is_special and not is_angle and word.text in ",;:":
            if entry and word.text != ":":
                found.append(_mailbox(entry))
            entry = []
            continue
        entry.append(word)
    if not found:
        raise _Malformed("holds no address")
    if len(found) > MOST_AUTHORS:
        raise _Malformed("holds too many addresses")
    return found


def _mailbox(words: list[_Word]) -> Address:
    """Of `display name <local@domain>` or `local@domain`."""
    texts = [word.text if word.kind == "special" else "" for word in words]
    if "<" in texts or ">" in texts:
        if texts.count("<") != 1 or texts.count(">") != 1 or texts[-1] != ">":
            raise _Malformed("has angle brackets that do not match")
        display, words = words[: texts.index("<")], words[texts.index("<") + 1 : -1]
        if any(word.kind == "special" and word.text != "." for word in display):
            raise _Malformed("holds an address beside the one in angle brackets")
    ats = [number for number, word in enumerate(words) if word.kind == "special" and word.text == "@"]
    if len(ats) != 1 or not ats[0]:
        raise _Malformed("holds no address, or one that can be read in several ways")
    local, domain = words[: ats[0]], words[ats[0] + 1 :]
    _check_dotted(local, ("atom", "quoted"))
    if [word.kind for word in domain] != ["literal"]:
        _check_dotted(domain, ("atom",))
    try:
        found = parse_domain("".join(word.text for word in domain))
    except AddressError as error:
        raise _Malformed(f"holds an address without a valid domain: {error}") from None
    return Address("".join(word.text for word in local), found)


def _check_dotted(words: list[_Word], kinds: tuple[str, ...]) -> None:
    """word *("." word)."""
    is_word_due = True
    for word in words:
        if (word.kind in kinds) != is_word_due or (not is_word_due and word.text != "."):
            raise _Malformed("holds an address that is not valid")
        is_word_due = not is_word_due
    if is_word_due:
        raise _Malformed("holds an address that is not valid")
