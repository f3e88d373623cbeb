"""Verdicts remembered by digest, so that an attachment that comes again is not scanned again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence

from mailgate.inspect.clamd import Sample
from mailgate.inspect.replies import ScanResult
from mailgate.inspect.scanners import Clock, Engine, ScanBatch, ScannerPool
from mailgate.model.verdict import Verdict

CAPACITY = 20_000  # verdicts; about 5 MB
UNVERSIONED_LIFETIME = 5.0


class VerdictCache:
    """At most `capacity` verdicts of one engine (endpoint with its limits, software, signatures); another engine
    empties it. Only CLEAN and INFECTED are kept: what was not scanned is asked again.

    Verdicts of a database without a version die after UNVERSIONED_LIFETIME seconds: its reloads can't be noticed."""

    def __init__(self, clock: Clock = time.monotonic, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._engine: Engine | None = None
        self._dies_at = 0.0
        self._verdicts: OrderedDict[str, ScanResult] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def begin(self, engine: Engine) -> None:
        """To be called before each message's look-ups with the engine that would answer now."""
        now = self._clock()
        if engine != self._engine or (not engine.version.signatures and now >= self._dies_at):
            self._verdicts.clear()
            self._engine = engine
            self._dies_at = now + UNVERSIONED_LIFETIME

    def get(self, digest: str) -> ScanResult | None:
        found = self._verdicts.get(digest)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._verdicts.move_to_end(digest)
        return found

    def put(self, digest: str, result: ScanResult) -> None:
        if result.verdict is Verdict.NOT_SCANNED:
            return
        self._verdicts[digest] = result
        self._verdicts.move_to_end(digest)
        if len(self._verdicts) > self._capacity:
            self._verdicts.popitem(last=False)

    def __len__(self) -> int:
        return len(self._verdicts)


class CachingScanner:
    """Implements `samples.Scanner` on a pool: samples with a digest are looked up before they are scanned."""

    def __init__(self, pool: ScannerPool, cache: VerdictCache) -> None:
        self._pool = pool
        self._cache = cache

    def scan(self, samples: Sequence[Sample], deadline: float) -> ScanBatch:
        engine = self._pool.engine(deadline)
        if engine is None:
            return self._pool.scan(samples, deadline)
        self._cache.begin(engine)
        known = {sample.digest: self._cache.get(sample.digest) for sample in samples if sample.digest}
        batch = self._pool.scan([sample for sample in samples if known.get(sample.digest) is None], deadline)
        fresh = iter(batch.results)
        results = []
        for sample in samples:
            result = known.get(sample.digest)
            if result is None:
                result = next(fresh)
                if sample.digest and batch.engine == engine:  # after a failover the answer is another engine's
                    self._cache.put(sample.digest, result)
            results.append(result)
        return ScanBatch(tuple(results), batch.engine or engine, batch.seconds)
