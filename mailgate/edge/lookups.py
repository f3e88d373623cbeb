"""The DNS for the checks of senders. While the resolver is away every lookup fails at once, so that mail flows without
it as fast as with it; whether it is back is found out beside the sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from mailgate.model.dns import Answer, Mx, Status
from mailgate.records import log
from mailgate.senderauth.dns import Resolver

T = TypeVar("T")

PROBE = "mailgate-probe.invalid"  # RFC 6761 section 6.4: every resolver knows that there is no such name
PROBE_SECONDS = 5.0
SUSPICIOUS_FAILURES = 5  # in a row, whatever the names; then the resolver itself is asked for

_logger = log.get(__name__)


class WatchedResolver:
    """Away until the first probe has been answered; `watch` must run beside it."""

    def __init__(self, resolver: Resolver, seconds: float = PROBE_SECONDS) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._failures = 0
        self._is_suspect = asyncio.Event()
        self.is_away = True
        self.is_probed = asyncio.Event()

    async def watch(self) -> None:
        """Runs until it is cancelled."""
        while True:
            was_away, self.is_away = self.is_away, not await self._answers()
            if self.is_away and not (was_away and self.is_probed.is_set()):
                _logger.warning("the DNS resolver does not answer: senders of mail from outside can't be checked")
            elif was_away and not self.is_away and self.is_probed.is_set():
                _logger.info("the DNS resolver answers again")
            self.is_probed.set()
            if self.is_away:
                await asyncio.sleep(self._seconds)
            else:
                self._is_suspect.clear()
                await self._is_suspect.wait()

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                return (await self._resolver.txt(PROBE)).is_known
        except TimeoutError:
            return False

    async def txt(self, name: str) -> Answer[str]:
        return await self._guarded(self._resolver.txt(name)) if not self.is_away else _away()

    async def a(self, name: str) -> Answer[str]:
        return await self._guarded(self._resolver.a(name)) if not self.is_away else _away()

    async def aaaa(self, name: str) -> Answer[str]:
        return await self._guarded(self._resolver.aaaa(name)) if not self.is_away else _away()

    async def ptr(self, name: str) -> Answer[str]:
        return await self._guarded(self._resolver.ptr(name)) if not self.is_away else _away()

    async def mx(self, name: str) -> Answer[Mx]:
        return await self._guarded(self._resolver.mx(name)) if not self.is_away else _away()

    async def _guarded(self, lookup: Awaitable[Answer[T]]) -> Answer[T]:
        answer = await lookup
        self._failures = 0 if answer.is_known else self._failures + 1
        if self._failures >= SUSPICIOUS_FAILURES:
            self._failures = 0
            self._is_suspect.set()
        return answer


def _away() -> Answer[T]:
    return Answer(Status.FAILED, reason="the resolver does not answer")
