from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.store.logins import throttle
from mailgate.store.logins.throttle import Limits, Throttle
from mailgate.tenancy.logins.networks import neighbourhood_of, network_of

LIMITS = Limits(free=3, first=1.0, longest=60.0, memory=600.0)


@pytest.mark.parametrize(
    ("address", "network", "neighbourhood"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64", "2001:db8:1::/48"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("uid 0", "uid 0", "uid 0"),
        ("", "", ""),
    ],
)
def test_what_counts_as_one_client(address: str, network: str, neighbourhood: str) -> None:
    assert network_of(address) == network
    assert neighbourhood_of(address) == neighbourhood


def failing(times: int, now: float = 0.0) -> Throttle:
    made = Throttle(LIMITS)
    for _ in range(times):
        made.failed(b"k", now)
    return made


@pytest.mark.parametrize(
    ("failures", "wait"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (8, 32), (9, 60), (1000, 60)]
)
def test_waits_double_after_the_free_ones(failures: int, wait: float) -> None:
    assert failing(failures).wait(b"k", 0.0) == wait


def test_the_wait_runs_out() -> None:
    made = failing(5)
    assert made.wait(b"k", 3.0) == 1.0
    assert made.wait(b"k", 4.0) == 0.0


def test_others_do_not_wait() -> None:
    assert failing(50).wait(b"other", 0.0) == 0.0


def test_success_forgets() -> None:
    made = failing(50)
    made.forgive(b"k")
    assert made.wait(b"k", 0.0) == 0.0


def test_time_forgets() -> None:
    made = failing(50)
    made.failed(b"k", 601.0)
    assert made.wait(b"k", 601.0) == 0.0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_no_wait_is_longer_than_the_longest(pauses: list[float]) -> None:
    made, now = Throttle(LIMITS), 0.0
    for pause in pauses:
        now += pause
        made.failed(b"k", now)
        assert 0.0 <= made.wait(b"k", now) <= LIMITS.longest + 1e-6


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_KEYS", 10)
    made = Throttle(LIMITS)
    for n in range(100):
        made.failed(str(n).encode(), float(n))
    assert len(made) == 10


def test_what_changed_is_told_once_and_restores() -> None:
    made = failing(5)
    made.failed(b"forgiven", 0.0)
    made.forgive(b"forgiven")
    changes = made.take_changes()
    assert changes[b"forgiven"] is None
    assert made.take_changes() == {}
    again = Throttle(LIMITS)
    again.restore({key: record for key, record in changes.items() if record is not None})
    assert again.wait(b"k", 3.0) == made.wait(b"k", 3.0) == 1.0
    assert again.failed(b"k", 4.0) == 6


def test_tries_under_way_count_as_failures_until_they_are_settled() -> None:
    made = failing(1)
    made.reserve(b"k")
    assert made.wait(b"k", 0.0) == 0.0
    made.reserve(b"k")
    assert made.wait(b"k", 0.0) > 0.0
    made.settle(b"k")
    assert made.wait(b"k", 0.0) == 0.0


def test_a_clock_that_is_set_back_blocks_for_no_longer_than_the_longest_wait() -> None:
    made = Throttle(LIMITS)
    for _ in range(20):
        made.failed(b"k", 1_000_000.0)
    assert made.wait(b"k", 0.0) == LIMITS.longest


def test_nothing_grows_while_nobody_writes_the_changes_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_KEYS", 10)
    made = Throttle(LIMITS)
    for n in range(1000):
        made.failed(str(n).encode(), float(n))
    assert len(made.take_changes()) <= 20


def test_a_full_memory_takes_some_twenty_megabytes() -> None:
    tracemalloc.start()
    try:
        made = Throttle(LIMITS)
        for n in range(throttle.MOST_KEYS):
            made.failed(b"k%032d" % n, float(n))
        made.take_changes()
        assert tracemalloc.get_traced_memory()[0] < throttle.MOST_KEYS * 450
    finally:
        tracemalloc.stop()
