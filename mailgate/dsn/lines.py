"""Text of strangers (replies, addresses, names) made fit for one header field or one line of text."""

from __future__ import annotations

import re
import textwrap

REPLY_LIMIT = 900  # characters of what a server said; some send pages, and a line may have 998

_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_.])?|\[[0-9A-Za-z:.]{2,64}\]")
_FOLD_AT = 76


def one_line(text: str, limit: int = REPLY_LIMIT) -> str:
    """Line ends, control characters and what turns the direction of writing become one space."""
    # what came as undecodable bytes is held as surrogates, and could not be encoded again
    plain = "".join("?" if "\ud800" <= char <= "\udfff" else char for char in _SPACES.sub(" ", text)).strip()
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def ascii_line(text: str, limit: int = REPLY_LIMIT) -> str:
    """The same in printable ASCII."""
    return "".join(char if " " <= char <= "~" else "?" for char in one_line(text, limit).replace("…", "..."))


def host(text: str) -> str:
    """A host name or address literal, or nothing where it is none."""
    return text if _HOST.fullmatch(text) else ""


def field(name: str, value: str) -> str:
    """One header field, folded so that unfolding gives exactly `value` (RFC 5322 section 2.2.3); a word that is too
    long for a line stays whole."""
    first, *words = value.split(" ")
    lines = [f"{name}: {first}"]
    for word in words:
        # only before a word: a line must not be made of spaces only
        if word and len(lines[-1]) + 1 + len(word) > _FOLD_AT:
            lines.append(f" {word}")
        else:
            lines[-1] += f" {word}"
    return "\r\n".join(lines) + "\r\n"


def paragraph(text: str, indent: str = "") -> list[str]:
    """Lines of text for people."""
    return textwrap.wrap(
        text, _FOLD_AT, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
