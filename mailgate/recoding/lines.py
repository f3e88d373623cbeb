"""Pure: lines that are too long for mail (RFC 5322 section 2.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

from mailgate.recoding.entity import LONGEST_LINE


class Lines:
    """Looks for lines of more than 998 octets, in pieces of any size and in jumps: one look for a line end in every 998
    octets, whatever stands between."""

    def __init__(self) -> None:
        self.has_long = False
        self._open = 0  # octets since the last LF

    def feed(self, data: bytes) -> bool:
        """Was there one until here?"""
        at, end = -self._open, len(data)
        while end - at > LONGEST_LINE + 1:
            last = data.rfind(b"\n", max(at, 0), at + LONGEST_LINE + 2)
            if last < 0:
                self.has_long = True
                break
            at = last + 1
        last = data.rfind(b"\n", max(at, 0))
        self._open = end - (last + 1 if last >= 0 else at)
        return self.has_long

    def end(self) -> bool:
        """Was there one, the last line included?"""
        return self.has_long or self._open > LONGEST_LINE


def is_long(pieces: Iterable[bytes]) -> bool:
    lines = Lines()
    return any(lines.feed(data) for data in pieces) or lines.end()


def first_long(pieces: Iterable[bytes]) -> int:
    """The number of the first such line, from 1; of the last line where there is none."""
    lines, before = Lines(), 1
    rest = b""
    for data in pieces:
        text = rest + data
        if lines.feed(data):
            for line in text.split(b"\n"):
                if len(line.removesuffix(b"\r")) > LONGEST_LINE:
                    return before
                before += 1
        whole = text.rfind(b"\n") + 1
        before += text.count(b"\n", 0, whole)
        rest = text[whole:]
    return before
