from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.store.logins import throttle
from mailgate.store.logins.throttle import Limits, Throttle, network_of

LIMITS = Limits(free=3, first=1.0, longest=60.0, memory=600.0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("somewhere", "somewhere"),
        ("", ""),
    ],
)
def test_what_counts_as_one_client(address: str, network: str) -> None:
    assert network_of(address) == network


def failing(times: int, now: float = 0.0) -> Throttle:
    made = Throttle(LIMITS)
    for _ in range(times):
        made.failed(b"k", now)
    return made


@pytest.mark.parametrize(
    ("failures", "wait"), [(0, 0), (1, 0), (3, 0), (4, 1), (5, 2), (6, 4), (9, 32), (10, 60), (1000, 60)]
)
def test_waits_double_after_the_free_ones(failures: int, wait: float) -> None:
    assert failing(failures).wait(b"k", 0.0) == wait


def test_the_wait_runs_out() -> None:
    made = failing(6)
    assert made.wait(b"k", 3.0) == 1.0
    assert made.wait(b"k", 4.0) == 0.0


def test_others_do_not_wait() -> None:
    assert failing(50).wait(b"other", 0.0) == 0.0


def test_success_forgets() -> None:
    made = failing(50)
    made.succeeded(b"k")
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
    made = failing(6)
    made.failed(b"forgiven", 0.0)
    made.succeeded(b"forgiven")
    changes = made.take_changes()
    assert changes[b"forgiven"] is None
    assert made.take_changes() == {}
    again = Throttle(LIMITS)
    again.restore({key: record for key, record in changes.items() if record is not None})
    assert again.wait(b"k", 3.0) == made.wait(b"k", 3.0) == 1.0
    assert again.failed(b"k", 4.0) == 7
