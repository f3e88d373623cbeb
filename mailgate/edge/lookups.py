"""The DNS for the checks of senders. While the resolver is away every lookup fails at once, so that mail flows without
it as fast as with it; whether it is back is found out beside the sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailgate.edge.shedding import Reason, Shedding
from mailgate.edge.turns import NoTurnError, Share, Turns
from mailgate.model.dns import Answer, Mx, Status
from mailgate.records import log
from mailgate.senderauth.dns import Resolver

T = TypeVar("T")

PROBE = "mailgate-probe.invalid"  # RFC 6761 section 6.4: every resolver knows that there is no such name
PROBE_SECONDS = 5.0
UNCOUNTED = 64  # lookups at the same time that nobody needs a turn for; the answers in memory are among them
AT_ONCE = 192  # more, in turn
MOST_WAITING = 4096
PATIENCE = 5.0  # seconds for a turn; then the lookup has failed for now
SUSPICIOUS_FAILURES = 5  # in a row, whatever the names; then the resolver itself is asked for

_logger = log.get(__name__)


class WatchedResolver:
    """Away until the first probe has been answered; `watch` must run beside it."""

    def __init__(self, resolver: Resolver, seconds: float = PROBE_SECONDS, shedding: Shedding | None = None) -> None:
        self.names = resolver
        self._turns = Turns(AT_ONCE, MOST_WAITING, PATIENCE)
        self._shedding = shedding or Shedding()
        self._uncounted = 0
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
                return (await self.names.txt(PROBE)).is_known
        except TimeoutError:
            return False

    def of(self, share: Share) -> SharedResolver:
        """For a client that `share` stands for."""
        return SharedResolver(self, share)

    async def ask(self, lookup: Callable[[], Awaitable[Answer[T]]], share: Share) -> Answer[T]:
        """A few lookups at once are free; then clients take turns, and none holds more than half: a domain whose
        servers never answer holds each for seconds."""
        if self.is_away:
            return _away()
        if self._uncounted < UNCOUNTED:
            self._uncounted += 1
            try:
                return await self._guarded(lookup())
            finally:
                self._uncounted -= 1
        try:
            async with self._turns.turn(share, is_long=True):
                return await self._guarded(lookup())
        except NoTurnError as error:
            self._shedding.tell(Reason.LOOKUPS, share.party)
            return Answer(Status.FAILED, reason=str(error))

    async def _guarded(self, lookup: Awaitable[Answer[T]]) -> Answer[T]:
        answer = await lookup
        self._failures = 0 if answer.is_known else self._failures + 1
        if self._failures >= SUSPICIOUS_FAILURES:
            self._failures = 0
            self._is_suspect.set()
        return answer


class SharedResolver:
    """The lookups of one client's messages."""

    def __init__(self, watched: WatchedResolver, share: Share) -> None:
        self._watched = watched
        self._names = watched.names
        self._share = share

    async def txt(self, name: str) -> Answer[str]:
        return await self._watched.ask(lambda: self._names.txt(name), self._share)

    async def a(self, name: str) -> Answer[str]:
        return await self._watched.ask(lambda: self._names.a(name), self._share)

    async def aaaa(self, name: str) -> Answer[str]:
        return await self._watched.ask(lambda: self._names.aaaa(name), self._share)

    async def ptr(self, name: str) -> Answer[str]:
        return await self._watched.ask(lambda: self._names.ptr(name), self._share)

    async def mx(self, name: str) -> Answer[Mx]:
        return await self._watched.ask(lambda: self._names.mx(name), self._share)


def _away() -> Answer[T]:
    return Answer(Status.FAILED, reason="the resolver does not answer")
