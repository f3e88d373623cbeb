"""Steps of the wall clock: told from time that passed, moved along, and doubted until they are explained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.decision import Action
from mailgate.model.outcome import Outcome, State
from mailgate.spool.clock_steps import STEP_SECONDS, ClockState, Reading, judge
from mailgate.spool.listing import Listing
from mailgate.spool.queue import Finished, Route
from mailgate.spool.schedule import DAY, HOUR, Schedule
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import HOLDER, NOW, entry, keep, outside

FREE = Reading(NOW, 1_000.0, "boot-1", is_synchronised=False)
KEPT = replace(FREE, is_synchronised=True)


def later(reading: Reading, wall: float, since_boot: float, **more: object) -> Reading:
    moved = replace(reading, wall=reading.wall + wall, since_boot=reading.since_boot + since_boot)
    return replace(moved, **more)  # type: ignore[arg-type]


def rebooted(reading: Reading, wall: float, **more: object) -> Reading:
    return later(replace(reading, since_boot=30.0, boot_id="boot-2"), wall, 0.0, **more)


def test_the_first_reading_is_believed() -> None:
    assert judge(None, FREE) == judge(None, FREE)
    assert not judge(None, FREE).state.is_in_doubt


@given(st.floats(0, 400 * DAY), st.floats(-299, 299))
def test_time_that_passed_is_no_step(passed: float, drift: float) -> None:
    """Also while the machine slept, or the gateway did not run: the boot clock went on."""
    found = judge(ClockState(FREE), later(FREE, passed + drift, passed))
    assert found.step == 0
    assert not found.state.is_in_doubt


@given(
    st.floats(0, 30 * DAY),
    st.one_of(st.floats(-(40 * 365) * DAY, -STEP_SECONDS - 1), st.floats(STEP_SECONDS + 1, 40 * 365 * DAY)),
    st.booleans(),
)
def test_a_step_is_found_exactly_and_doubted(passed: float, step: float, is_synchronised: bool) -> None:
    """Also where the kernel says "synchronised" before and after: a time server that went mad says so too."""
    before = replace(FREE, is_synchronised=is_synchronised)
    found = judge(ClockState(before), later(before, passed + step, passed))
    assert found.step == pytest.approx(step, abs=0.01)
    assert found.state.is_in_doubt
    assert found.state.shift == pytest.approx(step, abs=0.01)


def test_a_step_that_is_taken_back_is_no_doubt_any_more() -> None:
    mad = judge(ClockState(KEPT), later(KEPT, 6 * DAY, 1)).state
    found = judge(mad, later(mad.reading, -6 * DAY + 20, 10))
    assert found.step == pytest.approx(-6 * DAY + 10)
    assert not found.state.is_in_doubt


def test_half_taken_back_is_still_a_doubt() -> None:
    mad = judge(ClockState(KEPT), later(KEPT, 6 * DAY, 1)).state
    assert judge(mad, later(mad.reading, -3 * DAY, 1)).state.shift == pytest.approx(3 * DAY - 2)


def test_a_free_clock_that_is_set_right_by_a_time_server_is_believed() -> None:
    found = judge(ClockState(FREE), later(FREE, 40 * DAY, 1, is_synchronised=True))
    assert found.step == pytest.approx(40 * DAY - 1)
    assert not found.state.is_in_doubt


def test_it_may_say_so_a_little_later() -> None:
    doubted = judge(ClockState(FREE), later(FREE, 40 * DAY, 1)).state
    assert doubted.is_in_doubt
    still = judge(doubted, later(doubted.reading, 1, 1)).state
    assert still.is_in_doubt
    assert not judge(still, later(still.reading, 1, 1, is_synchronised=True)).state.is_in_doubt


def test_a_mad_time_server_that_comes_and_goes_settles_nothing() -> None:
    state = judge(ClockState(KEPT), later(KEPT, 6 * DAY, 1)).state
    for is_synchronised in (False, True, False, True):
        state = judge(state, later(state.reading, 60, 60, is_synchronised=is_synchronised)).state
        assert state.is_in_doubt


@pytest.mark.parametrize("off", [0, 600, 0.9 * DAY])
def test_a_reboot_of_less_than_a_day_is_nothing(off: float) -> None:
    found = judge(ClockState(KEPT), rebooted(FREE, off))
    assert (found.step, found.state.is_in_doubt) == (0, False)


def test_a_boot_in_1970_and_then_the_right_time() -> None:
    """A dead battery: the times go down and come up again with the clock."""
    dead = judge(ClockState(KEPT), rebooted(FREE, -NOW + 100))
    assert dead.step == -NOW + 100
    assert dead.state.is_in_doubt
    right = judge(dead.state, later(dead.state.reading, NOW + 500, 20, is_synchronised=True))
    assert dead.step + right.step == pytest.approx(580)
    assert not right.state.is_in_doubt


def test_a_boot_40_days_later() -> None:
    doubted = judge(ClockState(KEPT), rebooted(FREE, 40 * DAY))
    assert doubted.state.is_in_doubt
    assert doubted.step == 40 * DAY
    really_off = judge(ClockState(KEPT), rebooted(KEPT, 40 * DAY))
    assert (really_off.step, really_off.state.is_in_doubt) == (0, False)


def test_what_is_confirmed_is_no_doubt() -> None:
    doubted = judge(ClockState(FREE), later(FREE, 6 * DAY, 1)).state
    assert not judge(doubted.confirmed(), later(doubted.reading, 1, 1)).state.is_in_doubt


@pytest.mark.parametrize("step", [6 * DAY, -DAY, -NOW + 50, 40 * DAY])
def test_all_that_waits_goes_along(spool: SqliteSpool, listing: Listing, step: float) -> None:
    keep(spool, entry(outside("x@far.example")), entry(), entry(action=Action.QUARANTINE))
    spool.begin()
    (leased,) = spool.lease(Route.RELAY, HOLDER, 1, NOW, 3600)
    spool.commit()
    before = spool._connection.execute("SELECT * FROM recipient ORDER BY message").fetchall()
    state = ClockState(later(FREE, step, 0), NOW + step, step)
    spool.begin()
    spool.move_times(step, int((NOW + step) // DAY))
    spool.keep_clock(state)
    spool.commit()
    names = [column[1] for column in spool._connection.execute("PRAGMA table_info(recipient)")]
    moved = {"received_at", "next_attempt_at", "expires_at", "notice_at"}
    for old, new in zip(before, spool._connection.execute("SELECT * FROM recipient ORDER BY message"), strict=True):
        row, found = dict(zip(names, old, strict=True)), dict(zip(names, new, strict=True))
        for name in names:
            is_moved = name in moved or (name == "lease_until" and row["lease_holder"])
            assert found[name] == (row[name] + step if is_moved and row[name] is not None else row[name])
    assert listing.clock() == state
    # the attempt that was under way when the clock stepped: deferred, with the patience that was left
    spool.begin()
    current = spool.leased(leased.message, leased.n)
    assert current is not None
    spool.record([Finished(current, Outcome(State.QUEUED, "later", 451))], NOW + step + 1)
    spool.commit()
    row = listing.rows_of(leased.queue_id)[0]
    assert row.state == State.QUEUED
    assert 0 < row.next_attempt_at - (NOW + step) <= 4 * HOUR


@given(st.integers(1, 40), st.floats(-DAY, 400 * DAY), st.floats(0, 1, exclude_max=True))
def test_nothing_expires_after_few_attempts(attempts: int, late: float, chance: float) -> None:
    schedule = Schedule()
    now = NOW + late
    assert schedule.is_over(attempts, NOW, now) == (now >= NOW and attempts >= schedule.least_attempts)
    if not schedule.is_over(attempts, NOW, now):
        assert schedule.next_attempt_at(attempts, NOW, now, chance) > now
