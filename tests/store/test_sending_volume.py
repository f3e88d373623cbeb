"""What counts as unusual for an account that sends mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.policy.schema import Submission
from mailgate.store.holding.sending_volume import HOUR, LEAST_BUSY_HOURS, Sent, Volume, unusual

NOON = 500_000 * HOUR  # a full hour


def sending(messages: int, recipients: int, now: float) -> Volume:
    volume = Volume()
    for _ in range(messages):
        volume.add(recipients, now)
    return volume


def with_past(messages_an_hour: int, hours: int) -> Volume:
    this = int(NOON // HOUR)
    return Volume({this - 2 - ago: Sent(messages_an_hour, messages_an_hour) for ago in range(hours)})


@pytest.mark.parametrize(
    ("rules", "messages", "recipients", "text"),
    [
        (Submission(), 1000, 100, ""),
        (Submission(messages_per_hour=10), 10, 100, ""),
        (Submission(messages_per_hour=10), 11, 1, "more than 10 messages in an hour"),
        (Submission(recipients_per_hour=20), 10, 2, ""),
        (Submission(recipients_per_hour=20), 7, 3, "more than 20 recipients in an hour"),
        (Submission(times_average=5), 1000, 1, ""),  # no average is known
    ],
)
def test_limits(rules: Submission, messages: int, recipients: int, text: str) -> None:
    assert unusual(sending(messages, recipients, NOON), rules, NOON) == text


@pytest.mark.parametrize(
    ("past", "now", "is_unusual"), [(20, 100, False), (20, 101, True), (2, 50, False), (2, 51, True)]
)
def test_a_multiple_of_the_own_average(past: int, now: int, is_unusual: bool) -> None:
    volume = with_past(past, LEAST_BUSY_HOURS)
    for _ in range(now):
        volume.add(1, NOON)
    found = unusual(volume, Submission(times_average=5), NOON)
    assert bool(found) is is_unusual
    assert not found or f"5 times the usual {past} messages" in found


def test_few_busy_hours_make_no_average() -> None:
    assert with_past(20, LEAST_BUSY_HOURS - 1).average(NOON) is None


def test_the_full_hour_gives_no_second_helping() -> None:
    volume = sending(10, 1, NOON - 1.0)
    volume.add(1, NOON + 1.0)
    assert unusual(volume, Submission(messages_per_hour=10), NOON + 1.0)
    assert not unusual(volume, Submission(messages_per_hour=10), NOON + 0.5 * HOUR)


@given(st.lists(st.floats(0, 3 * HOUR), max_size=60))
def test_the_estimate_is_at_most_what_two_hours_hold_and_at_least_what_this_one_does(times: list[float]) -> None:
    volume, now = Volume(), NOON + 3 * HOUR
    for at in sorted(times):
        volume.add(2, NOON + at)
    messages, recipients = volume.last_hour(now)
    assert recipients == 2 * messages
    assert sum(at >= 3 * HOUR for at in times) <= messages <= sum(at >= 2 * HOUR for at in times)
