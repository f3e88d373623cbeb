"""Scans kept messages again: those that are held until a scanner answers, and those about to leave quarantine."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mailgate.ipc.inspect_calls import Inspect, Inspected, InspectLimits
from mailgate.ipc.inspection import Line
from mailgate.model.envelope import Direction, Envelope, TenantName
from mailgate.model.errors import UnavailableError
from mailgate.model.verdict import Inspection, Unscanned, not_scanned
from mailgate.policy.effective import EffectivePolicy

WALL_SECONDS = 55.0
AT_ONCE = 2  # so that what waits does not crowd out what comes in
MOST_OF_TENANT = 20  # that wait, or are being scanned
ATTEMPTS = 2


class Rescan:
    """Runs in the event loop. Connections of its own to the inspectors, taken in turn; `at_once` messages, of one
    tenant one at a time."""

    def __init__(self, paths: Sequence[Path], at_once: int = AT_ONCE) -> None:
        self._paths = list(paths)
        self._turn = 0
        self._free = asyncio.Semaphore(at_once)
        self._tenants: dict[TenantName, asyncio.Lock] = {}
        self._asked: Counter[TenantName] = Counter()

    async def inspect(self, content: bytes | Path, envelope: Envelope, policy: EffectivePolicy) -> Inspection:
        """UnavailableError where no inspector can be reached or the file can't be read, or where too much of the tenant
        waits. A message on which two inspectors gave up is *not scanned(worker)*."""
        tenant = envelope.tenant
        if self._asked[tenant] >= MOST_OF_TENANT:
            raise UnavailableError("too many messages of this tenant wait to be scanned again; try it in some minutes")
        self._asked[tenant] += 1
        try:
            async with self._tenants.setdefault(tenant, asyncio.Lock()), self._free:
                return await self._inspect(content, envelope, policy)
        finally:
            self._asked[tenant] -= 1
            if not self._asked[tenant]:
                del self._asked[tenant], self._tenants[tenant]

    async def _inspect(self, content: bytes | Path, envelope: Envelope, policy: EffectivePolicy) -> Inspection:
        limits = InspectLimits(depth=policy.limits.depth, parts=policy.limits.parts, wall_seconds=WALL_SECONDS)
        is_inbound = envelope.direction is Direction.INBOUND
        if isinstance(content, bytes):
            return await self._ask(Inspect(len(content), content, limits, is_inbound), None)
        try:
            descriptor = os.open(content, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UnavailableError(f"{content}: {error.strerror}") from error
        try:
            return await self._ask(Inspect(content.stat().st_size, None, limits, is_inbound), descriptor)
        finally:
            os.close(descriptor)

    async def _ask(self, request: Inspect, descriptor: int | None) -> Inspection:
        cause = ""
        for _ in range(ATTEMPTS):
            self._turn = (self._turn + 1) % len(self._paths)
            line = Line(self._paths[self._turn])
            try:
                async with asyncio.timeout(WALL_SECONDS + 3):
                    answer = await line.ask(request, descriptor)
            except (ConnectionRefusedError, FileNotFoundError) as error:
                raise UnavailableError(f"no inspector can be reached: {error.strerror}") from error
            except (OSError, EOFError, TimeoutError, msgspec.DecodeError) as error:
                cause = str(error) or type(error).__name__
                continue
            finally:
                line.close()
            if isinstance(answer, Inspected):
                return answer.inspection
            cause = answer.text
        return not_scanned(Unscanned.WORKER, request.size, cause)
