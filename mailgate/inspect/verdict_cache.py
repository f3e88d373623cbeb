"""Verdicts remembered by digest: an attachment that comes again is not scanned again.

Each inspector remembers for itself: one that is taken over by a message must not speak for the others."""

from __future__ import annotations

import time

from mailgate.inspect.replies import ScanResult
from mailgate.inspect.scanners import Clock, Engine
from mailgate.model.verdict import Verdict

CAPACITY = 16_384  # verdicts
LIFETIME = 300.0
UNVERSIONED_LIFETIME = 5.0


class VerdictCache:
    """Verdicts of one state of one engine: another finds none of them. All but NOT_SCANNED are kept: what was not
    scanned is asked again.

    They die after LIFETIME seconds, since nobody tells of signatures that were added beside the official ones; those of
    a database without a version after UNVERSIONED_LIFETIME."""

    def __init__(self, clock: Clock = time.monotonic, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._engine: Engine | None = None
        self._lifetime = 0.0
        self._known: dict[str, tuple[float, ScanResult]] = {}

    def begin(self, engine: Engine) -> None:
        """To be called before each message's look-ups with the engine that would answer now."""
        if engine != self._engine:
            self._engine = engine
            self._lifetime = LIFETIME if engine.version.signatures else UNVERSIONED_LIFETIME
            self._known.clear()

    def get(self, digest: str) -> ScanResult | None:
        when, result = self._known.get(digest, (0.0, None))
        if result is not None and self._clock() - when >= self._lifetime:
            del self._known[digest]
            return None
        return result

    def put(self, digest: str, result: ScanResult) -> None:
        if result.verdict is Verdict.NOT_SCANNED:
            return
        self._known.pop(digest, None)  # the order is that of age
        self._known[digest] = self._clock(), result
        if len(self._known) > self._capacity:
            del self._known[next(iter(self._known))]

    def __len__(self) -> int:
        return len(self._known)
