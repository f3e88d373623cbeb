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
from mailgate.edge.turns import NoTurnError, Presence, Share, Turns
from mailgate.ipc.endings import Endings
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

OWN_FAILURES, FAILURES = 2, 5  # of one content; then it is answered as not scanned
ENDING_SECONDS, ENDING_TRIES = 2.0, 100  # within which the supervisor tells how an inspector ended

_LOST = (OSError, EOFError, TimeoutError, msgspec.DecodeError)

_logger = log.get(__name__)


class BusyError(MailgateError):
    """Too many messages wait for inspection: 451."""


class InspectionFailedError(MailgateError):
    """The inspector died or gave up on this message, not often enough yet: 451, the sender tries again."""


class _LostError(Exception):
    """The inspector went away. `is_own`: because of this message, as far as one knows."""

    def __init__(self, cause: str, is_own: bool) -> None:
        super().__init__(cause)
        self.is_own = is_own


class Inspectors:
    """`inspect` gives the inspection, or raises BusyError / InspectionFailedError / GoneError (all 451).

    The second failure with the same content is answered as *not scanned(worker)*, so that one message can't block its
    sender's queue for ever. Where the inspector was ended from outside (`endings` tell), it takes five."""

    def __init__(self, paths: list[Path], shedding: Shedding | None = None, endings: Endings | None = None) -> None:
        self._lines = [Line(path) for path in paths]
        self._idle = list(range(len(paths)))
        self._endings = endings
        self._turns = Turns(len(paths), WAITING_LIMIT, PATIENCE)
        self._shedding = shedding or Shedding()
        self._paces: OrderedDict[str, float] = OrderedDict()  # seconds for a byte, by party
        self._failed: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # its own failures, and all

    async def inspect(
        self,
        staging: Staging,
        limits: InspectLimits,
        is_inbound: bool,
        share: Share,
        presence: Presence | None = None,
    ) -> Inspection:
        """`presence` of the client: nothing is begun for one that has gone."""
        try:
            async with self._line(staging, limits, share, presence) as (line, left):
                answer = await line.ask(Inspect(staging.size, staging.inline, left, is_inbound), staging.fileno)
        except _LostError as error:
            return self._failure(staging, str(error), error.is_own)
        if isinstance(answer, Inspected):
            return answer.inspection
        _logger.warning("inspection failed", cause=answer.text)
        return self._failure(staging, answer.text, True)

    async def read_reports(self, staging: Staging, limits: InspectLimits, share: Share) -> ReportReading:
        """What the message tells of DMARC. Never raises but CancelledError: a report is no reason to refuse mail."""
        try:
            async with self._line(staging, limits, share) as (line, left):
                answer = await line.ask(ReadReports(staging.size, staging.inline, left), staging.fileno)
        except BusyError:
            return ReportReading(problem="all inspectors are busy")
        except _LostError as error:
            return ReportReading(problem=str(error))
        return answer.reading if isinstance(answer, ReportsRead) else ReportReading(problem=answer.text)

    @asynccontextmanager
    async def _line(
        self, staging: Staging, limits: InspectLimits, share: Share, presence: Presence | None = None
    ) -> AsyncIterator[tuple[Line, InspectLimits]]:
        """A free inspector, for as long as one message may take, its waiting included. BusyError; GoneError;
        _LostError where it goes away."""
        expected = staging.size * self._paces.get(share.party, UNKNOWN_PACE)
        asked = time.monotonic()
        try:
            async with self._turns.turn(share, expected, expected > LONG_SECONDS, presence):
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
        number = self._idle.pop()
        ended = self._endings.last(number).count if self._endings is not None else 0
        try:
            # The inspector's own limits end a message first; this one is for an inspector that hangs as a whole, or
            # serves another edge for that long.
            async with asyncio.timeout(limits.wall_seconds + 3):
                yield self._lines[number]
        except _LOST as error:
            is_own = isinstance(error, msgspec.DecodeError) or (
                isinstance(error, EOFError) and await self._is_its_own_end(number, ended)
            )
            if is_own:
                metrics.INSPECTOR_DEATHS.inc()
            _logger.warning("inspector lost", cause=str(error) or type(error).__name__, by_message=is_own)
            raise _LostError("the inspector died of it" if is_own else "the inspector went away", is_own) from error
        finally:
            self._idle.append(number)

    async def _is_its_own_end(self, number: int, ended: int) -> bool:
        """Did the inspector end by what it was given? `ended` processes of it had ended before."""
        if self._endings is None:
            return True
        for _ in range(ENDING_TRIES):
            last = self._endings.last(number)
            if last.count != ended:
                return last.is_by_its_message
            await asyncio.sleep(ENDING_SECONDS / ENDING_TRIES)
        return False

    def _learn(self, share: Share, pace: float) -> None:
        """What the next message of this party will probably cost. A slow one counts at once, a quick one by and by."""
        self._paces[share.party] = max(pace, (self._paces.pop(share.party, UNKNOWN_PACE) + pace) / 2)
        if len(self._paces) > REMEMBERED:
            self._paces.popitem(last=False)

    def _failure(self, staging: Staging, cause: str, is_own: bool) -> Inspection:
        digest = _digest(staging)
        own, all_ = self._failed.pop(digest, (0, 0))
        own, all_ = self._failed[digest] = own + is_own, all_ + 1
        if own >= OWN_FAILURES or all_ >= FAILURES:
            return not_scanned(Unscanned.WORKER, staging.size, cause)
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
