"""The edge's pool of inspectors: one request at a time each, and turns in front of them (`edge.turns`)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from mailgate.edge.shedding import Reason, Shedding
from mailgate.edge.staging import Staging
from mailgate.edge.turns import NoTurnError, Share, Turns
from mailgate.ipc.inspect_calls import Inspect, Inspected, InspectLimits, ReadReports, ReportsRead
from mailgate.ipc.inspection import Line
from mailgate.model.errors import MailgateError
from mailgate.model.received_report import ReportReading
from mailgate.model.verdict import Inspection, Unscanned, not_scanned
from mailgate.records import log, metrics

WAITING_LIMIT = 512  # messages that wait for a free inspector; above it whoever has most of them gets 451
PATIENCE = 25.0  # seconds that one waits; then 451
LONG_SECONDS = 1.0  # what will probably take longer never gets more than half of the inspectors
UNKNOWN_PACE = 1.0 / (1 << 20)  # seconds for a byte from a network that has sent nothing yet: of what is worst
REMEMBERED = 10_000

_LOST = (OSError, EOFError, TimeoutError, msgspec.DecodeError)

_logger = log.get(__name__)


class BusyError(MailgateError):
    """Too many messages wait for inspection: 451."""


class InspectionFailedError(MailgateError):
    """The inspector died or gave up on this message for the first time: 451, the sender tries again."""


class Inspectors:
    """`inspect` gives the inspection, or raises BusyError / InspectionFailedError (both 451).

    The second failure with the same content is answered as *not scanned(worker)*, so that one message can't block its
    sender's queue for ever."""

    def __init__(self, paths: list[Path], shedding: Shedding | None = None) -> None:
        self._idle = [Line(path) for path in paths]
        self._turns = Turns(len(paths), WAITING_LIMIT, PATIENCE)
        self._shedding = shedding or Shedding()
        self._paces: OrderedDict[str, float] = OrderedDict()  # seconds for a byte, by party
        self._failed: OrderedDict[bytes, None] = OrderedDict()

    async def inspect(self, staging: Staging, limits: InspectLimits, is_inbound: bool, share: Share) -> Inspection:
        try:
            async with self._line(staging, limits, share) as (line, left):
                answer = await line.ask(Inspect(staging.size, staging.inline, left, is_inbound), staging.fileno)
        except _LOST:
            return self._failure(staging, "the inspector died")
        if isinstance(answer, Inspected):
            return answer.inspection
        _logger.warning("inspection failed", cause=answer.text)
        return self._failure(staging, answer.text)

    async def read_reports(self, staging: Staging, limits: InspectLimits, share: Share) -> ReportReading:
        """What the message tells of DMARC. Never raises but CancelledError: a report is no reason to refuse mail."""
        try:
            async with self._line(staging, limits, share) as (line, left):
                answer = await line.ask(ReadReports(staging.size, staging.inline, left), staging.fileno)
        except BusyError:
            return ReportReading(problem="all inspectors are busy")
        except _LOST:
            return ReportReading(problem="the inspector died of it")
        return answer.reading if isinstance(answer, ReportsRead) else ReportReading(problem=answer.text)

    @asynccontextmanager
    async def _line(
        self, staging: Staging, limits: InspectLimits, share: Share
    ) -> AsyncIterator[tuple[Line, InspectLimits]]:
        """A free inspector, for as long as one message may take, its waiting included. BusyError; _LOST where it goes
        away."""
        expected = staging.size * self._paces.get(share.party, UNKNOWN_PACE)
        asked = time.monotonic()
        try:
            async with self._turns.turn(share, expected, is_long=expected > LONG_SECONDS):
                began = time.monotonic()
                left = replace(limits, wall_seconds=max(1.0, limits.wall_seconds - (began - asked)))
                try:
                    async with self._free(left) as line:
                        yield line, left
                finally:
                    self._learn(share, (time.monotonic() - began) / max(staging.size, 1))
        except NoTurnError as error:
            self._shedding.tell(Reason.INSPECTION_QUEUE if error.was_full else Reason.INSPECTION_WAIT, share.party)
            raise BusyError(str(error)) from None

    @asynccontextmanager
    async def _free(self, limits: InspectLimits) -> AsyncIterator[Line]:
        line = self._idle.pop()
        try:
            # The inspector's own limits end a message first; this one is for an inspector that hangs as a whole.
            async with asyncio.timeout(limits.wall_seconds + 3):
                yield line
        except _LOST as error:
            metrics.INSPECTOR_DEATHS.inc()
            _logger.warning("inspector lost", cause=str(error) or type(error).__name__)
            raise
        finally:
            self._idle.append(line)

    def _learn(self, share: Share, pace: float) -> None:
        """What the next message of this party will probably cost. A slow one counts at once, a quick one by and by."""
        self._paces[share.party] = max(pace, (self._paces.pop(share.party, UNKNOWN_PACE) + pace) / 2)
        if len(self._paces) > REMEMBERED:
            self._paces.popitem(last=False)

    def _failure(self, staging: Staging, cause: str) -> Inspection:
        digest = _digest(staging)
        if digest in self._failed:
            return not_scanned(Unscanned.WORKER, staging.size, cause)
        self._failed[digest] = None
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)
        raise InspectionFailedError(cause)


def _digest(staging: Staging) -> bytes:
    inline = staging.inline
    if inline is not None:
        return hashlib.sha256(inline).digest()
    assert staging.fileno is not None
    with os.fdopen(os.dup(staging.fileno), "rb") as file:
        file.seek(0)
        return hashlib.file_digest(file, "sha256").digest()
