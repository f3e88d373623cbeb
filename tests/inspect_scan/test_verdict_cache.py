from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.caching_scanner import CachingScanner
from mailgate.inspect.clamd import Sample
from mailgate.inspect.replies import CLEAN, ScanResult, Version, unscanned
from mailgate.inspect.scanners import VERSION_EVERY, Engine, ScannerPool
from mailgate.inspect.verdict_cache import UNVERSIONED_LIFETIME, VerdictCache, shared_memory
from mailgate.model.verdict import Unscanned, Verdict
from tests.inspect_scan.test_scanners import FOUND, FakeClient
from tests.support.clock import ManualClock

ENGINE = Engine("unix:/1", Version("ClamAV 1.4.6", "27800"))


def soon() -> float:
    return time.monotonic() + 30


def scan(scanner: CachingScanner, *contents: bytes) -> list[ScanResult]:
    return list(scanner.scan([Sample((content,), content.hex()) for content in contents], soon()).results)


def caching(client: FakeClient, clock: ManualClock) -> tuple[CachingScanner, VerdictCache]:
    cache = VerdictCache(shared_memory(), clock)
    return CachingScanner(ScannerPool([client], clock), cache), cache


def test_a_content_is_scanned_once() -> None:
    client = FakeClient(behave=lambda content: FOUND if content == b"bad" else CLEAN)
    scanner, _ = caching(client, ManualClock())
    first = scan(scanner, b"bad", b"good")
    samples = [Sample((content,), content.hex()) for content in (b"good", b"new", b"bad")]
    again = scanner.scan([*samples, Sample((b"raw",))], soon())
    assert again.results == (CLEAN, CLEAN, FOUND, CLEAN)
    assert first == [FOUND, CLEAN]
    assert client.scanned == [b"bad", b"good", b"new", b"raw"]
    assert again.remembered == 2


def test_samples_without_digest_are_always_scanned() -> None:
    client = FakeClient()
    scanner, cache = caching(client, ManualClock())
    for _ in range(2):
        scanner.scan([Sample((b"raw",))], soon())
    assert (client.scanned, len(cache)) == ([b"raw", b"raw"], 0)


def test_what_was_not_scanned_is_asked_again() -> None:
    client = FakeClient(behave=lambda content: unscanned(Unscanned.LIMIT, "too deep"))
    scanner, cache = caching(client, ManualClock())
    scan(scanner, b"bomb")
    scan(scanner, b"bomb")
    assert (len(client.scanned), len(cache)) == (2, 0)


def test_new_signatures_empty_it_within_seconds() -> None:
    client, clock = FakeClient(), ManualClock()
    scanner, _ = caching(client, clock)
    assert scan(scanner, b"x")[0].verdict is Verdict.CLEAN
    client.version = Version("ClamAV 1.4.6", "27801")
    client.behave = lambda content: FOUND
    clock.advance(VERSION_EVERY)
    assert scan(scanner, b"x")[0].verdict is Verdict.INFECTED


def test_verdicts_of_signatures_without_version_die_soon() -> None:
    client, clock = FakeClient(), ManualClock()
    client.version = Version("ClamAV 1.4.6")
    scanner, _ = caching(client, clock)
    scan(scanner, b"x")
    client.behave = lambda content: FOUND
    clock.advance(UNVERSIONED_LIFETIME)
    assert scan(scanner, b"x")[0].verdict is Verdict.INFECTED


def test_verdicts_of_another_endpoint_are_not_taken_for_this_ones() -> None:
    clock = ManualClock()
    first, second = FakeClient("unix:/1"), FakeClient("unix:/2", lambda content: FOUND)
    first.behave = lambda content: unscanned(Unscanned.SCANNER_ERROR, "no memory")
    cache = VerdictCache(shared_memory(), clock)
    scanner = CachingScanner(ScannerPool([first, second], clock), cache)
    assert scan(scanner, b"x") == [FOUND]
    assert len(cache) == 0


def test_nothing_is_taken_from_the_cache_while_no_scanner_is_well() -> None:
    client, clock = FakeClient(), ManualClock()
    scanner, _ = caching(client, clock)
    scan(scanner, b"x")
    client.is_sick = True
    clock.advance(60)
    assert scan(scanner, b"x")[0].reason is Unscanned.SCANNER_DOWN


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([CLEAN, FOUND, unscanned(Unscanned.LIMIT, "")]))))
def test_it_stays_within_its_capacity_and_returns_what_was_put_last(puts: list[tuple[int, ScanResult]]) -> None:
    cache = VerdictCache(shared_memory(capacity=4), ManualClock())
    cache.begin(ENGINE)
    last: dict[str, ScanResult] = {}
    for number, result in puts:
        cache.put(str(number), result)
        if result.verdict is not Verdict.NOT_SCANNED:
            last[str(number)] = result
        assert len(cache) <= 4
    for digest, result in last.items():
        assert cache.get(digest) in (None, result)


def test_a_verdict_keeps_signature_and_macros() -> None:
    cache = VerdictCache(shared_memory(), ManualClock())
    cache.begin(ENGINE)
    macro = ScanResult(Verdict.CLEAN, detail="Heuristics.OLE2.ContainsMacros", macro=True)
    for number, result in enumerate((macro, FOUND, CLEAN)):
        cache.put(str(number), result)
    assert [cache.get(str(number)) for number in range(3)] == [macro, FOUND, CLEAN]


def test_a_half_written_verdict_is_none() -> None:
    memory = shared_memory()
    cache = VerdictCache(memory, ManualClock())
    cache.begin(ENGINE)
    cache.put("x", FOUND)
    written = next(at for at in range(0, os.fstat(memory).st_size, 256) if os.pread(memory, 256, at) != bytes(256))
    os.pwrite(memory, b"\0", written + 60)
    assert cache.get("x") is None


class Fork:
    """A child that runs `work` and answers one byte by its exit status."""

    def __init__(self, work: Callable[[], int]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(work())

    def status(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def other_worker(memory: int, *steps: Callable[[VerdictCache], object]) -> Fork:
    def work() -> int:
        cache = VerdictCache(memory, ManualClock())
        cache.begin(ENGINE)
        for step in steps:
            step(cache)
        return 0

    return Fork(work)


def test_workers_share_verdicts() -> None:
    memory = shared_memory()
    assert other_worker(memory, lambda cache: cache.put("x", FOUND)).status() == 0
    cache = VerdictCache(memory, ManualClock())
    cache.begin(ENGINE)
    assert cache.get("x") == FOUND


def test_two_workers_that_meet_a_content_at_once_scan_it_once() -> None:
    memory = shared_memory()
    told, tell = os.pipe()
    go, gone = os.pipe()
    first = other_worker(
        memory,
        lambda cache: cache.claim("78"),
        lambda cache: os.write(tell, b"claimed"),
        lambda cache: os.read(go, 1),
        lambda cache: cache.put("78", FOUND),
        lambda cache: cache.release("78"),
    )
    assert os.read(told, 7) == b"claimed"
    client = FakeClient("unix:/1", lambda content: os.write(gone, b"x") and CLEAN)
    client.version = ENGINE.version
    scanner = CachingScanner(ScannerPool([client], ManualClock()), VerdictCache(memory, ManualClock()))
    samples = [Sample((b"x",), "78"), Sample((b"raw",))]  # scanning the second lets the other finish the first
    assert scanner.scan(samples, soon()).results == (FOUND, CLEAN)
    assert client.scanned == [b"raw"]
    assert first.status() == 0


def test_what_a_dead_worker_was_scanning_is_scanned_by_the_next() -> None:
    memory = shared_memory()
    told, tell = os.pipe()
    first = other_worker(
        memory,
        lambda cache: cache.claim("78"),
        lambda cache: os.write(tell, b"claimed"),
        lambda cache: signal.pause(),
    )
    assert os.read(told, 7) == b"claimed"
    cache = VerdictCache(memory, ManualClock())
    cache.begin(ENGINE)
    assert not cache.claim("78")
    assert not cache.wait("78", time.monotonic() + 0.01)
    os.kill(first.pid, signal.SIGKILL)
    assert cache.wait("78", soon())
    assert first.status() == -signal.SIGKILL
