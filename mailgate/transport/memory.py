"""What was learned about hosts, for a while: the offer that a host needed, so that not every connection begins with
failures. Afterwards the best is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailgate.transport.ladder import Offer

REMEMBERED_SECONDS = 3600.0
MOST_HOSTS = 20_000


@dataclass(frozen=True, slots=True)
class Lesson:
    """`reason` is what failed above `offer`; `until` in the seconds of the clock."""

    offer: Offer
    reason: str
    until: float


class HostMemory:
    """By host name and port. Only lessons below the best offer are worth remembering."""

    def __init__(self, clock: Callable[[], float], seconds: float = REMEMBERED_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lessons: dict[tuple[str, int], Lesson] = {}

    def lesson(self, host: str, port: int) -> Lesson | None:
        lesson = self._lessons.get((host, port))
        if lesson is not None and lesson.until <= self._clock():
            del self._lessons[host, port]
            return None
        return lesson

    def learn(self, host: str, port: int, offer: Offer, reason: str) -> None:
        """Called once a connection stands. Learning the same again does not make it last longer, or the best would
        never be tried again with a busy host."""
        if offer is Offer.FORWARD_SECRET:
            self._lessons.pop((host, port), None)
            return
        known = self.lesson(host, port)
        if known is not None and known.offer is offer:
            return
        if len(self._lessons) >= MOST_HOSTS:
            self._lessons.clear()
        self._lessons[host, port] = Lesson(offer, reason, self._clock() + self._seconds)
