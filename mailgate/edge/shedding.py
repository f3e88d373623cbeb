"""What is refused or ended because somebody takes more than a share: a metric by reason, and in the log one line a
minute for each network, so that an attack does not fill it."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from mailgate.records import log, metrics

LINE_SECONDS = 60.0
MOST_LINES = 100  # within LINE_SECONDS, of all networks

_logger = log.get(__name__)


class Reason(enum.StrEnum):
    """Label of `mailgate_shed_total`, and in the log; docs/operations.md says what each means."""

    ADDRESS = "connections_per_address"
    NETWORK = "connections_per_network"
    TENANT = "connections_per_tenant"
    FULL = "connections"
    MADE_ROOM = "made_room"
    NOT_READING = "not_reading"
    SLOW_DATA = "data_rate"
    STAGING_FULL = "staging_full"
    STAGING_ENDED = "staging_ended"
    INSPECTION_QUEUE = "inspection_queue"
    INSPECTION_WAIT = "inspection_wait"
    RECIPIENTS = "unknown_recipients"
    RECIPIENTS_PER_HOUR = "unknown_recipients_per_hour"
    CALLOUTS = "recipient_checks"
    LOOKUPS = "sender_checks"


metrics.begin(metrics.SHED, Reason)

K = TypeVar("K", bound=Hashable)


class LinesAMinute(Generic[K]):
    """How many lines there may be within LINE_SECONDS: `each` of one kind, `most` of all. Once half of them are used up
    every kind gets its first one only, so that who makes many does not keep others from theirs. `again` is told at the
    end of the minute how many lines of a kind were left out, `left_out` how many of kinds that got none. `clock` in
    seconds, monotonic. Memory is bounded by `most`."""

    def __init__(
        self,
        each: int,
        most: int,
        again: Callable[[K, int], None],
        left_out: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each = each
        self._most = most
        self._tell_again = again
        self._tell_left_out = left_out
        self._clock = clock
        self._kinds: dict[K, int] = {}  # how many there were
        self._lines = 0
        self._began = clock()
        self._left_out = 0
        self._again: dict[K, int] = {}

    def allow(self, kind: K) -> bool:
        """Counts one, and says whether it gets its line."""
        now = self._clock()
        if now - self._began >= LINE_SECONDS:
            self._sum_up(now)
        known = self._kinds.get(kind, 0)
        each = self._each if self._lines < self._most / 2 else 1
        if known < each and self._lines < self._most:
            self._kinds[kind] = known + 1
            self._lines += 1
            return True
        if known:
            self._again[kind] = self._again.get(kind, 0) + 1
        else:
            self._left_out += 1
        return False

    def _sum_up(self, now: float) -> None:
        again, self._again = self._again, {}
        left_out, self._left_out = self._left_out, 0
        self._kinds.clear()
        self._lines, self._began = 0, now
        for kind, times in again.items():
            self._tell_again(kind, times)
        if left_out:
            self._tell_left_out(left_out)


class Shedding:
    """`clock` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines: LinesAMinute[tuple[Reason, str]] = LinesAMinute(1, MOST_LINES, _again, _left_out, clock)

    def tell(self, reason: Reason, network: str) -> None:
        """`network`: whose share is used up, an address, a network or a tenant."""
        metrics.SHED.labels(reason).inc()
        if self._lines.allow((reason, network)):
            _logger.warning("limited", reason=reason, network=network)


def _again(kind: tuple[Reason, str], times: int) -> None:
    reason, network = kind
    _logger.warning("limited again", reason=reason, network=network, times=times)


def _left_out(times: int) -> None:
    _logger.warning("limited, networks left out", times=times)
