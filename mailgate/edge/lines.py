"""Pure: cuts the command stream into lines, strictly (RFC 5321 section 2.3.8)."""

from __future__ import annotations

import enum

COMMAND_LINE_LIMIT = 2048  # octets: 512 of RFC 5321 section 4.5.3.1.4 and room for every extension's parameters
AUTH_LINE_LIMIT = 12288  # octets, RFC 4954 section 4


class BadLine(enum.Enum):
    """A line that is not served: over the limit, or holding bare CR, bare LF or NUL."""

    TOO_LONG = "too long"
    BAD_BYTES = "bad bytes"


class LineBuffer:
    """`feed` what arrives, `take` one line without its CR LF. A line over the limit is swallowed to its end and
    reported once, so memory stays bounded by the limit and what one read brings."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._is_swallowing = False

    def feed(self, data: bytes) -> None:
        self._held += data

    def __len__(self) -> int:
        return len(self._held)

    def take(self, limit: int = COMMAND_LINE_LIMIT) -> bytes | BadLine | None:
        """None: no whole line is there yet."""
        end = self._held.find(b"\n")
        if end < 0:
            if len(self._held) > limit:
                self._is_swallowing = True
                self._held.clear()
            return None
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        if self._is_swallowing or len(line) + 1 > limit:
            self._is_swallowing = False
            return BadLine.TOO_LONG
        if not line.endswith(b"\r") or b"\r" in line[:-1] or b"\0" in line:
            return BadLine.BAD_BYTES
        return line[:-1]

    def take_all(self) -> bytes:
        """Everything held, for a reader of another kind (the message after DATA or BDAT)."""
        rest = bytes(self._held)
        self._held.clear()
        return rest
