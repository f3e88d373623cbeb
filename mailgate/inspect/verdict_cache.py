"""Verdicts remembered by digest, shared by all inspectors: an attachment that comes again is not scanned again.

They lie in memory that every inspector inherits: it needs no path, no account and no server, and ends with the gateway.
Whoever scans a content holds a lock named by it; another that meets the same content waits for the verdict.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from hashlib import blake2b

from mailgate.inspect.replies import CLEAN, ScanResult
from mailgate.inspect.scanners import Clock, Engine
from mailgate.model.verdict import Verdict

CAPACITY = 16_384  # verdicts; 4 MiB
UNVERSIONED_LIFETIME = 5.0
_WAYS = 4  # entries that a verdict may be kept in: the oldest gives way
_ENTRY = 256
_HEAD = struct.Struct("<16s32sd??H")  # check, key, when, infected, macro, length of the text
_KEY_AT = 16
_LOCKS = 1 << 62  # bytes that may be locked: far more than the memory has, so that hardly two contents share one
_PATIENCE = (0.001, 0.002, 0.005, 0.01, 0.02)


def shared_memory(capacity: int = CAPACITY) -> int:
    """The descriptor of memory for `capacity` verdicts, to be inherited by every inspector."""
    memory = os.memfd_create("verdicts")
    os.ftruncate(memory, capacity * _ENTRY)
    return memory


class VerdictCache:
    """Verdicts of one engine (endpoint with its limits, software, signatures): another engine finds none of them. Only
    CLEAN and INFECTED are kept: what was not scanned is asked again.

    Verdicts of a database without a version die after UNVERSIONED_LIFETIME seconds: its reloads can't be noticed."""

    def __init__(self, memory: int, clock: Clock = time.monotonic) -> None:
        """`memory` from `shared_memory`; it stays open as long as the process lives."""
        self._memory = memory
        self._entries = mmap.mmap(memory, os.fstat(memory).st_size)
        self._sets = len(self._entries) // (_ENTRY * _WAYS)
        self._clock = clock
        self._engine = b""
        self._lifetime = 0.0
        self._keys: dict[str, bytes] = {}

    def begin(self, engine: Engine) -> None:
        """To be called before each message's look-ups with the engine that would answer now."""
        version = engine.version
        name = "\0".join((engine.scanner, version.engine, version.signatures))
        self._engine = blake2b(name.encode(), digest_size=32).digest()
        self._lifetime = float("inf") if version.signatures else UNVERSIONED_LIFETIME
        self._keys.clear()

    def get(self, digest: str) -> ScanResult | None:
        key = self._key(digest)
        first = self._first(key)
        at = self._entries.find(key, first, first + _ENTRY * _WAYS) - _KEY_AT
        if at < first or (at - first) % _ENTRY:
            return None
        entry = self._entries[at : at + _ENTRY]
        check, _, when, infected, macro, length = _HEAD.unpack_from(entry)
        if check != _check(entry) or not 0 <= self._clock() - when < self._lifetime:
            return None  # written by two at once, or too old
        text = entry[_HEAD.size : _HEAD.size + length].decode("utf-8", "replace")
        if infected:
            return ScanResult(Verdict.INFECTED, signature=text)
        return ScanResult(Verdict.CLEAN, detail=text, macro=macro) if macro or text else CLEAN

    def put(self, digest: str, result: ScanResult) -> None:
        text = (result.signature or result.detail).encode()
        if result.verdict is Verdict.NOT_SCANNED or len(text) > _ENTRY - _HEAD.size:
            return
        key = self._key(digest)
        infected = result.verdict is Verdict.INFECTED
        body = _HEAD.pack(bytes(16), key, self._clock(), infected, result.macro, len(text)) + text
        entry = body.ljust(_ENTRY, b"\0")
        first = self._first(key)
        at = min(range(first, first + _ENTRY * _WAYS, _ENTRY), key=lambda place: self._age(place, key))
        self._entries[at : at + _ENTRY] = _check(entry) + entry[16:]

    def claim(self, digest: str) -> bool:
        """True where nobody else scans this content now; it is this process's to scan until `release`."""
        try:
            fcntl.lockf(self._memory, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._lock(digest))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def wait(self, digest: str, deadline: float) -> bool:
        """Claim the content once whoever scans it is done, or dead; False where that takes until `deadline`
        (time.monotonic())."""
        patience = iter(_PATIENCE)
        pause = next(patience)
        while not self.claim(digest):
            if time.monotonic() + pause >= deadline:
                return False
            time.sleep(pause)
            pause = next(patience, pause)
        return True

    def release(self, digest: str) -> None:
        fcntl.lockf(self._memory, fcntl.LOCK_UN, 1, self._lock(digest))

    def _key(self, digest: str) -> bytes:
        key = self._keys.get(digest)
        if key is None:
            key = self._keys[digest] = blake2b(digest.encode(), digest_size=32, key=self._engine).digest()
        return key

    def _lock(self, digest: str) -> int:
        return int.from_bytes(self._key(digest)[8:16], "little") % _LOCKS

    def _first(self, key: bytes) -> int:
        """The first of the places where the verdict may lie, one behind the other."""
        return int.from_bytes(key[:8], "little") % self._sets * _WAYS * _ENTRY

    def _age(self, at: int, key: bytes) -> float:
        """When the entry was written; before all others where it is empty or of the same content."""
        _, found, when, *_ = _HEAD.unpack_from(self._entries, at)
        return -1.0 if found == key else float(when)

    def __len__(self) -> int:
        return sum(_HEAD.unpack_from(self._entries, at)[1] != bytes(32) for at in range(0, len(self._entries), _ENTRY))


def _check(entry: bytes) -> bytes:
    return blake2b(entry[16:], digest_size=16).digest()
