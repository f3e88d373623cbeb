"""Bounces of forwarded mail: a few a day to each reverse-path, so that who has come by one can't bury its sender."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable

from mailgate.ipc.calls import NewEntry
from mailgate.model.errors import UnavailableError
from mailgate.spool.coverage import day_of
from mailgate.tenancy.mailboxes import srs

MOST = 20  # a day to one reverse-path; a message to many recipients may bounce for each
MOST_PATHS = 100_000


class Bounces:
    """Lives in the event loop. Counted in memory: a start begins anew."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._day = 0
        self._taken: Counter[bytes] = Counter()

    def has_room(self, path: str) -> bool:
        """For one more to this reverse-path, in any case of its letters?"""
        return self._of_today()[_key(path)] < MOST

    def take(self, entries: Iterable[NewEntry]) -> None:
        """Counts what is about to be kept. UnavailableError where it is too much: several came at once."""
        paths = {
            recipient.forwarder
            for entry in entries
            for recipient in entry.envelope.recipients
            if srs.is_rewritten(recipient.forwarder)
        }
        if not all(self.has_room(path) for path in paths):
            raise UnavailableError("too many bounces to one reverse-path of forwarded mail")
        for path in paths:
            if len(self._taken) < MOST_PATHS:
                self._taken[_key(path)] += 1

    def _of_today(self) -> Counter[bytes]:
        if (today := day_of(self._clock())) != self._day:
            self._day, self._taken = today, Counter()
        return self._taken


def _key(path: str) -> bytes:
    return hashlib.sha256(path.lower().encode("utf-8", "surrogatepass")).digest()[:16]
