"""The edge's pool of inspectors: one request at a time each, a bounded queue in front."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from mailgate.edge.staging import Staging
from mailgate.ipc.inspect_calls import Inspect, Inspected, InspectLimits, ReadReports, ReportsRead
from mailgate.ipc.inspection import Line
from mailgate.model.errors import MailgateError
from mailgate.model.received_report import ReportReading
from mailgate.model.verdict import Inspection, Unscanned, not_scanned
from mailgate.records import log, metrics

WAITING_LIMIT = 512  # messages that wait for a free inspector; above it 451 at once
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

    def __init__(self, paths: list[Path]) -> None:
        self._idle: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for path in paths:
            self._idle.put_nowait(Line(path))
        self._waiting = 0
        self._failed: OrderedDict[bytes, None] = OrderedDict()

    async def inspect(self, staging: Staging, limits: InspectLimits, is_inbound: bool) -> Inspection:
        if self._waiting >= WAITING_LIMIT:
            raise BusyError("the queue of messages to inspect is full")
        request = Inspect(staging.size, staging.inline, limits, is_inbound)
        try:
            async with self._line(limits) as line:
                answer = await line.ask(request, staging.fileno)
        except _LOST:
            return self._failure(staging, "the inspector died")
        if isinstance(answer, Inspected):
            return answer.inspection
        _logger.warning("inspection failed", cause=answer.text)
        return self._failure(staging, answer.text)

    async def read_reports(self, staging: Staging, limits: InspectLimits) -> ReportReading:
        """What the message tells of DMARC. Never raises but CancelledError: a report is no reason to refuse mail."""
        if self._waiting >= WAITING_LIMIT:
            return ReportReading(problem="all inspectors are busy")
        try:
            async with self._line(limits) as line:
                answer = await line.ask(ReadReports(staging.size, staging.inline, limits), staging.fileno)
        except _LOST:
            return ReportReading(problem="the inspector died of it")
        return answer.reading if isinstance(answer, ReportsRead) else ReportReading(problem=answer.text)

    @asynccontextmanager
    async def _line(self, limits: InspectLimits) -> AsyncIterator[Line]:
        """A free inspector, for as long as one message may take. _LOST where it goes away."""
        self._waiting += 1
        try:
            line = await self._idle.get()
        finally:
            self._waiting -= 1
        try:
            # The inspector's own limits end a message first; this one is for an inspector that hangs as a whole.
            async with asyncio.timeout(limits.wall_seconds + 3):
                yield line
        except _LOST as error:
            metrics.INSPECTOR_DEATHS.inc()
            _logger.warning("inspector lost", cause=str(error) or type(error).__name__)
            raise
        finally:
            self._idle.put_nowait(line)

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
