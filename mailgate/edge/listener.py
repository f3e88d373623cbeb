"""What all sessions of one edge process share, and what those of one listener do."""

from __future__ import annotations

import ipaddress
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mailgate.edge.budget import Budget
from mailgate.edge.connections import Connections
from mailgate.edge.guesses import Guesses
from mailgate.edge.limits import SessionLimits
from mailgate.edge.shedding import Shedding
from mailgate.edge.staging import Staging
from mailgate.edge.store_client import StoreClient
from mailgate.edge.transaction import Surroundings
from mailgate.edge.turning_away import TurningAway
from mailgate.edge.verify import Verifier
from mailgate.model.envelope import QueueId

if TYPE_CHECKING:
    from mailgate.edge.connection import Connection

FREE_RESERVE = 32 << 20  # bytes of the file system that stay free whatever a client declares
STAGING_BUDGET = 4 << 30  # bytes staged at once, in memory and in files


@dataclass(frozen=True, slots=True)
class Listener:
    """`name` is mx, submission or submissions. `proxies`: networks that must speak PROXY (a peer outside must not)."""

    name: str
    offers_auth: bool
    tls: ssl.SSLContext | None
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    @property
    def offers_dsn(self) -> bool:
        """Only where senders are proven: a stranger must not be able to make us write to whomever it names. A server
        that hands us mail without the extension tells its sender itself (RFC 3461 section 5.2.2)."""
        return self.offers_auth

    @property
    def is_implicit_tls(self) -> bool:
        """TLS comes first (RFC 8314 section 3.3). The session begins the handshake, once it has a seat."""
        return self.name == "submissions" and self.tls is not None

    def is_proxied(self, address: str) -> bool:
        if not self.proxies:
            return False
        peer = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self.proxies)


@dataclass(slots=True)
class Edge:
    """`limits` and `size_limit` follow the policy in force."""

    around: Surroundings
    size_limit: Callable[[], int]
    staging_dir: Path
    verifier: Verifier
    sessions: set[Connection] = field(default_factory=set)
    shedding: Shedding = field(default_factory=Shedding)
    connections: Connections = field(init=False)
    guesses: Guesses = field(default_factory=Guesses)
    turning_away: TurningAway = field(init=False)
    is_draining: bool = False
    _budget: Budget = field(init=False)
    _free: tuple[float, int] = (0.0, 0)

    def __post_init__(self) -> None:
        self.connections = Connections(self.shedding)
        self.turning_away = TurningAway(self.store.keep_turned_away)
        self._budget = Budget(STAGING_BUDGET, self.shedding)

    @property
    def hostname(self) -> str:
        return self.around.hostname

    @property
    def store(self) -> StoreClient:
        return self.around.store

    def limits(self) -> SessionLimits:
        return self.around.limits()

    def stage(self, queue_id: QueueId) -> Staging:
        return Staging(f"{self.staging_dir}/{queue_id}", self.size_limit(), self._budget)

    def has_room(self, declared: int) -> bool:
        """Whether the file system can take a message of this size (RFC 1870 section 6.1), and what others have declared
        and are sending; looked up once a second."""
        now = time.monotonic()
        if now - self._free[0] > 1:
            space = os.statvfs(self.staging_dir)
            left = space.f_bavail * space.f_frsize - FREE_RESERVE
            self._budget.bound(left)
            self._free = (now, left - self._budget.promised())
        return self._free[1] > declared
