"""When a deferred recipient is tried again, when its sender is told of the delay, and when it expires. Pure.

RFC 5321 section 4.5.4.1 asks for at least 30 minutes in the long run and 4-5 days before giving up.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """All times in seconds. Delays start at `first`, grow by `growth`, never exceed `longest`; `spread` is the share by
    which chance shortens or lengthens a delay, so that what failed together does not come back together.
    Nothing expires after fewer than `least_attempts` (those of an hour, by these delays): a clock that was wrong, or a
    machine that was off, costs nobody all of the patience that was promised."""

    first: float = 5 * MINUTE
    growth: float = 2.0
    longest: float = 4 * HOUR
    spread: float = 0.2
    lifetime: float = 5 * DAY
    least_attempts: int = 5
    notices: tuple[float, ...] = (4 * HOUR,)

    def delay(self, attempts: int, chance: float) -> float:
        """Seconds to wait after `attempts` (1 or more) failed ones; `chance` is in [0, 1)."""
        doublings = min(max(attempts, 1) - 1, 64)
        plain = min(self.first * self.growth**doublings, self.longest)
        return min(plain * (1 - self.spread + 2 * self.spread * chance), self.longest)

    def expires_at(self, queued_at: float) -> float:
        """`queued_at` is when it was accepted, or released from where it was held."""
        return queued_at + self.lifetime

    def next_attempt_at(self, attempts: int, expires_at: float, now: float, chance: float) -> float:
        """The last attempt is made when the time is up, not a delay before."""
        after_delay = now + self.delay(attempts, chance)
        return after_delay if expires_at <= now else min(after_delay, expires_at)

    def is_over(self, attempts: int, expires_at: float, now: float) -> bool:
        """Whether the last attempt has been made."""
        return now >= expires_at and attempts >= self.least_attempts

    def notice_at(self, received_at: float, now: float) -> float | None:
        """When the next delay notice is due after `now`; None when all have been given."""
        return next((received_at + after for after in self.notices if received_at + after > now), None)
