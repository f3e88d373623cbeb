"""What becomes of a recipient after an attempt. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailgate.model.outcome import Outcome, State
from mailgate.spool.queue import Attempt
from mailgate.spool.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Deferral:
    """The recipient stays in the queue until `next_attempt_at`; `notice_at` is when the next delay notice is due.
    `is_notice_due`: the sender is to be told of the delay now."""

    next_attempt_at: float
    notice_at: float | None
    is_notice_due: bool = False


def after(attempt: Attempt, outcome: Outcome, now: float, schedule: Schedule, chance: float) -> Deferral | Outcome:
    """The deferral, or what the recipient ends as. A deferral after the time is up becomes EXPIRED with the last reply
    kept. What failed of an unproven sender's mail is QUARANTINED (promise 7)."""
    if outcome.state is State.QUEUED and not schedule.is_over(attempt.number, attempt.expires_at, now):
        is_due = attempt.notice_at is not None and attempt.notice_at <= now
        return Deferral(
            schedule.next_attempt_at(attempt.number, attempt.expires_at, now, chance),
            schedule.notice_at(attempt.received_at, now) if is_due else attempt.notice_at,
            is_due,
        )
    if outcome.state is State.QUEUED:
        days = (now - attempt.received_at) / 86400
        outcome = replace(outcome, state=State.EXPIRED, text=f"given up after {days:.0f} days; last: {outcome.text}")
    if outcome.state in (State.BOUNCED, State.EXPIRED) and not attempt.is_proven:
        text = f"not delivered, and its sender is not proven, so not bounced: {outcome.text}"
        return replace(outcome, state=State.QUARANTINED, text=text)
    return outcome
