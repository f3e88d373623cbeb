"""What becomes of a recipient after an attempt. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mailgate.model.outcome import Outcome, State
from mailgate.spool.queue import Attempt
from mailgate.spool.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Deferral:
    """The recipient stays in the queue until `next_attempt_at`; `notice_at` is when the next delay notice is due."""

    next_attempt_at: float
    notice_at: float | None


def after(attempt: Attempt, outcome: Outcome, now: float, schedule: Schedule, chance: float) -> Deferral | Outcome:
    """The final outcome, or the deferral. A deferral after the time is up becomes EXPIRED with the last reply kept."""
    if outcome.state.is_final:
        return outcome
    if now >= attempt.expires_at:
        days = (now - attempt.received_at) / 86400
        text = f"given up after {days:.0f} days; last: {outcome.text}"
        return Outcome(State.EXPIRED, text, outcome.code, outcome.enhanced)
    return Deferral(
        schedule.next_attempt_at(attempt.number, attempt.expires_at, now, chance),
        schedule.notice_at(attempt.received_at, now),
    )
