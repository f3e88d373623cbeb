"""The store's clock does not step; what is done about a step of the wall clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from mailgate.spool.clock_steps import ClockState, Reading
from mailgate.spool.queue import SpoolStore
from mailgate.spool.schedule import DAY
from mailgate.store.keeping.opening import OpenSpool
from mailgate.store.keeping.steady_clock import KEEP_SECONDS, ClockWatch, SteadyClock, read_clocks, start
from tests.spool.making import NOW, accepted, entry, outside


class Machine:
    """Its wall clock, and how long it has run."""

    def __init__(self) -> None:
        self.wall, self.since_boot = NOW, 500.0
        self.boot_id = "boot-1"
        self.clock = SteadyClock(self.read, lambda: self.since_boot)

    def read(self) -> Reading:
        return Reading(self.wall, self.since_boot, self.boot_id, False)

    def passes(self, seconds: float, step: float = 0.0) -> None:
        self.wall += seconds + step
        self.since_boot += seconds


class Recorder:
    """Changes the spool, and counts how often."""

    def __init__(self, opened: OpenSpool) -> None:
        self.opened = opened
        self.changes = 0

    async def __call__(self, apply: Callable[[SpoolStore], None], durable: bool) -> None:
        self.changes += 1
        self.opened.write(apply)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def watch_of(opened: OpenSpool, machine: Machine, steps: list[float]) -> tuple[ClockWatch, Recorder]:
    change = Recorder(opened)
    state = opened.write(lambda spool: start(spool, opened.listing.clock(), machine.clock))
    return ClockWatch(machine.clock, state, change, steps.append), change


def keep(opened: OpenSpool, machine: Machine) -> str:
    given = entry(outside("x@far.example"), at=machine.clock())
    opened.write(lambda spool: spool.keep(accepted(given), machine.clock(), "h", 60))
    return given.envelope.queue_id


@pytest.mark.parametrize("step", [6 * DAY, -DAY, 40 * DAY, 301.0])
def test_nothing_sees_a_step_before_the_times_were_moved(
    opened: OpenSpool, machine: Machine, step: float, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[float] = []
    watch, _ = watch_of(opened, machine, steps)
    name = keep(opened, machine)
    machine.passes(10, step)
    assert machine.clock() == NOW + 10
    with caplog.at_level(logging.WARNING):
        asyncio.run(watch.look())
    assert machine.clock() == machine.wall
    assert steps == [pytest.approx(step)]
    row = opened.listing.rows_of(name)[0]
    assert row.next_attempt_at == pytest.approx(NOW + step)
    assert row.expires_at == pytest.approx(NOW + 5 * DAY + step)
    state = opened.listing.clock()
    assert state is not None
    assert state.is_in_doubt
    assert "mailgate clock confirm" in caplog.text


def test_slow_drift_is_followed_and_rarely_written_down(opened: OpenSpool, machine: Machine) -> None:
    watch, change = watch_of(opened, machine, [])
    for _ in range(600):
        machine.passes(1, 0.01)
        asyncio.run(watch.look())
    assert machine.clock() == pytest.approx(machine.wall)
    assert change.changes == 600 // KEEP_SECONDS


def test_a_step_while_the_gateway_was_down_is_found_at_the_next_start(opened: OpenSpool, machine: Machine) -> None:
    watch, _ = watch_of(opened, machine, [])
    name = keep(opened, machine)
    asyncio.run(watch.look())
    machine.passes(3_600, 6 * DAY)
    again = Machine()
    again.wall, again.since_boot = machine.wall, machine.since_boot
    again.clock.follow(again.read())
    watch_of(opened, again, [])
    assert opened.listing.rows_of(name)[0].expires_at == pytest.approx(NOW + 5 * DAY + 6 * DAY)
    state = opened.listing.clock()
    assert state is not None
    assert state.is_in_doubt


def test_confirming_ends_the_doubt_for_good(opened: OpenSpool, machine: Machine) -> None:
    watch, _ = watch_of(opened, machine, [])
    machine.passes(1, 6 * DAY)
    asyncio.run(watch.look())
    state = opened.listing.clock()
    assert state is not None
    opened.write(lambda spool: spool.keep_clock(state.confirmed()))
    watch.confirm()
    for _ in range(200):
        machine.passes(1)
        asyncio.run(watch.look())
    state = opened.listing.clock()
    assert state is not None
    assert not state.is_in_doubt


def test_the_clocks_of_this_machine_can_be_read() -> None:
    first, second = read_clocks(), read_clocks()
    assert first.boot_id == second.boot_id
    assert second.since_boot >= first.since_boot
    assert SteadyClock()() == pytest.approx(second.wall, abs=60)
    assert ClockState(first).confirmed() == ClockState(first)
