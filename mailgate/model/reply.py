"""One SMTP reply: code, enhanced status code and text (RFC 5321 section 4.2, RFC 2034, RFC 3463)."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ \t]+|$)")
_LONGEST_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` 200-599; `enhanced` like `5.1.1`, or empty for replies that carry none (220, 250 to EHLO, 334, 354);
    `text` is one line, or several joined by `\\n`."""

    code: int
    enhanced: str
    text: str

    def __bytes__(self) -> bytes:
        *before, last = self.text.split("\n")
        status = f"{self.enhanced} " if self.enhanced else ""
        lines = [f"{self.code}-{status}{line}\r\n" for line in before]
        return f"{''.join(lines)}{self.code} {status}{last}\r\n".encode()

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}".replace("  ", " ").replace("\n", " / ")

    @property
    def is_positive(self) -> bool:
        return self.code < 400


@functools.lru_cache(256)  # hosts say the same to every MAIL and RCPT
def reply_of(code: int, message: str) -> Reply:
    """An enhanced code (RFC 2034) that stands at the beginning of the lines is taken out of the text."""
    lines = message.splitlines() or [""]
    match = _ENHANCED.match(lines[0])
    enhanced = match[1] if match is not None and match[1][0] == str(code)[0] else ""
    if enhanced:
        lines = [line.removeprefix(enhanced).strip() for line in lines]
    text = " ".join(filter(None, lines))
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return Reply(code, enhanced, text[:_LONGEST_TEXT])
