from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.caching_scanner import CachingScanner
from mailgate.inspect.clamd import Sample
from mailgate.inspect.replies import CLEAN, ScanResult, Version, unscanned
from mailgate.inspect.scanners import CANARY_EVERY, LONGEST_BACK_OFF, VERSION_EVERY, Engine, ScannerPool
from mailgate.inspect.verdict_cache import LIFETIME, UNVERSIONED_LIFETIME, VerdictCache
from mailgate.model.verdict import Unscanned, Verdict
from tests.inspect_scan.test_scanners import FOUND, FakeClient
from tests.support.clock import ManualClock

ENGINE = Engine("unix:/1", Version("ClamAV 1.4.6", "27800"))


def soon() -> float:
    return time.monotonic() + 30


def scan(scanner: CachingScanner, *contents: bytes) -> list[ScanResult]:
    return list(scanner.scan([Sample((content,), content.hex()) for content in contents], soon()).results)


def caching(client: FakeClient, clock: ManualClock) -> tuple[CachingScanner, VerdictCache]:
    cache = VerdictCache(clock)
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
    cache = VerdictCache(clock)
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
    cache = VerdictCache(ManualClock(), capacity=4)
    cache.begin(ENGINE)
    last: dict[str, ScanResult] = {}
    for number, result in puts:
        cache.put(str(number), result)
        if result.verdict is not Verdict.NOT_SCANNED:
            last[str(number)] = result
        assert len(cache) <= 4
    for digest, result in last.items():
        assert cache.get(digest) in (None, result)


def test_a_signature_that_is_added_beside_the_official_ones_is_noticed_within_minutes() -> None:
    client, clock = FakeClient(), ManualClock()
    scanner, _ = caching(client, clock)
    assert scan(scanner, b"x") == [CLEAN]
    client.behave = lambda content: FOUND
    clock.advance(LIFETIME - 1)
    assert scan(scanner, b"x") == [CLEAN]
    clock.advance(1)
    assert scan(scanner, b"x") == [FOUND]


def test_a_verdict_does_not_live_longer_for_being_asked() -> None:
    client, clock = FakeClient(), ManualClock()
    scanner, _ = caching(client, clock)
    for _ in range(10):
        scan(scanner, b"x")
        clock.advance(LIFETIME / 10)
    assert (scan(scanner, b"x"), len(client.scanned)) == ([CLEAN], 2)


@pytest.mark.parametrize("event", ["restart", "reload", "canary"])
def test_nothing_is_remembered_beyond_a_restart_a_reload_and_a_canary_that_failed(event: str) -> None:
    client, clock = FakeClient(), ManualClock()
    scanner, _ = caching(client, clock)
    assert scan(scanner, b"x") == [CLEAN]
    client.behave = lambda content: FOUND
    if event == "restart":
        client.peer = 2
    elif event == "reload":
        scanner.doubt()
    else:
        client.is_sick = True
        clock.advance(CANARY_EVERY)
        assert scan(scanner, b"x")[0].reason is Unscanned.SCANNER_DOWN
        client.is_sick = False
        clock.advance(LONGEST_BACK_OFF)
    assert scan(scanner, b"x") == [FOUND]
