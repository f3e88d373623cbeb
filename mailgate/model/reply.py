"""One SMTP reply: code, enhanced status code and text (RFC 5321 section 4.2, RFC 2034, RFC 3463)."""

from __future__ import annotations

from dataclasses import dataclass


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
