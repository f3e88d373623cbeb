"""What an assignment allows: the letters of RFC 4314 section 2.1, and the five names that people use for them. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from mailgate.model.errors import UserError
from mailgate.tenancy.addresses import shown

LETTERS = "lrswipkxtea"
"""Look up, read, keep seen, write flags, insert, post, create (k) and delete (x) folders, delete (t) and expunge (e)
messages, administer; in the order of the RFC."""


class Right(enum.StrEnum):
    """The names of people; each stands for some letters (`_MEANING`)."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    SEND_AS = "send-as"
    ADMINISTER = "administer"


_MEANING = {
    Right.READ: "lrs",
    Right.WRITE: "wik",
    Right.DELETE: "xte",
    Right.SEND_AS: "p",
    Right.ADMINISTER: "a",
}


@dataclass(frozen=True, slots=True)
class Rights:
    """A set of letters, sorted as in LETTERS. Without `l` and `r` a holder can't see the mailbox in a mail program."""

    letters: str = ""

    def allows(self, right: Right) -> bool:
        """Every letter of the right is there."""
        return all(letter in self.letters for letter in _MEANING[right])

    @property
    def names(self) -> tuple[str, ...]:
        """What they allow in people's words; letters that make up no whole right stand for themselves."""
        whole = [right for right in Right if self.allows(right)]
        covered = "".join(_MEANING[right] for right in whole)
        rest = "".join(letter for letter in self.letters if letter not in covered)
        return (*map(str, whole), *([rest] if rest else []))

    def __or__(self, other: Rights) -> Rights:
        return rights_of(self.letters + other.letters)

    def __bool__(self) -> bool:
        return bool(self.letters)


def rights_of(letters: str) -> Rights:
    """From letters as they are stored, in any order; unknown ones are left out."""
    return Rights("".join(letter for letter in LETTERS if letter in letters))


def rights_named(*names: Right) -> Rights:
    return rights_of("".join(_MEANING[name] for name in names))


ALL = rights_of(LETTERS)
DEFAULT = rights_named(Right.READ, Right.WRITE, Right.DELETE, Right.SEND_AS)


def parse_rights(text: str) -> Rights:
    """From `read,write` or letters (`lrs`); a name goes before letters that spell the same. Raises UserError."""
    found = Rights()
    for word in filter(None, (word.strip().lower() for word in text.split(","))):
        if word in _MEANING:
            found |= rights_named(Right(word))
        elif set(word) <= set(LETTERS):
            found |= rights_of(word)
        else:
            raise UserError(f"right {shown(word)}: give {', '.join(Right)}, or letters of {LETTERS} (RFC 4314)")
    if not found:
        raise UserError(f"no right given: choose from {', '.join(Right)}; to take all away: mailgate mailbox unassign")
    return found


def effective(granted: Iterable[Rights]) -> Rights:
    """What a user may do by the own assignment and those of the user's groups together: their union (RFC 4314 section
    2 adds up the rights of all identifiers that apply). Empty: for this user the mailbox does not exist."""
    found = Rights()
    for rights in granted:
        found |= rights
    return found
