"""The bytes that all sessions of one edge may have staged together, and whose they are.

One network holds an eighth of them (of a tenant's users: one tenant a quarter), all strangers together three quarters,
half for one tenant. Where that is not enough for a newcomer, an upload is ended for it: one that has stalled, or the
slowest of whoever holds most."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailgate.edge.shedding import Reason, Shedding
from mailgate.edge.turns import Share

RATE_SECONDS = 5.0  # over which the rate of an upload is measured
STALLED_SECONDS = 10.0  # without a byte: it may be ended for anybody, and what it declared binds nobody
_LEAST_SILENCE = 0.05  # seconds, so that of two that both send the greedier one has to go


class NoRoomError(Exception):
    """The staging place is full: 452 4.3.1."""


@dataclass(eq=False, slots=True)
class Upload:
    """A message that arrives. `end` throws it away; `declared` and `taken` in bytes, `rate` in bytes a second at the
    time of `last`; `most`: the largest message there may be, which any share has room for."""

    share: Share
    end: Callable[[], None]
    most: int
    declared: int
    last: float
    taken: int = 0
    rate: float = 0.0
    is_complete: bool = False

    def rate_at(self, now: float) -> float:
        return self.rate * math.exp((self.last - now) / RATE_SECONDS)


class Budget:
    """`limit` in bytes; `clock` in seconds, monotonic."""

    def __init__(
        self, limit: int, shedding: Shedding | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = self._limit = limit
        self._shedding = shedding or Shedding()
        self._clock = clock
        self._uploads: set[Upload] = set()
        self._parties: Counter[str] = Counter()
        self._tenants: Counter[str] = Counter()  # what strangers send them
        self._strangers = 0
        self.used = 0

    def bound(self, free: int) -> None:
        """`free`: what the file system has left for it."""
        self._limit = min(self._most, self.used + max(free, 0))

    def open(self, share: Share, end: Callable[[], None], most: int, declared: int) -> Upload:
        upload = Upload(share, end, most, declared, self._clock())
        self._uploads.add(upload)
        return upload

    def take(self, upload: Upload, size: int) -> None:
        """NoRoomError where there is none, and nobody to make it."""
        for is_over, rivals in self._bounds(upload, size):
            while is_over():
                victim = self._victim(upload, size, rivals)
                if victim is None:
                    self._shedding.tell(Reason.STAGING_FULL, upload.share.party)
                    raise NoRoomError("staging budget is used up")
                self._shedding.tell(Reason.STAGING_ENDED, victim.share.party)
                victim.end()
        self._add(upload, size)
        now = self._clock()
        upload.rate = upload.rate_at(now) + size / RATE_SECONDS
        upload.last = now

    def close(self, upload: Upload) -> None:
        """Gives back what it took; nothing happens the second time."""
        if upload in self._uploads:
            self._uploads.remove(upload)
            self._add(upload, -upload.taken)

    def promised(self) -> int:
        """Bytes that were declared and are still to come; a party that declares more than its share counts with that.
        Who has stalled promises nothing."""
        now = self._clock()
        coming: Counter[str] = Counter()
        shares: dict[str, int] = {}
        for each in self._uploads:
            if not each.is_complete and now - each.last < STALLED_SECONDS:
                coming[each.share.party] += max(0, each.declared - each.taken)
                shares[each.share.party] = self._share(each)
        return sum(min(size, shares[party]) for party, size in coming.items())

    def _add(self, upload: Upload, size: int) -> None:
        upload.taken += size
        self.used += size
        counters = [(self._parties, upload.share.party)]
        if not upload.share.is_own:
            self._strangers += size
            counters.append((self._tenants, upload.share.tenant))
        for counter, key in counters:
            counter[key] += size
            if not counter[key]:
                del counter[key]

    def _share(self, upload: Upload) -> int:
        return max(self._limit // (4 if upload.share.is_own else 8), upload.most)

    def _bounds(self, upload: Upload, size: int) -> Iterator[tuple[Callable[[], bool], Callable[[Upload], bool]]]:
        """Each limit: whether `size` more is over it, and who could make room below it."""
        share = upload.share
        yield (
            lambda: self._parties[share.party] + size > self._share(upload),
            lambda other: other.share.party == share.party,
        )
        if not share.is_own:
            yield (
                lambda: bool(share.tenant) and self._tenants[share.tenant] + size > max(self._limit // 2, upload.most),
                lambda other: not other.share.is_own and other.share.tenant == share.tenant,
            )
            yield (
                lambda: self._strangers + size > self._limit - self._limit // 4,
                lambda other: not other.share.is_own,
            )
        yield lambda: self.used + size > self._limit, lambda other: True

    def _victim(self, upload: Upload, size: int, rivals: Callable[[Upload], bool]) -> Upload | None:
        now = self._clock()
        able = [
            other
            for other in self._uploads
            if other is not upload and other.taken and not other.is_complete and rivals(other)
        ]
        able = [other for other in able if self._has_to_go(other, upload, size, now)]
        return max(able, key=lambda other: self._parties[other.share.party] * self._silence(other, now), default=None)

    def _silence(self, upload: Upload, now: float) -> float:
        return _LEAST_SILENCE + now - upload.last

    def _has_to_go(self, other: Upload, upload: Upload, size: int, now: float) -> bool:
        """Rather than `upload`: it has stalled, or holds up more; of one party the one that is far slower."""
        if now - other.last >= STALLED_SECONDS:
            return True
        if other.share.party == upload.share.party:
            own = upload.rate_at(now) + size / RATE_SECONDS
            return other.rate_at(now) < own / 10
        held, own_held = self._parties[other.share.party], self._parties[upload.share.party] + size
        return held > own_held and held * self._silence(other, now) > own_held * _LEAST_SILENCE
