"""The scanner pool of one worker: endpoints in order, each used only while its canary is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from mailgate.inspect.canaries import CHEAP, LEAST, Canary, Fault, Proved, UnfitScannerError, cuts_off, judged, proof
from mailgate.inspect.canary_files import large
from mailgate.inspect.clamd import Client, Sample, ScannerLostError
from mailgate.inspect.replies import CLEAN, ReplyError, ScanResult, Version, unscanned
from mailgate.model.verdict import Unscanned, Verdict

LARGEST = 50 << 20  # bytes of a file in an archive that are tried beforehand; what is larger when it comes
_STEP = 64 << 20
CANARY_EVERY = 10.0
VERSION_EVERY = 3.0
HEALTH_PATIENCE = 15.0  # a reload without ConcurrentDatabaseReload keeps a sound scanner silent for a while
FIRST_BACK_OFF = 0.2
LONGEST_BACK_OFF = 10.0

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Health:
    """One endpoint as last seen; `trouble` is empty where it may be used, `faults` are what it has not proved. One with
    faults and without trouble is used, but can't scan every file."""

    name: str
    trouble: str
    version: Version | None
    faults: tuple[Fault, ...] = ()


class Engine(Struct, frozen=True):
    """Who answers: the endpoint, and what it runs. `state` counts how often it had to prove itself anew; `opens` are
    the types of archives that it was seen to open."""

    scanner: str
    version: Version
    state: int = 0
    opens: frozenset[str] = frozenset()


class ScanBatch(Struct, frozen=True):
    """`results` in the order of the samples; `engine` answered last (None: nobody did); `seconds` spent waiting;
    `remembered` verdicts that no scanner was asked for."""

    results: tuple[ScanResult, ...]
    engine: Engine | None = None
    seconds: float = 0.0
    remembered: int = 0


class Reach:
    """How much a scanner was seen to unpack: sizes of the largest file and of all files, with what came of it."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], ScanResult] = {(LEAST, LEAST): CLEAN}

    def add(self, member: int, total: int, answer: ScanResult) -> None:
        self._known[member, total] = answer

    def knows(self, member: int, total: int) -> ScanResult | None:
        for (tried_member, tried_total), answer in self._known.items():
            if answer == CLEAN and tried_member >= member and tried_total >= total:
                return answer
            if answer != CLEAN and tried_member <= member and tried_total <= total:
                return answer
        return None


def _steps(member: int, total: int) -> tuple[tuple[int, int], ...]:
    """What is tried, so that few trials answer for many sizes: rounded up by much, by less, not at all."""
    much = (-(-member // _STEP) * _STEP, -(-total // _STEP) * _STEP)
    return much, (1 << (member - 1).bit_length(), 1 << (total - 1).bit_length()), (member, total)


def _beyond(size: int) -> ScanResult:
    return unscanned(Unscanned.LIMIT, f"the scanner does not look at a file of {-(-size >> 20)} MiB in an archive")


class Endpoint:
    """One scanner with its health: it proves itself before use (all canaries after a failure, a change of version and
    where its process may be another; the cheap ones every CANARY_EVERY seconds and after every error), and a circuit
    breaker (after a failure it rests, twice as long each time)."""

    def __init__(self, client: Client, clock: Clock, largest: int) -> None:
        self._client = client
        self._clock = clock
        self._largest = largest
        self._peer: object = None
        self._well_until = 0.0
        self._version_until = 0.0
        self._rest_until = 0.0
        self._failures = 0
        self._proofs = 0
        self._reach = Reach()
        self.trouble = "not asked yet"
        self.faults: tuple[Fault, ...] = ()
        self.engine: Engine | None = None

    @property
    def name(self) -> str:
        return self._client.name

    @property
    def is_resting(self) -> bool:
        return self._clock() < self._rest_until

    def doubt(self) -> None:
        """All of it has to be proved again."""
        self._peer = None
        self._well_until = 0.0

    def prepare(self, deadline: float) -> bool:
        """True where the endpoint may be used now; asks version and canaries if they are due."""
        if self.is_resting:
            return False
        deadline = min(deadline, time.monotonic() + HEALTH_PATIENCE)
        try:
            self._client.open(deadline)
            now = self._clock()
            if self._client.peer != self._peer or now >= self._well_until or now >= self._version_until:
                self._check(now, deadline)
        except UnfitScannerError as error:
            self._fail(str(error), error.faults)
            return False
        except (ScannerLostError, ReplyError) as error:
            self._fail(str(error))
            return False
        self._failures, self.trouble = 0, ""
        return True

    def _check(self, now: float, deadline: float) -> None:
        peer, version = self._client.peer, self._client.ask_version(deadline)
        is_known = self.engine is not None and version == self.engine.version and peer == self._peer
        if not is_known or now >= self._well_until:
            self._ask(CHEAP, deadline)
            self._well_until = now + CANARY_EVERY
        if not is_known:
            proved = self._ask(proof(self._largest), deadline)
            self._proofs += 1
            self.faults = proved.faults
            self.engine = Engine(self.name, version, self._proofs, proved.opens)
            self._reach = Reach()
            for size, is_seen in proved.is_seen:
                self._reach.add(size, size, CLEAN if is_seen else _beyond(size))
        if self._client.peer != peer:
            raise ScannerLostError(f"{self.name}: started anew while it was asked")
        self._peer = peer
        self._version_until = now + VERSION_EVERY

    def _ask(self, canaries: Sequence[Canary], deadline: float) -> Proved:
        results: dict[int, ScanResult] = {}
        self._client.scan({number: Sample(each.pieces) for number, each in enumerate(canaries)}, results, deadline)
        return judged(self.name, canaries, results)

    def reach(self, member: int, total: int, deadline: float) -> ScanResult:
        """CLEAN where the scanner was seen to go through files of `member` bytes, `total` bytes in all, when they come
        out of one; a limit where it told that it does not; an error where it would call them clean unseen."""
        known = self._reach.knows(member, total)
        if known is not None:
            return known
        answer = CLEAN
        for size in _steps(member, total):
            answer = self._reach.knows(*size) or self._try(*size, deadline)
            if answer == CLEAN:
                break
        return answer

    def _try(self, member: int, total: int, deadline: float) -> ScanResult:
        if not self.prepare(deadline):
            return unscanned(Unscanned.SCANNER_ERROR, self.trouble)
        found: dict[int, ScanResult] = {}
        try:
            self._client.scan({0: Sample(large(member, total))}, found, deadline)
        except ScannerLostError as error:
            return unscanned(Unscanned.SCANNER_ERROR, str(error))
        answer = found[0]
        if answer.verdict is Verdict.CLEAN:
            answer = unscanned(Unscanned.SCANNER_ERROR, f"{self.name}: {cuts_off(member)}")
        elif answer.verdict is Verdict.INFECTED:
            answer = CLEAN
        elif answer.is_transient:
            return answer
        else:
            answer = _beyond(total)
        self._reach.add(member, total, answer)
        return answer

    def scan(self, samples: Mapping[int, Sample], results: dict[int, ScanResult], deadline: float) -> None:
        """Scan into `results`; samples that this endpoint could not answer get NOT_SCANNED(SCANNER_ERROR).

        When a session ends in the middle, the unanswered samples are tried once more, each alone: so a sample that
        makes the scanner hang up takes no other with it."""
        try:
            self._scan(samples, results, deadline)
        except ScannerLostError as error:
            self._well_until = 0.0
            left = {key: sample for key, sample in samples.items() if key not in results}
            if error.is_timeout:
                self._fail(str(error))
            for key, sample in left.items():
                results[key] = self._scan_alone(sample, error, deadline)
        if any(results[key].is_transient for key in samples):
            self._well_until = 0.0

    def _scan(self, samples: Mapping[int, Sample], results: dict[int, ScanResult], deadline: float) -> None:
        """Raises ScannerLostError, also where the session was opened anew, with a scanner that has proved nothing."""
        answers: dict[int, ScanResult] = {}
        try:
            self._client.scan(samples, answers, deadline)
        finally:
            if self._client.peer == self._peer:
                results |= answers
        if self._client.peer != self._peer:
            raise ScannerLostError(f"{self.name}: started anew")

    def _scan_alone(self, sample: Sample, first: ScannerLostError, deadline: float) -> ScanResult:
        if not self.prepare(deadline):
            return unscanned(Unscanned.SCANNER_ERROR, str(first))
        alone: dict[int, ScanResult] = {}
        try:
            self._scan({0: sample}, alone, deadline)
        except ScannerLostError as error:
            self._well_until = 0.0
            if error.is_timeout:
                self._fail(str(error))
            elif error.was_reset and self.prepare(deadline):
                return unscanned(Unscanned.LIMIT, f"{error}: longer than the scanner's StreamMaxLength")
            return unscanned(Unscanned.SCANNER_ERROR, str(error))
        return alone[0]

    def _fail(self, trouble: str, faults: tuple[Fault, ...] = ()) -> None:
        self._client.disconnect()
        self.doubt()
        self.trouble, self.faults = trouble, faults
        self._failures += 1
        self._rest_until = self._clock() + min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** (self._failures - 1))


class ScannerPool:
    """Implements `samples.Scanner`: the first endpoint that is well scans; what it can't answer goes to the next.
    `largest`: see canaries.proof."""

    def __init__(self, clients: Sequence[Client], clock: Clock = time.monotonic, largest: int = LARGEST) -> None:
        self._endpoints = [Endpoint(client, clock, largest) for client in clients]

    def engine(self, deadline: float) -> Engine | None:
        """Who would answer now; None where nobody is well."""
        return next((each.engine for each in self._endpoints if each.prepare(deadline)), None)

    def doubt(self) -> None:
        """Each endpoint has to prove itself anew before its next use."""
        for endpoint in self._endpoints:
            endpoint.doubt()

    def reach(self, member: int, total: int, deadline: float) -> ScanResult:
        """Whether who would answer now goes through so much: see Endpoint."""
        well = next((each for each in self._endpoints if each.prepare(deadline)), None)
        if well is None:
            return unscanned(Unscanned.SCANNER_DOWN, "; ".join(each.trouble for each in self._endpoints))
        return well.reach(member, total, deadline)

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
            Health(each.name, each.trouble, each.engine.version if each.engine else None, each.faults)
            for each in self._endpoints
        )
