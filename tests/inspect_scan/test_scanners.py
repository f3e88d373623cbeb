"""The pool against scanners that misbehave in ways a real one does not on demand; the clock is moved by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from clamd import EICAR

from mailgate.inspect.clamd import Sample, ScannerLostError, client
from mailgate.inspect.replies import CLEAN, ScanResult, Version, unscanned
from mailgate.inspect.scanners import CANARY_EVERY, FIRST_BACK_OFF, LONGEST_BACK_OFF, VERSION_EVERY, ScannerPool
from mailgate.model.verdict import Unscanned, Verdict
from tests.support.clock import ManualClock
from tests.support.faults import Fault, FaultyClamd

FOUND = ScanResult(Verdict.INFECTED, signature="Test.Eicar")
TEXT = [Sample((b"text",))]


class FakeClient:
    """Answers the canaries well unless `is_sick`; `behave` decides about everything else."""

    def __init__(self, name: str = "unix:/fake", behave: Callable[[bytes], ScanResult] = lambda content: CLEAN) -> None:
        self.name = name
        self.behave = behave
        self.version = Version("ClamAV 1.4.6", "27800")
        self.is_sick = False
        self.canaries = 0
        self.versions = 0
        self.scanned: list[bytes] = []

    def scan(self, samples: Mapping[int, Sample], results: dict[int, ScanResult], deadline: float) -> None:
        for key, sample in samples.items():
            content = b"".join(sample.pieces)
            if EICAR.strip() in content:
                self.canaries += 1
                results[key] = CLEAN if self.is_sick else FOUND
            elif b"known to be clean" in content:
                results[key] = CLEAN
            else:
                self.scanned.append(content)
                results[key] = self.behave(content)

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
