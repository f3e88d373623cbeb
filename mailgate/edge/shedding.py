"""What is refused or ended because somebody takes more than a share: a metric by reason, and in the log one line a
minute for each network, so that an attack does not fill it."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable

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


class Shedding:
    """`clock` in seconds, monotonic. Memory is bounded: what is older than LINE_SECONDS is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._again: dict[tuple[Reason, str], int] = {}  # how often since the line
        self._began = clock()
        self._left_out = 0

    def tell(self, reason: Reason, network: str) -> None:
        """`network`: whose share is used up, an address, a network or a tenant."""
        metrics.SHED.labels(reason).inc()
        now = self._clock()
        if now - self._began >= LINE_SECONDS:
            self._sum_up(now)
        if (reason, network) in self._again:
            self._again[reason, network] += 1
        elif len(self._again) < MOST_LINES:
            self._again[reason, network] = 0
            _logger.warning("limited", reason=reason, network=network)
        else:
            self._left_out += 1

    def _sum_up(self, now: float) -> None:
        """A new minute: how often the last one's came again, in one line each."""
        for (reason, network), times in self._again.items():
            if times:
                _logger.warning("limited again", reason=reason, network=network, times=times)
        if self._left_out:
            _logger.warning("limited, networks left out", times=self._left_out)
        self._again.clear()
        self._began, self._left_out = now, 0
