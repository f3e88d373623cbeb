"""Does the tenant's own server know a recipient? Asked before the 2yz to RCPT, so that nothing is accepted that can
only bounce; answers are kept for a while."""

from __future__ import annotations

import asyncio
import enum
import re
from collections import OrderedDict
from collections.abc import Callable

from mailgate.edge.callout import Callout, CalloutError, Takes
from mailgate.edge.shedding import Reason, Shedding
from mailgate.edge.turns import NoTurnError, Share, Turns
from mailgate.model.address import Address
from mailgate.model.dns import Resolver
from mailgate.model.reply import Reply
from mailgate.policy.schema import InboundRoute
from mailgate.records import log, metrics

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
    """AWAY: the server does not answer. LATER: it asks to come again. REFUSED: it refuses us, whoever the recipient
    is."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    AWAY = "away"
    LATER = "later"
    REFUSED = "refused"


_SECONDS = {Standing.KNOWN: KNOWN_SECONDS, Standing.UNKNOWN: UNKNOWN_SECONDS}
_OF_THE_ADDRESS = re.compile(r"5\.(?:1\.(?:[1-69]|10)|2\.1)")  # RFC 3463 sections 3.2, 3.3, RFC 7505
_OF_US = re.compile(r"5\.(?:[57]\.[0-9]+|1\.[78])")  # protocol and security: sections 3.6, 3.8; the sender: 3.2
_ABOUT_MAILBOXES = frozenset({550, 551, 553, 554})


def standing_of(reply: Reply) -> Standing | None:
    """From the reply to RCPT; None where it does not say whether it is about the recipient or about us. 552 is `too
    many recipients` or `full` to old servers (RFC 5321 section 4.5.3.1.10)."""
    if 200 <= reply.code < 300:
        return Standing.KNOWN
    if not 500 <= reply.code < 600 or reply.code == 552 or reply.enhanced.startswith("5.2.2"):
        return Standing.LATER
    if _OF_THE_ADDRESS.fullmatch(reply.enhanced):
        return Standing.UNKNOWN
    if _OF_US.fullmatch(reply.enhanced) or reply.code not in _ABOUT_MAILBOXES:
        return Standing.REFUSED
    return None


class _Server:
    """The connections to the server of one route. `away_until` in seconds of the clock."""

    def __init__(self) -> None:
        self.idle: list[tuple[float, Callout]] = []
        self.turns = Turns(MOST_AT_ONCE, MOST_WAITING, TURN_SECONDS)
        self.away_until = 0.0
        self.takes: Takes | None = None
        self.taken: dict[str, Address] = {}  # by domain, the recipient that it took last


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
                found = await self._found(server, route, recipient)
        except NoTurnError:
            self._shedding.tell(Reason.CALLOUTS, share.party)
            return Standing.AWAY
        except (CalloutError, TimeoutError) as error:
            server.away_until = self._clock() + AWAY_SECONDS
            _logger.warning(
                "recipients can't be verified", server=route.server, reason=str(error) or "no answer in time"
            )
            return Standing.AWAY
        if found in _SECONDS:
            self._keep(route, recipient, found)
        return found

    def takes(self, route: InboundRoute) -> Takes | None:
        """What the server said last that it takes; None where it was not asked yet."""
        server = self._servers.get(route)
        return server.takes if server is not None else None

    async def _found(self, server: _Server, route: InboundRoute, recipient: Address) -> Standing:
        """Some servers refuse with a bare 550, be it the recipient or us: where others are refused, too, it is us."""
        reply = await self._ask(server, route, recipient)
        found = standing_of(reply)
        if found is Standing.KNOWN:
            server.taken[recipient.domain] = recipient
        if found is None:
            found = Standing.UNKNOWN if await self._takes_another(server, route, recipient) else Standing.REFUSED
        if found is Standing.REFUSED:
            _logger.error("the server of a tenant refuses us", server=route.server, reply=str(reply))
            metrics.RECIPIENT_CHECKS_REFUSED.inc()
        return found

    async def _takes_another(self, server: _Server, route: InboundRoute, recipient: Address) -> bool:
        """The one that it took last, or the postmaster, whom every server must take (RFC 5321 section 4.5.1) and some
        do not have."""
        postmaster = Address("postmaster", recipient.domain)
        for other in dict.fromkeys((server.taken.get(recipient.domain, postmaster), postmaster)):
            if other != recipient and standing_of(await self._ask(server, route, other)) is Standing.KNOWN:
                return True
        return False

    async def _ask(self, server: _Server, route: InboundRoute, recipient: Address) -> Reply:
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

    async def _ask_over(self, callout: Callout, server: _Server, recipient: Address) -> Reply:
        server.takes = callout.takes
        try:
            reply = await callout.ask(recipient)
        except BaseException:
            callout.close()
            raise
        server.idle.append((self._clock(), callout))
        return reply

    def _keep(self, route: InboundRoute, recipient: Address, standing: Standing) -> None:
        if len(self._answers) >= CACHE_SIZE:
            self._answers.popitem(last=False)
        self._answers[route, recipient] = (self._clock() + _SECONDS[standing], standing)

    async def close(self) -> None:
        for server in self._servers.values():
            while server.idle:
                await server.idle.pop()[1].quit()
