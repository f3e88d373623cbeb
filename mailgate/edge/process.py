"""The edge process: sockets in, sessions out, nothing that blocks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence

from mailgate.edge import client_certificate
from mailgate.edge.connection import close_all
from mailgate.edge.inspectors import Inspectors
from mailgate.edge.limits import SessionLimits
from mailgate.edge.listener import Edge, Listener
from mailgate.edge.lookups import WatchedResolver
from mailgate.edge.session import Session
from mailgate.edge.shedding import Shedding
from mailgate.edge.store_client import StoreClient
from mailgate.edge.sts_site import REQUEST_LIMIT, StsSite
from mailgate.edge.transaction import Surroundings
from mailgate.edge.verify import Verifier
from mailgate.ipc.endings import Endings
from mailgate.policy.snapshot import Snapshot
from mailgate.records import log
from mailgate.route.resolver import DnsResolver
from mailgate.settings import Settings

DRAIN_SECONDS = 65.0  # a little more than a message may take from its end to the reply

LAST_WORDS_SECONDS = 2.0  # to hand over who was turned away last
FIRST_PROBE_SECONDS = 1.0  # that the first messages may wait for the DNS; without it they are taken unchecked

_logger = log.get(__name__)


def session_limits(snapshot: Snapshot) -> SessionLimits:
    """The part of the gateway's policy that holds before a tenant is known."""
    limits = snapshot.for_gateway.limits
    return SessionLimits(
        connections=limits.connections,
        submission_reserve=limits.submission_reserve,
        connections_per_address=limits.connections_per_address,
        connections_per_network=limits.connections_per_network,
        connections_per_tenant=limits.connections_per_tenant,
        messages=limits.messages_per_connection,
        commands=limits.commands,
        idle_seconds=limits.idle_seconds,
        session_seconds=limits.session_seconds,
        data_bytes_per_second=limits.data_rate,
        auth_failures=limits.auth_failures,
        unknown_recipients=limits.unknown_recipients,
        unknown_recipients_per_hour=limits.unknown_recipients_per_hour,
        received_hops=limits.received_hops,
        header_bytes=limits.header_size,
        header_fields=limits.header_fields,
    )


class EdgeProcess:
    """Built with what it listens on; `run` serves until `stop` is set. `contexts`: TLS by listener name (mx,
    submission, submissions, sts), left out where there is none; `key` proves to the store what this is; `endings`: of
    the inspectors, where they are processes."""

    def __init__(
        self,
        settings: Settings,
        sockets: Mapping[str, Sequence[socket.socket]],
        contexts: Mapping[str, ssl.SSLContext],
        key: bytes = b"",
        endings: Endings | None = None,
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._contexts = contexts
        self._snapshot: Snapshot | None = None
        self._limits = SessionLimits()
        self._has_policy = asyncio.Event()
        names = DnsResolver(settings.resolver, settings.resolver_trusted, time.monotonic)
        shedding = Shedding()
        self._resolver = WatchedResolver(names, shedding=shedding)
        store = StoreClient(settings.store_path, self._on_policy, key)
        around = Surroundings(
            hostname=settings.hostname,
            store=store,
            inspectors=Inspectors(
                [settings.inspector_path(number) for number in range(settings.inspectors)], shedding, endings
            ),
            policy=self._policy,
            limits=lambda: self._limits,
            resolver=self._resolver,
        )
        verifier = Verifier(names, settings.hostname, time.monotonic, shedding)
        self._edge = Edge(around, self._size_limit, settings.staging_dir, verifier, shedding=shedding)

    def _on_policy(self, encoded: bytes) -> None:
        self._snapshot = Snapshot.decode(encoded)
        self._limits = session_limits(self._snapshot)
        self._ask_for_certificates(self._snapshot.asks_for_certificates)
        self._has_policy.set()

    def _ask_for_certificates(self, is_wanted: bool) -> None:
        """On MX only: users have passwords. Nobody is asked in vain, since some old servers stumble over it."""
        context = self._contexts.get("mx")
        if context is None:
            return
        try:
            client_certificate.ask(context, is_wanted)
        except client_certificate.NotPossibleError as error:
            _logger.error("servers of tenants are known by their address only", reason=str(error))

    def _policy(self) -> Snapshot:
        assert self._snapshot is not None
        return self._snapshot

    def _size_limit(self) -> int:
        return min(self._settings.message_size_limit, self._policy().for_gateway.limits.message_size)

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Serves from the moment the store has sent the policy; on `stop` running transactions are finished."""
        keeper = asyncio.create_task(self._edge.store.keep_connected())
        watcher = asyncio.create_task(self._resolver.watch())
        teller = asyncio.create_task(self._edge.turning_away.run())
        await self._has_policy.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._resolver.is_probed.wait(), FIRST_PROBE_SECONDS)
        _raise_descriptor_limit()
        servers = await self._listen()
        ready()
        await stop.wait()
        self._edge.is_draining = True
        for server in servers:
            server.close()
        await close_all(self._edge.sessions, DRAIN_SECONDS)
        teller.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._edge.turning_away.flush(), LAST_WORDS_SECONDS)
        for task in (keeper, watcher):
            task.cancel()
        await asyncio.gather(keeper, watcher, teller, return_exceptions=True)
        await self._edge.verifier.close()

    async def _listen(self) -> list[asyncio.Server]:
        loop = asyncio.get_running_loop()
        proxies = tuple(ipaddress.ip_network(network) for network in self._settings.proxy_peers)
        servers = []
        site = StsSite(self._settings.hostname, self._policy, self._edge.store.resolve)
        for name, bound in self._sockets.items():
            if name == "sts":
                servers += [await self._serve_policies(site, sock) for sock in bound]
                continue
            listener = Listener(name, name != "mx", self._contexts.get(name), proxies)
            for sock in bound:
                servers.append(
                    await loop.create_server(
                        functools.partial(Session, self._edge, listener),
                        sock=sock,
                        backlog=2048,
                    )
                )
        return servers

    async def _serve_policies(self, site: StsSite, sock: socket.socket) -> asyncio.Server:
        context = self._contexts.get("sts")
        return await asyncio.start_server(
            site.serve, sock=sock, limit=REQUEST_LIMIT, ssl=context, ssl_handshake_timeout=10 if context else None
        )


def _raise_descriptor_limit() -> None:
    """As far as the system lets us: the limit that a shell gives is below what the policy allows of connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(
    settings: Settings,
    sockets: Mapping[str, Sequence[socket.socket]],
    contexts: Mapping[str, ssl.SSLContext],
    endings: Endings,
    ready: Callable[[], None],
    reload_certificate: Callable[[], None],
    key: bytes,
) -> None:
    """The whole life of an edge process: SIGTERM drains, SIGHUP takes up a new certificate."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload_certificate)
    await EdgeProcess(settings, sockets, contexts, key, endings).run(ready, stop)
