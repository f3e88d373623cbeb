"""Pure: receivers of message bytes. DATA ends at CR LF . CR LF and nothing else (RFC 5321 section 4.1.1.4), BDAT by
count (RFC 3030). Both work on whole reads, never line by line."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Protocol

from mailgate.recoding.lines import Lines

GRACE_SECONDS = 30.0  # before the minimum rate counts
WINDOW_SECONDS = 60.0  # over which it counts, beside the whole

_END = b"\r\n.\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r[^\n]")  # with as many LF as CR no LF is bare either: half the time of counting pairs


class Receiver(Protocol):
    """`feed` returns None while more is expected, else what follows the message."""

    received: int

    def feed(self, data: bytes) -> bytes | None: ...


class ByteCheck:
    """Bare CR, bare LF and NUL, across reads. `is_own`: it comes from a tenant's own devices and users, of whom many
    know no other line end than LF: a bare one becomes CR LF (where a message ends is not for it to say, so nothing is
    smuggled), and long lines are looked for."""

    def __init__(self, is_own: bool = False) -> None:
        self.is_bad = False
        self._lines = Lines() if is_own else None
        self._ends_in_cr = False

    def check(self, data: bytes) -> bytes:
        """The bytes to keep."""
        if self.is_bad or not data:
            return data
        if self._lines is not None:
            data = with_crlf(data, self._ends_in_cr)
            self._lines.feed(data)
        feeds = data.count(b"\n")
        returns = data.count(b"\r")
        if self._ends_in_cr:
            if data[0] != 10:
                self.is_bad = True
            feeds -= 1
        self._ends_in_cr = data[-1] == 13
        if feeds != returns - self._ends_in_cr or _BARE_CR.search(data) or b"\0" in data:
            self.is_bad = True
        return data

    @property
    def has_long_lines(self) -> bool:
        """At the end of the message."""
        return self._lines is not None and self._lines.end()

    def end(self) -> None:
        if self._ends_in_cr:
            self.is_bad = True


def with_crlf(data: bytes, is_behind_cr: bool) -> bytes:
    """Every bare LF made CR LF; `is_behind_cr`: what came before ended in CR."""
    if data.count(b"\n") == data.count(b"\r\n"):
        return data
    return _BARE_LF.sub(b"\r\n", b"\r" + data)[1:] if is_behind_cr else _BARE_LF.sub(b"\r\n", data)


class DataReceiver:
    """After 354. Hands unstuffed bytes to `sink`, in order; the last CR LF of the text belongs to the message. `is_own`
    as in ByteCheck; the dots at the beginning of lines that end in a bare LF are unstuffed, too."""

    def __init__(self, sink: Callable[[bytes], None], is_own: bool = False) -> None:
        self._sink = sink
        self._check = ByteCheck(is_own)
        self._stuffed = (b"\n.", b"\n") if is_own else (b"\r\n.", b"\r\n")
        self._starts = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r", *([b"\n.", b"\n"] if is_own else []))
        self._held = b"\r\n"  # as if a line had just ended: a dot may come first
        self._is_start = True
        self.received = 0

    @property
    def is_bad(self) -> bool:
        return self._check.is_bad

    @property
    def has_long_lines(self) -> bool:
        return self._check.has_long_lines

    def feed(self, data: bytes) -> bytes | None:
        data = self._held + data
        dot = data.find(b".")  # base64 has none, and one byte is found far faster than several
        end = data.find(_END, max(dot - 2, 0)) if dot >= 0 else -1
        if end >= 0:
            self._give(data[: end + 2])
            self._check.end()
            return data[end + len(_END) :]
        # Hold back what may be the start of the end, or of a stuffed dot, in the next read.
        keep = next((len(start) for start in self._starts if data.endswith(start)), 0)
        self._held = data[len(data) - keep :] if keep else b""
        if len(data) > keep:
            self._give(data[: len(data) - keep])
        return None

    def _give(self, data: bytes) -> None:
        if b"." in data:
            data = data.replace(*self._stuffed)
        if self._is_start:
            data = data[2:]
            self._is_start = False
        self.received += len(data)
        data = self._check.check(data)
        if data:
            self._sink(data)


class ChunkReceiver:
    """One BDAT chunk of `size` octets; `check` lives as long as the message, since a CR LF may span two chunks."""

    def __init__(self, size: int, sink: Callable[[bytes], None], check: ByteCheck) -> None:
        self._left = size
        self._sink = sink
        self._check = check
        self.received = 0

    @property
    def is_bad(self) -> bool:
        return self._check.is_bad

    def feed(self, data: bytes) -> bytes | None:
        taken = data[: self._left]
        self._left -= len(taken)
        self.received += len(taken)
        if taken:
            self._sink(self._check.check(taken))
        return data[len(taken) :] if self._left == 0 else None


class Pace:
    """How fast a message comes. `least` in bytes a second must be reached as a whole and in the last minute, so that
    what came quickly at first earns no hours of silence."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def mark(self, now: float, received: int) -> None:
        """Every few seconds: how many bytes have come so far."""
        self._marks.append((now, received))
        while len(self._marks) > 1 and self._marks[1][0] <= now - WINDOW_SECONDS:
            self._marks.popleft()

    def is_slow(self, now: float, received: int, least: int) -> bool:
        seconds = now - self._began
        since, before = self._marks[0]
        is_window_full = now - since >= WINDOW_SECONDS
        slow_lately = is_window_full and received - before < (now - since) * least
        return seconds > GRACE_SECONDS and (received < seconds * least or slow_lately)

    def waited(self, now: float) -> float:
        """Seconds since it began."""
        return now - self._began
