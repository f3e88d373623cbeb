"""The scanner pool of one worker: endpoints in order, each used only while its canary is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clamd import EICAR
from msgspec import Struct

from mailgate.inspect.clamd import Client, Sample, ScannerLostError
from mailgate.inspect.replies import ReplyError, ScanResult, Version, unscanned
from mailgate.model.verdict import Unscanned, Verdict

CANARY_EVERY = 10.0
VERSION_EVERY = 3.0
HEALTH_PATIENCE = 15.0  # a reload without ConcurrentDatabaseReload keeps a sound scanner silent for a while
FIRST_BACK_OFF = 0.2
LONGEST_BACK_OFF = 10.0

Clock = Callable[[], float]

_CANARIES = {0: Sample((EICAR.strip(),)), 1: Sample((b"This text is known to be clean.\r\n",))}


@dataclass(frozen=True, slots=True)
class Health:
    """One endpoint as last seen; `trouble` is empty where it may be used."""

    name: str
    trouble: str
    version: Version | None


class Engine(Struct, frozen=True):
    """Who answers: the endpoint, and what it runs."""

    scanner: str
    version: Version


class ScanBatch(Struct, frozen=True):
    """`results` in the order of the samples; `engine` answered last (None: nobody did); `seconds` spent waiting;
    `remembered` verdicts that no scanner was asked for."""

    results: tuple[ScanResult, ...]
    engine: Engine | None = None
    seconds: float = 0.0
    remembered: int = 0


class Endpoint:
    """One scanner with its health: a canary before use (every CANARY_EVERY seconds, after every error, after every
    change of version) and a circuit breaker (after a failure it rests, twice as long each time)."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._well_until = 0.0
        self._version_until = 0.0
        self._rest_until = 0.0
        self._failures = 0
        self.trouble = "not asked yet"
        self.engine: Engine | None = None

    @property
    def name(self) -> str:
        return self._client.name

    @property
    def is_resting(self) -> bool:
        return self._clock() < self._rest_until

    def prepare(self, deadline: float) -> bool:
        """True where the endpoint may be used now; asks version and canary if they are due."""
        if self.is_resting:
            return False
        now = self._clock()
        if now < self._well_until and now < self._version_until:
            return True
        deadline = min(deadline, time.monotonic() + HEALTH_PATIENCE)
        try:
            self._check(now, deadline)
        except (ScannerLostError, ReplyError) as error:
            self._fail(str(error))
            return False
        self._failures, self.trouble = 0, ""
        return True

    def _check(self, now: float, deadline: float) -> None:
        engine = Engine(self.name, self._client.ask_version(deadline))
        if engine != self.engine or now >= self._well_until:
            found: dict[int, ScanResult] = {}
            self._client.scan(_CANARIES, found, deadline)
            if found[0].verdict is not Verdict.INFECTED:
                raise ReplyError(f"{self.name}: does not find the EICAR test file: it has no usable signatures")
            if found[1].verdict is not Verdict.CLEAN:
                raise ReplyError(f"{self.name}: does not find a harmless text clean: {found[1].detail}")
            self._well_until = now + CANARY_EVERY
        self.engine = engine
        self._version_until = now + VERSION_EVERY

    def scan(self, samples: Mapping[int, Sample], results: dict[int, ScanResult], deadline: float) -> None:
        """Scan into `results`; samples that this endpoint could not answer get NOT_SCANNED(SCANNER_ERROR).

        When a session ends in the middle, the unanswered samples are tried once more, each alone: so a sample that
        makes the scanner hang up takes no other with it."""
        try:
            self._client.scan(samples, results, deadline)
        except ScannerLostError as error:
            self._well_until = 0.0
            left = {key: sample for key, sample in samples.items() if key not in results}
            if error.is_timeout:
                self._fail(str(error))
            for key, sample in left.items():
                results[key] = self._scan_alone(sample, error, deadline)
        if any(results[key].is_transient for key in samples):
            self._well_until = 0.0

    def _scan_alone(self, sample: Sample, first: ScannerLostError, deadline: float) -> ScanResult:
        if not self.prepare(deadline):
            return unscanned(Unscanned.SCANNER_ERROR, str(first))
        alone: dict[int, ScanResult] = {}
        try:
            self._client.scan({0: sample}, alone, deadline)
        except ScannerLostError as error:
            self._well_until = 0.0
            if error.is_timeout:
                self._fail(str(error))
            elif error.was_reset and self.prepare(deadline):
                return unscanned(Unscanned.LIMIT, f"{error}: longer than the scanner's StreamMaxLength")
            return unscanned(Unscanned.SCANNER_ERROR, str(error))
        return alone[0]

    def _fail(self, trouble: str) -> None:
        self._client.disconnect()
        self.trouble = trouble
        self._failures += 1
        self._well_until = 0.0
        self._rest_until = self._clock() + min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** (self._failures - 1))


class ScannerPool:
    """Implements `samples.Scanner`: the first endpoint that is well scans; what it can't answer goes to the next."""

    def __init__(self, clients: Sequence[Client], clock: Clock = time.monotonic) -> None:
        self._endpoints = [Endpoint(client, clock) for client in clients]

    def engine(self, deadline: float) -> Engine | None:
        """Who would answer now; None where nobody is well."""
        return next((each.engine for each in self._endpoints if each.prepare(deadline)), None)

    def scan(self, samples: Sequence[Sample], deadline: float) -> ScanBatch:
        """Never raises for trouble with a scanner: such samples are NOT_SCANNED(SCANNER_DOWN or SCANNER_ERROR)."""
        started = time.monotonic()
        results: dict[int, ScanResult] = {}
        left = dict(enumerate(samples))
        engine: Engine | None = None
        for position, endpoint in enumerate(self._endpoints):
            share = (deadline - time.monotonic()) / (len(self._endpoints) - position)
            patience = time.monotonic() + share  # one that hangs must leave time for those after it
            if not left or not endpoint.prepare(patience):
                continue
            engine = endpoint.engine
            answers: dict[int, ScanResult] = {}
            endpoint.scan(left, answers, patience)
            results |= answers
            left = {key: sample for key, sample in left.items() if answers[key].is_transient}
        if len(results) < len(samples):
            down = unscanned(Unscanned.SCANNER_DOWN, "; ".join(each.trouble for each in self._endpoints))
            results = dict.fromkeys(range(len(samples)), down) | results
        return ScanBatch(tuple(results[key] for key in range(len(samples))), engine, time.monotonic() - started)

    def health(self, deadline: float) -> tuple[Health, ...]:
        """Each endpoint asked now, whether or not it is its turn."""
        for endpoint in self._endpoints:
            endpoint.prepare(deadline)
        return tuple(
            Health(each.name, each.trouble, each.engine.version if each.engine else None) for each in self._endpoints
        )
