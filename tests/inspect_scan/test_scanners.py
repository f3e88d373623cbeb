"""The pool against scanners that misbehave in ways a real one does not on demand; the clock is moved by hand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest

from mailgate.inspect.canaries import CHEAP, Expected, proof
from mailgate.inspect.canary_files import EICAR
from mailgate.inspect.clamd import Sample, ScannerLostError, UnixClient, client
from mailgate.inspect.replies import CLEAN, ScanResult, Version, unscanned
from mailgate.inspect.scanners import (
    CANARY_EVERY,
    FIRST_BACK_OFF,
    LARGEST,
    LONGEST_BACK_OFF,
    VERSION_EVERY,
    ScannerPool,
)
from mailgate.model.verdict import Unscanned, Verdict
from tests.support.clock import ManualClock
from tests.support.faults import Fault, FaultyClamd

FOUND = ScanResult(Verdict.INFECTED, signature="Test.Eicar")
TEXT = [Sample((b"text",))]


LIMIT = unscanned(Unscanned.LIMIT, "Heuristics.Limits.Exceeded")
GOOD_ANSWERS = {
    Expected.FOUND: FOUND,
    Expected.CLEAN: CLEAN,
    Expected.LIMIT: LIMIT,
    Expected.ENCRYPTED: unscanned(Unscanned.ENCRYPTED, "Heuristics.Encrypted"),
    Expected.FOUND_OR_LIMIT: FOUND,
}
CANARIES = {b"".join(each.pieces): GOOD_ANSWERS[each.expected] for each in (*CHEAP, *proof(LARGEST))}


class FakeClient:
    """Answers the canaries well unless `is_sick`; `behave` decides about everything else. `proofs` counts how often all
    of them were asked, `canaries` the cheap ones; `peer` is the process that answers."""

    def __init__(self, name: str = "unix:/fake", behave: Callable[[bytes], ScanResult] = lambda content: CLEAN) -> None:
        self.name = name
        self.behave = behave
        self.version = Version("ClamAV 1.4.6", "27800")
        self.is_sick = False
        self.canaries = 0
        self.proofs = 0
        self.versions = 0
        self.scanned: list[bytes] = []
        self.peer: object = 1

    def open(self, deadline: float) -> None:
        pass

    def scan(self, samples: Mapping[int, Sample], results: dict[int, ScanResult], deadline: float) -> None:
        self.proofs += len(samples) > len(CHEAP) and all(b"".join(each.pieces) in CANARIES for each in samples.values())
        for key, sample in samples.items():
            content = b"".join(sample.pieces)
            known = CANARIES.get(content)
            self.canaries += content == EICAR
            if known is None:
                self.scanned.append(content)
                results[key] = self.behave(content)
            else:
                results[key] = CLEAN if self.is_sick else known

    def ask_version(self, deadline: float) -> Version:
        self.versions += 1
        return self.version

    def disconnect(self) -> None:
        pass


def soon() -> float:
    return time.monotonic() + 30


def verdict(pool: ScannerPool) -> tuple[Verdict, Unscanned | None]:
    result = pool.scan(TEXT, soon()).results[0]
    return result.verdict, result.reason


def lost(content: bytes) -> ScanResult:
    raise ScannerLostError("gone")


def hangs(content: bytes) -> ScanResult:
    raise ScannerLostError("no answer in time", is_timeout=True)


DOWN = (Verdict.NOT_SCANNED, Unscanned.SCANNER_DOWN)
ERROR = (Verdict.NOT_SCANNED, Unscanned.SCANNER_ERROR)
CLEAN_NOW = (Verdict.CLEAN, None)


def test_the_canary_sings_before_use_and_again_when_it_is_due() -> None:
    scanner, clock = FakeClient(), ManualClock()
    pool = ScannerPool([scanner], clock)
    for _ in range(5):
        assert verdict(pool) == CLEAN_NOW
    assert scanner.canaries == 1
    clock.advance(CANARY_EVERY)
    assert verdict(pool) == CLEAN_NOW
    assert scanner.canaries == 2


def test_an_endpoint_whose_canary_fails_is_not_used() -> None:
    scanner = FakeClient()
    scanner.is_sick = True
    assert verdict(ScannerPool([scanner], ManualClock())) == DOWN
    assert scanner.scanned == []


def test_the_next_endpoint_takes_over_and_the_first_comes_back() -> None:
    first, second, clock = FakeClient("unix:/1"), FakeClient("unix:/2"), ManualClock()
    pool = ScannerPool([first, second], clock)
    first.is_sick = True
    assert verdict(pool) == CLEAN_NOW
    assert (first.scanned, second.scanned) == ([], [b"text"])
    first.is_sick = False
    clock.advance(FIRST_BACK_OFF)
    batch = pool.scan(TEXT, soon())
    assert batch.engine is not None and batch.engine.scanner == "unix:/1"


def test_a_sick_endpoint_rests_longer_each_time_but_not_for_ever() -> None:
    scanner, clock = FakeClient(), ManualClock()
    scanner.is_sick = True
    pool = ScannerPool([scanner], clock)
    asked_at = []
    for _ in range(6000):
        before = scanner.canaries
        pool.scan(TEXT, soon())
        if scanner.canaries > before:
            asked_at.append(clock.now)
        clock.advance(0.01)
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(FIRST_BACK_OFF, abs=0.02)
    assert pauses[-1] == pytest.approx(LONGEST_BACK_OFF, abs=0.02)


def test_an_error_answer_goes_to_the_next_endpoint() -> None:
    first = FakeClient("unix:/1", lambda content: unscanned(Unscanned.SCANNER_ERROR, "Can't allocate memory"))
    second = FakeClient("unix:/2", lambda content: FOUND)
    assert verdict(ScannerPool([first, second], ManualClock())) == (Verdict.INFECTED, None)


def test_an_error_answer_from_everyone_is_the_scanners_error_and_asks_the_canary_again() -> None:
    scanner = FakeClient(behave=lambda content: unscanned(Unscanned.SCANNER_ERROR, "Can't allocate memory"))
    pool = ScannerPool([scanner], ManualClock())
    assert verdict(pool) == ERROR
    assert verdict(pool) == ERROR
    assert scanner.canaries == 2


@pytest.mark.parametrize("reason", [Unscanned.LIMIT, Unscanned.ENCRYPTED])
def test_what_the_message_is_to_blame_for_is_not_asked_elsewhere(reason: Unscanned) -> None:
    first = FakeClient("unix:/1", lambda content: unscanned(reason, "it"))
    second = FakeClient("unix:/2")
    assert verdict(ScannerPool([first, second], ManualClock())) == (Verdict.NOT_SCANNED, reason)
    assert second.scanned == []


def test_a_lost_connection_is_tried_once_more() -> None:
    scanner = FakeClient()
    tries = iter([lost, lambda content: FOUND])
    scanner.behave = lambda content: next(tries)(content)
    assert verdict(ScannerPool([scanner], ManualClock())) == (Verdict.INFECTED, None)


def test_a_sample_that_always_kills_the_session_takes_no_other_with_it() -> None:
    scanner = FakeClient(behave=lambda content: lost(content) if content == b"deadly" else CLEAN)
    pool = ScannerPool([scanner], ManualClock())
    results = pool.scan([Sample((content,)) for content in (b"a", b"deadly", b"b")], soon()).results
    assert [result.reason for result in results] == [None, Unscanned.SCANNER_ERROR, None]


def test_a_hanging_scanner_is_asked_once_and_then_rests() -> None:
    scanner, clock = FakeClient(behave=hangs), ManualClock()
    pool = ScannerPool([scanner], clock)
    assert verdict(pool) == ERROR
    assert len(scanner.scanned) == 1
    assert verdict(pool) == DOWN
    assert len(scanner.scanned) == 1


def test_a_hanging_first_endpoint_leaves_time_for_the_second() -> None:
    first, second = FakeClient("unix:/1", hangs), FakeClient("unix:/2")
    assert verdict(ScannerPool([first, second], ManualClock())) == CLEAN_NOW


def test_the_version_is_asked_every_few_seconds_and_a_new_one_brings_the_canary() -> None:
    scanner, clock = FakeClient(), ManualClock()
    pool = ScannerPool([scanner], clock)
    verdict(pool)
    clock.advance(VERSION_EVERY)
    verdict(pool)
    assert (scanner.versions, scanner.canaries) == (2, 1)
    scanner.version = Version("ClamAV 1.4.6", "27801")
    clock.advance(VERSION_EVERY)
    engine = pool.scan(TEXT, soon()).engine
    assert (engine and engine.version.signatures, scanner.canaries) == ("27801", 2)


def test_health_names_each_endpoint_and_its_trouble() -> None:
    well, sick = FakeClient("unix:/1"), FakeClient("unix:/2")
    sick.is_sick = True
    health = ScannerPool([well, sick], ManualClock()).health(soon())
    assert [(each.name, bool(each.trouble)) for each in health] == [("unix:/1", False), ("unix:/2", True)]
    assert "EICAR" in health[1].trouble


@pytest.mark.parametrize("fault", list(Fault))
def test_no_fault_of_a_scanner_makes_anything_clean(fault: Fault) -> None:
    with FaultyClamd(fault) as faulty:
        pool = ScannerPool([client(faulty.endpoint)], ManualClock())
        patience = 0.3 if fault is Fault.HANG else 10.0
        result = pool.scan(TEXT, time.monotonic() + patience).results[0]
    assert (result.verdict, result.is_transient) == (Verdict.NOT_SCANNED, True)


def test_everything_is_proved_once_for_each_state_of_a_scanner() -> None:
    scanner, clock = FakeClient(), ManualClock()
    pool = ScannerPool([scanner], clock)
    for _ in range(5):
        verdict(pool)
        clock.advance(CANARY_EVERY)
    assert (scanner.proofs, scanner.canaries) == (1, 5)
    scanner.version = Version("ClamAV 1.4.6", "27801")
    verdict(pool)
    assert scanner.proofs == 2
    scanner.peer = 2
    verdict(pool)
    assert scanner.proofs == 3
    pool.doubt()
    verdict(pool)
    assert scanner.proofs == 4


def test_an_engine_that_had_to_prove_itself_anew_is_another() -> None:
    scanner, clock = FakeClient(), ManualClock()
    pool = ScannerPool([scanner], clock)
    first = pool.engine(soon())
    assert first is not None and pool.engine(soon()) == first and "application/zip" in first.opens
    scanner.is_sick = True
    clock.advance(CANARY_EVERY)
    assert pool.engine(soon()) is None
    scanner.is_sick = False
    clock.advance(LONGEST_BACK_OFF)
    assert pool.engine(soon()) not in (None, first)


def test_what_a_scanner_says_that_started_anew_in_the_middle_counts_only_once_it_is_proved() -> None:
    scanner = FakeClient()
    pool = ScannerPool([scanner], ManualClock())
    verdict(pool)

    def restarted(content: bytes) -> ScanResult:
        scanner.behave = lambda content: FOUND
        scanner.peer = 2
        return CLEAN

    scanner.behave = restarted
    assert verdict(pool) == (Verdict.INFECTED, None)
    assert (len(scanner.scanned), scanner.proofs) == (3, 2)


class Sizes(FakeClient):
    """A scanner that sees `seen` bytes of a file, tells of `told` bytes that it does not see them, and is silent in
    between."""

    def __init__(self, seen: int, told: int) -> None:
        super().__init__(behave=self.answer)
        self.seen, self.told = seen << 20, told << 20

    def answer(self, content: bytes) -> ScanResult:
        size = int.from_bytes(content[22:26], "little")  # the first member's, as its header says
        return FOUND if size <= self.seen else LIMIT if size > self.told else CLEAN


@pytest.mark.parametrize(
    ("seen", "told", "size", "expected", "trials"),
    [
        (400, 400, 45, CLEAN_NOW, 0),
        (400, 400, 60, CLEAN_NOW, 1),
        (100, 100, 90, CLEAN_NOW, 2),  # 128 MiB is told to be too much, 90 is not
        (100, 100, 101, (Verdict.NOT_SCANNED, Unscanned.LIMIT), 2),
        (60, 300, 90, ERROR, 2),  # called clean unseen: the scanner's fault, not the message's
    ],
)
def test_how_much_a_scanner_unpacks_is_tried_when_it_matters(
    seen: int, told: int, size: int, expected: tuple[Verdict, Unscanned | None], trials: int
) -> None:
    scanner = Sizes(seen, told)
    pool = ScannerPool([scanner], ManualClock())
    for _ in range(3):
        result = pool.reach(size << 20, size << 20, soon())
        assert (result.verdict, result.reason) == expected
    assert len(scanner.scanned) == trials


def test_how_much_a_scanner_unpacks_is_tried_anew_after_a_change() -> None:
    scanner = Sizes(400, 400)
    pool = ScannerPool([scanner], ManualClock())
    assert pool.reach(100 << 20, 200 << 20, soon()) == CLEAN
    scanner.seen = scanner.told = 64 << 20
    scanner.peer = 2
    assert pool.reach(100 << 20, 200 << 20, soon()).reason is Unscanned.LIMIT


@pytest.mark.parametrize(
    "answers",
    [
        (b"1: fd[9]: OK", b"2: fd[9]: OK", b"2: fd[9]: OK"),  # the second one came ahead of its time
        (b"1: fd[9]: OK", b"1: fd[9]: Test.Eicar FOUND"),
        (b"1: fd[9]: OK", b"9: fd[9]: OK"),
        (b"1: fd[9]: OK", b"fd[9]: OK"),
    ],
)
def test_after_a_breach_of_the_protocol_nothing_of_the_batch_counts(answers: tuple[bytes, ...]) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"".join(answer + b"\0" for answer in answers))
    session = UnixClient("/nobody", lambda endpoint, seconds: ours)
    results: dict[int, ScanResult] = {}
    with theirs, pytest.raises(ScannerLostError):
        session.scan({number: Sample((b"%d" % number,)) for number in range(3)}, results, soon())
    assert results == {}
