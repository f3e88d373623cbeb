"""How much an account has submitted, by the hour, and whether that is unusual. Pure: times are given.

What was sent in the last hour is estimated from two hours by the clock: all of this one, and of the one before as much
as still lies less than an hour back. So a limit can't be had twice by sending around the full hour."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailgate.policy.schema import Submission

HOUR = 3600.0
KEPT_HOURS = 14 * 24
LEAST_FOR_AVERAGE = 50  # messages in an hour, below which no multiple of the average is unusual
LEAST_BUSY_HOURS = 10  # before there is an average to speak of


@dataclass(slots=True)
class Sent:
    """In one hour."""

    messages: int = 0
    recipients: int = 0


@dataclass(slots=True)
class Volume:
    """By hours since 1970."""

    hours: dict[int, Sent] = field(default_factory=dict)

    def add(self, recipients: int, now: float) -> None:
        sent = self.hours.setdefault(int(now // HOUR), Sent())
        sent.messages += 1
        sent.recipients += recipients

    def last_hour(self, now: float) -> tuple[float, float]:
        """(messages, recipients)."""
        hour, elapsed = divmod(now, HOUR)
        current = self.hours.get(int(hour), Sent())
        before = self.hours.get(int(hour) - 1, Sent())
        left = 1.0 - elapsed / HOUR
        return current.messages + before.messages * left, current.recipients + before.recipients * left

    def average(self, now: float) -> float | None:
        """Messages in a busy hour before this one and the last; None while too few are known."""
        this = int(now // HOUR)
        busy = [sent.messages for hour, sent in self.hours.items() if this - KEPT_HOURS <= hour < this - 1]
        return sum(busy) / len(busy) if len(busy) >= LEAST_BUSY_HOURS else None


def unusual(volume: Volume, rules: Submission, now: float) -> str:
    """Which limit is passed, as a sentence for people; empty where none is."""
    messages, recipients = volume.last_hour(now)
    if rules.messages_per_hour and messages > rules.messages_per_hour:
        return f"more than {rules.messages_per_hour} messages in an hour"
    if rules.recipients_per_hour and recipients > rules.recipients_per_hour:
        return f"more than {rules.recipients_per_hour} recipients in an hour"
    average = volume.average(now)
    if rules.times_average and average is not None and messages > max(rules.times_average * average, LEAST_FOR_AVERAGE):
        return f"more than {rules.times_average} times the usual {average:.0f} messages in an hour"
    return ""
