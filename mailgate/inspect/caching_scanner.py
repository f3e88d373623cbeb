"""A scanner pool in front of which verdicts are remembered."""

from __future__ import annotations

from collections.abc import Sequence

from mailgate.inspect.clamd import Sample
from mailgate.inspect.replies import ScanResult
from mailgate.inspect.scanners import ScanBatch, ScannerPool
from mailgate.inspect.verdict_cache import VerdictCache


class CachingScanner:
    """Implements `samples.Scanner` on a pool: samples with a digest are looked up before they are scanned."""

    def __init__(self, pool: ScannerPool, cache: VerdictCache) -> None:
        self._pool = pool
        self._cache = cache

    def doubt(self) -> None:
        """What was remembered and proved counts no longer. Safe in a signal handler."""
        self._pool.doubt()

    def reach(self, member: int, total: int, deadline: float) -> ScanResult:
        return self._pool.reach(member, total, deadline)

    def scan(self, samples: Sequence[Sample], deadline: float) -> ScanBatch:
        engine = self._pool.engine(deadline)
        if engine is None:
            return self._pool.scan(samples, deadline)
        self._cache.begin(engine)
        known: dict[int, ScanResult] = {}
        for position, sample in enumerate(samples):
            remembered = self._cache.get(sample.digest) if sample.digest else None
            if remembered is not None:
                known[position] = remembered
        left = {position: sample for position, sample in enumerate(samples) if position not in known}
        if not left:
            return ScanBatch(tuple(known[position] for position in range(len(samples))), engine, 0.0, len(known))
        batch = self._pool.scan(list(left.values()), deadline)
        for (position, sample), result in zip(left.items(), batch.results, strict=True):
            if sample.digest and batch.engine == engine:  # after a failover the answer is another engine's
                self._cache.put(sample.digest, result)
            known.setdefault(position, result)
        results = tuple(known[position] for position in range(len(samples)))
        return ScanBatch(results, batch.engine or engine, batch.seconds, len(samples) - len(left))
