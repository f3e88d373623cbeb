"""Did the wall clock step, and may what is kept be deleted by it? Pure: told by comparing what the wall clock gained
with what a clock did that never steps.

Everything that waits has its times moved along with a step, so that nobody's patience grows or shrinks. A step that
nothing explains is a doubt: until it is taken back, or somebody confirms the clock, nothing is deleted for its age."""

from __future__ import annotations

from dataclasses import dataclass, replace

STEP_SECONDS = 300.0
"""What a clock gains or loses in less than this is followed and not called a step."""
LONGEST_PAUSE = 86400.0
"""How long a machine may have been off, in seconds, without anybody wondering."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`wall`: seconds since 1970. `since_boot`: seconds since the boot `boot_id`, time asleep included
    (CLOCK_BOOTTIME). `is_synchronised`: the kernel says that somebody keeps the wall clock right (adjtimex(2))."""

    wall: float
    since_boot: float
    boot_id: str
    is_synchronised: bool


@dataclass(frozen=True, slots=True)
class ClockState:
    """The last reading, and the doubt: when it began (seconds since 1970, by the clock in doubt; None for none), by how
    many seconds the clock is elsewhere now, and whether the clock was not synchronised when that began."""

    reading: Reading
    doubted_since: float | None = None
    shift: float = 0.0
    was_free: bool = False

    @property
    def is_in_doubt(self) -> bool:
        return self.doubted_since is not None

    def confirmed(self) -> ClockState:
        return ClockState(self.reading)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`step`: by how many seconds the times of what waits are to be moved; 0 for none."""

    state: ClockState
    step: float = 0.0

    def doubt_began(self, before: ClockState | None) -> bool:
        return self.state.is_in_doubt and bool(self.step or before is None or not before.is_in_doubt)


def judge(before: ClockState | None, now: Reading) -> Judgement:
    """`before` is None where nothing is known yet."""
    if before is None:
        return Judgement(ClockState(now))
    is_same_boot = now.boot_id == before.reading.boot_id
    step = _step(before.reading, now, is_same_boot)
    if not step:
        # whoever set a free-running clock right has said by that what it says now
        is_settled = before.was_free and now.is_synchronised
        return Judgement(ClockState(now) if is_settled else replace(before, reading=now))
    if now.is_synchronised and not (is_same_boot and before.reading.is_synchronised):
        # after a boot, or at last: the clock was set right. A machine that was off for long was off
        return Judgement(ClockState(now), 0.0 if step > 0 and not is_same_boot else step)
    shift = before.shift + step
    if abs(shift) < STEP_SECONDS:
        return Judgement(ClockState(now), step)
    return Judgement(ClockState(now, now.wall, shift, not now.is_synchronised), step)


def _step(before: Reading, now: Reading, is_same_boot: bool) -> float:
    gained = now.wall - before.wall
    if is_same_boot:
        step = gained - (now.since_boot - before.since_boot)
        return step if abs(step) >= STEP_SECONDS else 0.0
    # how long it was off nobody knows, but it was not off for less than nothing
    return gained if gained <= -STEP_SECONDS or gained > LONGEST_PAUSE else 0.0
