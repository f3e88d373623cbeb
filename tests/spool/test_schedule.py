"""The retry schedule: pure arithmetic, so its promises are checked over the whole range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.envelope import MailboxId, QueueId, TenantName
from mailgate.model.outcome import Outcome, State
from mailgate.spool.queue import Attempt, Content
from mailgate.spool.retry import Deferral, after
from mailgate.spool.schedule import DAY, HOUR, MINUTE, Schedule

PLAIN = Schedule()
chances = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 10_000)


@pytest.mark.parametrize(
    ("number", "minutes"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 240), (8, 240), (1000, 240)]
)
def test_delays_double_up_to_four_hours(number: int, minutes: float) -> None:
    assert PLAIN.delay(number, 0.5) == pytest.approx(minutes * MINUTE)


@given(attempts, chances)
def test_a_delay_is_minutes_at_least_and_four_hours_at_most(number: int, chance: float) -> None:
    assert 4 * MINUTE <= PLAIN.delay(number, chance) <= 4 * HOUR


@given(attempts, chances)
def test_delays_never_shrink_from_one_attempt_to_the_next(number: int, chance: float) -> None:
    assert PLAIN.delay(number + 1, chance) >= PLAIN.delay(number, chance)


@given(attempts, chances, chances)
def test_chance_spreads_by_a_fifth_each_way(number: int, one: float, other: float) -> None:
    low, high = sorted((PLAIN.delay(number, one), PLAIN.delay(number, other)))
    assert high <= low * 1.5 + 1e-6


def test_chance_makes_a_difference() -> None:
    assert PLAIN.delay(1, 0.0) == pytest.approx(4 * MINUTE)
    assert PLAIN.delay(1, 0.999) > 5.9 * MINUTE


@given(attempts, st.floats(-DAY, 6 * DAY), chances)
def test_the_next_attempt_lies_ahead_and_not_beyond_the_end(number: int, elapsed: float, chance: float) -> None:
    now, end = 1e9 + elapsed, 1e9 + 5 * DAY
    planned = PLAIN.next_attempt_at(number, end, now, chance)
    assert planned > now or planned == end
    assert planned <= (end if now < end else now + PLAIN.longest)


def test_the_last_attempt_is_made_when_the_time_is_up() -> None:
    assert PLAIN.next_attempt_at(20, expires_at=1000.0, now=990.0, chance=0.5) == 1000.0


def test_a_recipient_lives_for_five_days() -> None:
    assert PLAIN.expires_at(100.0) == 100.0 + 5 * DAY


@given(chances)
def test_five_days_of_attempts(chance: float) -> None:
    """Between 30 and 60 attempts: none is starved, none hammers."""
    now, number = 0.0, 1
    while now < 5 * DAY:
        now = PLAIN.next_attempt_at(number, 5 * DAY, now, chance)
        number += 1
    assert 30 <= number <= 60


@pytest.mark.parametrize(
    ("elapsed", "due"), [(0, 4 * HOUR), (4 * HOUR - 1, 4 * HOUR), (4 * HOUR, None), (2 * DAY, None)]
)
def test_a_delay_is_told_once_after_four_hours(elapsed: float, due: float | None) -> None:
    assert PLAIN.notice_at(0.0, elapsed) == due


def test_notices_are_told_in_order() -> None:
    several = Schedule(notices=(HOUR, DAY))
    assert [several.notice_at(0.0, now) for now in (0.0, HOUR, DAY)] == [HOUR, DAY, None]


def attempt(number: int = 1, received_at: float = 0.0, expires_at: float = 5 * DAY) -> Attempt:
    return Attempt(
        1,
        0,
        QueueId("q"),
        TenantName("acme"),
        "bob@acme.example",
        MailboxId("box"),
        "acme.example",
        0,
        number,
        received_at,
        expires_at,
        4 * HOUR,
        notify=(),
        is_proven=True,
        holder="h",
        content=Content(1, b"x"),
    )


@pytest.mark.parametrize("state", [state for state in State if state.is_final])
def test_a_final_outcome_stays_what_it_is(state: State) -> None:
    outcome = Outcome(state, "so it is")
    assert after(attempt(), outcome, 10.0, PLAIN, 0.5) is outcome


def test_a_deferral_gets_its_next_time() -> None:
    change = after(attempt(2), Outcome(State.QUEUED, "later"), 1000.0, PLAIN, 0.5)
    assert change == Deferral(1000.0 + 10 * MINUTE, 4 * HOUR)


def test_a_deferral_after_the_end_expires_and_keeps_the_last_reply() -> None:
    change = after(attempt(40), Outcome(State.QUEUED, "mailbox full", 452, "4.2.2"), 5 * DAY, PLAIN, 0.5)
    assert isinstance(change, Outcome)
    assert change.state is State.EXPIRED
    assert (change.code, change.enhanced) == (452, "4.2.2")
    assert "mailbox full" in change.text
    assert "5 days" in change.text


@given(attempts, st.floats(0, 10 * DAY), chances)
def test_every_deferral_moves_towards_an_end(number: int, now: float, chance: float) -> None:
    change = after(attempt(number), Outcome(State.QUEUED, "later"), now, PLAIN, chance)
    if isinstance(change, Deferral):
        assert now < change.next_attempt_at <= max(5 * DAY, now + PLAIN.longest)
        assert now < 5 * DAY or number < PLAIN.least_attempts
    else:
        assert change.state is State.EXPIRED
        assert now >= 5 * DAY
        assert number >= PLAIN.least_attempts
