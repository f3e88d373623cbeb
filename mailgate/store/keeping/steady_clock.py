"""The store's clock: the wall clock as it was when it was looked at last, and from then on one that never steps. So
nothing of the store ever acts on a step before its times were moved along."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from mailgate.model.errors import MailgateError
from mailgate.records.metrics import CLOCK_IN_DOUBT, CLOCK_STEPS
from mailgate.spool.clock_steps import ClockState, Judgement, Reading, judge
from mailgate.spool.coverage import day_of
from mailgate.spool.queue import SpoolStore

LOOK_SECONDS = 1.0
KEEP_SECONDS = 60.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_STRUCT_TIMEX_BYTES = 256  # more than it has

_log = logging.getLogger(__name__)

Read = Callable[[], Reading]


def seconds_since_boot() -> float:
    """Never steps, and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_clocks() -> Reading:
    return Reading(time.time(), seconds_since_boot(), _boot_id(), _is_synchronised())


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _is_synchronised() -> bool:
    """False also where nobody can say."""
    asked = ctypes.create_string_buffer(_STRUCT_TIMEX_BYTES)  # all zeros: only read
    try:
        return ctypes.CDLL(None).adjtimex(asked) not in (-1, _TIME_ERROR)
    except (AttributeError, OSError):
        return False


class SteadyClock:
    """Seconds since 1970. May be called from any thread."""

    def __init__(self, read: Read = read_clocks, since_boot: Callable[[], float] = seconds_since_boot) -> None:
        self.read = read
        self._since_boot = since_boot
        self.follow(read())

    @classmethod
    def without_steps(cls, clock: Callable[[], float]) -> SteadyClock:
        """One that simply follows `clock`, as tests move it."""
        return cls(lambda: Reading(clock(), clock(), "", False), clock)

    def __call__(self) -> float:
        wall, since_boot = self._anchor
        return wall + self._since_boot() - since_boot

    def follow(self, reading: Reading) -> None:
        """From now on the wall clock is what this says."""
        self._anchor = (reading.wall, reading.since_boot)


class Change(Protocol):
    """Runs a change of the spool in a transaction; `durable` as in `Writer.do`."""

    def __call__(self, apply: Callable[[SpoolStore], None], durable: bool) -> Awaitable[None]: ...


class ClockWatch:
    """Lives in the event loop. `on_step` is called once the times have been moved, with the step in seconds."""

    def __init__(self, clock: SteadyClock, state: ClockState, change: Change, on_step: Callable[[float], None]) -> None:
        self._clock = clock
        self._state = state
        self._change = change
        self._on_step = on_step
        self._kept_at = state.reading.since_boot

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except MailgateError as error:
                _log.warning("the clock could not be looked at; it is tried again: %s", error)
            except Exception:
                _log.exception("the clock could not be looked at; it is tried again")

    async def look(self) -> None:
        reading = self._clock.read()
        if (judgement := judge(self._state, reading)).step or judgement.state.is_in_doubt != self._state.is_in_doubt:
            await self._change(lambda spool: apply(spool, self._clock, judgement), durable=True)
            tell(judgement)
            self._on_step(judgement.step)
            self._kept_at = reading.since_boot
        else:
            self._clock.follow(reading)
            if reading.since_boot - self._kept_at >= KEEP_SECONDS:
                await self._change(lambda spool: spool.keep_clock(judgement.state), durable=False)
                self._kept_at = reading.since_boot
        self._state = judgement.state

    def confirm(self) -> None:
        """Somebody says that the clock is right."""
        self._state = self._state.confirmed()
        CLOCK_IN_DOUBT.set(0)


def start(spool: SpoolStore, before: ClockState | None, clock: SteadyClock) -> ClockState:
    """Before anything is done by the clock: what happened to it since the spool was open last. In a transaction."""
    judgement = judge(before, clock.read())
    apply(spool, clock, judgement)
    tell(judgement)
    return judgement.state


def apply(spool: SpoolStore, clock: SteadyClock, judgement: Judgement) -> None:
    """Moves the times, and lets the store's clock follow, in one moment of the writer's thread."""
    reading = judgement.state.reading
    if judgement.step:
        spool.move_times(judgement.step, day_of(reading.wall))
    spool.keep_clock(judgement.state)
    clock.follow(reading)


def tell(judgement: Judgement) -> None:
    state, step = judgement.state, judgement.step
    CLOCK_IN_DOUBT.set(state.is_in_doubt)
    if step:
        CLOCK_STEPS.inc()
    if state.is_in_doubt and step:
        _log.error(
            "the wall clock stepped by %+.0f seconds: schedules were moved along, and nothing is deleted for its age "
            "until `mailgate clock confirm` says that the clock is right, or it is set back",
            step,
        )
    elif state.is_in_doubt:
        _log.error("the wall clock is in doubt: nothing is deleted for its age until `mailgate clock confirm`")
    elif step:
        _log.warning("the wall clock was set right by %+.0f seconds: schedules were moved along", step)
