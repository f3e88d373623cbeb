"""Does the tenant's own server know a recipient? Asked before the 2yz to RCPT, so that nothing is accepted that can
only bounce; answers are kept for a while."""

from __future__ import annotations

import asyncio
import enum
from collections import OrderedDict
from collections.abc import Callable

from mailgate.edge.callout import Callout, CalloutError
from mailgate.edge.shedding import Reason, Shedding
from mailgate.edge.turns import NoTurnError, Share, Turns
from mailgate.model.address import Address
from mailgate.model.dns import Resolver
from mailgate.policy.schema import InboundRoute
from mailgate.records import log

WAIT_SECONDS = 10.0
KNOWN_SECONDS = 7_200.0
UNKNOWN_SECONDS = 900.0
AWAY_SECONDS = 10.0  # that a server which did not answer is left alone
IDLE_SECONDS = 20.0
MOST_AT_ONCE = 10  # callouts to one server
MOST_WAITING = 200
TURN_SECONDS = 5.0  # that one waits for its turn
CACHE_SIZE = 100_000

_logger = log.get(__name__)


class Standing(enum.Enum):
    """AWAY: the server can't tell now."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    AWAY = "away"


_SECONDS = {Standing.KNOWN: KNOWN_SECONDS, Standing.UNKNOWN: UNKNOWN_SECONDS}


def standing_of(code: int) -> Standing:
    """From the reply to RCPT. 552 is `too many recipients` or `full` to old servers (RFC 5321 section 4.5.3.1.10)."""
    if 200 <= code < 300:
        return Standing.KNOWN
    return Standing.UNKNOWN if 500 <= code < 600 and code != 552 else Standing.AWAY


class _Server:
    """The connections to the server of one route. `away_until` in seconds of the clock."""

    def __init__(self) -> None:
        self.idle: list[tuple[float, Callout]] = []
        self.turns = Turns(MOST_AT_ONCE, MOST_WAITING, TURN_SECONDS)
        self.away_until = 0.0


class Verifier:
    """Lives in the event loop; `hostname` is our own name, `clock` in seconds, monotonic."""

    def __init__(
        self, resolver: Resolver, hostname: str, clock: Callable[[], float], shedding: Shedding | None = None
    ) -> None:
        self._shedding = shedding or Shedding()
        self._resolver = resolver
        self._hostname = hostname
        self._clock = clock
        self._servers: dict[InboundRoute, _Server] = {}
        self._answers: OrderedDict[tuple[InboundRoute, Address], tuple[float, Standing]] = OrderedDict()

    async def standing(self, route: InboundRoute, recipient: Address, share: Share) -> Standing:
        """In TURN_SECONDS and WAIT_SECONDS at most; never raises but CancelledError. Clients take turns at a server,
        none holds more than half: it must not be away for all because one client asks much."""
        known = self._answers.get((route, recipient))
        if known is not None and known[0] > self._clock():
            return known[1]
        server = self._servers.setdefault(route, _Server())
        if server.away_until > self._clock():
            return Standing.AWAY
        try:
            async with server.turns.turn(share, is_long=True), asyncio.timeout(WAIT_SECONDS):
                found = standing_of(await self._ask(server, route, recipient))
        except NoTurnError:
            self._shedding.tell(Reason.CALLOUTS, share.party)
            return Standing.AWAY
        except (CalloutError, TimeoutError) as error:
            server.away_until = self._clock() + AWAY_SECONDS
            _logger.warning(
                "recipients can't be verified", server=route.server, reason=str(error) or "no answer in time"
            )
            return Standing.AWAY
        if found is not Standing.AWAY:
            self._keep(route, recipient, found)
        return found

    async def _ask(self, server: _Server, route: InboundRoute, recipient: Address) -> int:
        """Over a connection that is there, or else over a new one: a server may have closed an idle one meanwhile."""
        while server.idle:
            since, callout = server.idle.pop()
            if since + IDLE_SECONDS < self._clock() or not callout.is_usable:
                callout.close()
                continue
            try:
                return await self._ask_over(callout, server, recipient)
            except CalloutError:
                break
        return await self._ask_over(await Callout.open(route, self._resolver, self._hostname), server, recipient)

    async def _ask_over(self, callout: Callout, server: _Server, recipient: Address) -> int:
        try:
            code = await callout.ask(recipient)
        except BaseException:
            callout.close()
            raise
        server.idle.append((self._clock(), callout))
        return code

    def _keep(self, route: InboundRoute, recipient: Address, standing: Standing) -> None:
        if len(self._answers) >= CACHE_SIZE:
            self._answers.popitem(last=False)
        self._answers[route, recipient] = (self._clock() + _SECONDS[standing], standing)

    async def close(self) -> None:
        for server in self._servers.values():
            while server.idle:
                await server.idle.pop()[1].quit()
