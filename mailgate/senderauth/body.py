"""The body hash of DKIM and ARC (RFC 6376 sections 3.4.3, 3.4.4, 3.7), computed once for all signatures, in pieces.

Every step is linear in the size: regular expressions that try again at each space of a run are how a few megabytes of
spaces occupy a verifier for hours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import ClassVar

SIMPLE = "simple"
RELAXED = "relaxed"

_WIDE_SPACE = re.compile(rb"[ \t]{2,}|\t")
_LINE_ENDS = re.compile(rb"(?:\r\n)*")
_UNDECIDED = (b"", b" ", b"\r", b" \r")


class _Simple:
    """Empty lines are counted, not hashed, until something follows them."""

    _blank: ClassVar[bytes] = b"\r\n"
    _dropped_at_end: ClassVar[bytes] = b""
    _empty_body_is_a_line: ClassVar[bool] = True

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._empty_lines = 0
        self._rest = b""
        self._has_content = False

    def update(self, data: bytes) -> None:
        text = self._reduced(self._rest + data)
        solid = text.rstrip(self._blank)
        if solid:
            self._emit(solid)
        tail = text[len(solid) :]
        ends = _LINE_ENDS.match(tail)
        assert ends is not None
        self._empty_lines += ends.end() // 2
        self._rest = tail[ends.end() :]
        if self._rest not in _UNDECIDED:
            self._emit(self._rest)
            self._rest = b""

    def digest(self) -> bytes:
        """SHA-256 over the canonical body; nothing may be added afterwards."""
        rest = self._rest.rstrip(self._dropped_at_end)
        if rest:
            self._emit(rest)
        if self._has_content or self._empty_body_is_a_line:
            self._hash.update(b"\r\n")
        return self._hash.digest()

    def _emit(self, data: bytes) -> None:
        self._hash.update(b"\r\n" * self._empty_lines)
        self._empty_lines = 0
        self._hash.update(data)
        self._has_content = True

    def _reduced(self, text: bytes) -> bytes:
        return text


class _Relaxed(_Simple):
    """Runs of white space become one space, those at the end of a line nothing."""

    _blank = b" \r\n"
    _dropped_at_end = b" "
    _empty_body_is_a_line = False

    def _reduced(self, text: bytes) -> bytes:
        return _WIDE_SPACE.sub(b" ", text).replace(b" \r\n", b"\r\n")


class BodyHashes:
    """`wanted` names canonicalizations; `update` takes the body in pieces of any size."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._canonical = {name: _Relaxed() if name == RELAXED else _Simple() for name in set(wanted)}

    def update(self, data: bytes) -> None:
        for canonical in self._canonical.values():
            canonical.update(data)

    def digests(self) -> dict[str, bytes]:
        """SHA-256 by canonicalization. To be called once."""
        return {name: canonical.digest() for name, canonical in self._canonical.items()}


def body_hashes(wanted: Iterable[str], body: bytes) -> dict[str, bytes]:
    """All at once, for a body in memory."""
    hashes = BodyHashes(wanted)
    hashes.update(body)
    return hashes.digests()
