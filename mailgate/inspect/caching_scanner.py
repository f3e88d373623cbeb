"""A scanner pool in front of which verdicts are remembered: each content is scanned once, whoever meets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailgate.inspect.clamd import Sample
from mailgate.inspect.replies import ScanResult
from mailgate.inspect.scanners import Engine, ScanBatch, ScannerPool
from mailgate.inspect.verdict_cache import VerdictCache


@dataclass(slots=True)
class _Answers:
    """What is known so far of one message's samples, by their position; `engine` answered last."""

    engine: Engine
    results: dict[int, ScanResult] = field(default_factory=dict)
    seconds: float = 0.0
    scanned: int = 0


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
        answers = _Answers(engine)
        left = self._look_up(dict(enumerate(samples)), answers)
        elsewhere = self._scan_mine(left, answers, deadline)
        for position, sample in elsewhere.items():
            self._await(position, sample, answers, deadline)
        results = tuple(answers.results[position] for position in range(len(samples)))
        remembered = sum(bool(sample.digest) for sample in samples) - answers.scanned
        return ScanBatch(results, answers.engine, answers.seconds, remembered)

    def _look_up(self, samples: dict[int, Sample], answers: _Answers) -> dict[int, Sample]:
        """The samples whose verdict nobody knows yet."""
        for position, sample in samples.items():
            known = self._cache.get(sample.digest) if sample.digest else None
            if known is not None:
                answers.results[position] = known
        return {position: sample for position, sample in samples.items() if position not in answers.results}

    def _scan_mine(self, samples: dict[int, Sample], answers: _Answers, deadline: float) -> dict[int, Sample]:
        """Scan all but what another inspector is scanning just now: those are returned."""
        claimed = [sample.digest for sample in samples.values() if sample.digest and self._cache.claim(sample.digest)]
        try:
            mine = {key: sample for key, sample in samples.items() if not sample.digest or sample.digest in claimed}
            # The one who held the claim before may have finished since the look-up.
            self._scan(self._look_up(mine, answers), answers, deadline)
        finally:
            for digest in claimed:
                self._cache.release(digest)
        return {key: sample for key, sample in samples.items() if key not in mine}

    def _await(self, position: int, sample: Sample, answers: _Answers, deadline: float) -> None:
        """The verdict that another inspector came to; if it came to none, or is dead, one of our own."""
        claimed = self._cache.wait(sample.digest, deadline)
        try:
            self._scan(self._look_up({position: sample}, answers), answers, deadline)
        finally:
            if claimed:
                self._cache.release(sample.digest)

    def _scan(self, samples: dict[int, Sample], answers: _Answers, deadline: float) -> None:
        if not samples:
            return
        batch = self._pool.scan(list(samples.values()), deadline)
        answers.results |= dict(zip(samples, batch.results, strict=True))
        answers.seconds += batch.seconds
        is_same_engine = batch.engine == answers.engine  # after a failover the answer is another engine's
        for sample, result in zip(samples.values(), batch.results, strict=True):
            if sample.digest:
                answers.scanned += 1
                if is_same_engine:
                    self._cache.put(sample.digest, result)
        answers.engine = batch.engine or answers.engine
