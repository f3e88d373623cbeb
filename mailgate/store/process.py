"""The store process: builds its parts, puts the spool in order, serves its two sockets, and ends in good order."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import uvloop

from mailgate.ipc.frames import Peer, Room
from mailgate.ipc.keys import Keys, made_file
from mailgate.policy.snapshot import Snapshot
from mailgate.policy.strangers import strangers
from mailgate.records.metrics import DAMAGED_TENANTS
from mailgate.settings import Settings
from mailgate.spool.recovery import recover
from mailgate.store.assembly import Base, Parts, answering, assemble, background
from mailgate.store.commands.on_spool.policies import names_of_tenants, note_changes
from mailgate.store.delivery import maildir
from mailgate.store.delivery.lmtp import LmtpMailboxes
from mailgate.store.delivery.local import Deliver, Delivery
from mailgate.store.directory_thread import DirectoryThread
from mailgate.store.keeping.endings import Running, look_through, look_through_tenants
from mailgate.store.keeping.opening import OpenSpool, open_directory, open_spool
from mailgate.store.keeping.steady_clock import ClockWatch, SteadyClock
from mailgate.store.keeping.steady_clock import start as start_clock
from mailgate.store.keeping.writer import Writer
from mailgate.store.logins.mailbox_logins import MailboxLogins
from mailgate.store.peers import Peers
from mailgate.store.policies import Policies
from mailgate.store.service import Service
from mailgate.tenancy.databases.folders import Folders
from mailgate.tenancy.directory import Directory

_log = logging.getLogger(__name__)


def _reload(base: Base) -> None:
    """In the admin thread."""
    before = base.policies.current
    base.policies.reload_or_log()
    if base.policies.current.version != before.version:
        tenants = base.directory.ask_blocking(names_of_tenants)
        note_changes(base.directory.note_deed, tenants, before, base.policies.current)


class StoreProcess:
    """Everything of one data directory. `run` serves until `stop` is set; both sockets listen already. UserError from
    `run` where the spool or the policies can't be used. `keys` say which process speaks; without them nobody is asked
    for one, nor for that of the command line."""

    def __init__(
        self,
        settings: Settings,
        store_socket: socket.socket,
        admin_socket: socket.socket,
        clock: Callable[[], float] | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._sockets = (store_socket, admin_socket)
        self._clock = SteadyClock() if clock is None else SteadyClock.without_steps(clock)
        self._base: Base | None = None
        self._looks_at_tenants = False

    def reload(self) -> None:
        """Reads the policies again, in the background; what is wrong with them is logged."""
        if self._base is not None:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(self._base.admin_thread, _reload, self._base)

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        spool = open_spool(self._settings)
        running = Running(self._settings.data_dir)
        try:
            if not running.begin():
                look_through(self._settings.data_dir)
                self._looks_at_tenants = True
            await self._run(spool, ready, stop)
        finally:
            spool.close()
        running.end()

    async def _run(self, spool: OpenSpool, ready: Callable[[], None], stop: asyncio.Event) -> None:
        loop, clock = asyncio.get_running_loop(), self._clock
        clock_state = spool.write(partial(start_clock, before=spool.listing.clock(), clock=clock))
        recover(spool.store, spool.listing, spool.contents, self._settings.staging_dir, clock())
        directory = open_directory(self._settings, clock)
        directory.on_damage(DAMAGED_TENANTS.set)
        directory_thread, peers = DirectoryThread(directory), Peers()
        changed, owed = asyncio.Event(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)
            loop.call_soon_threadsafe(peers.tell_relay)

        def owe() -> None:
            loop.call_soon_threadsafe(owed.set)

        writer = Writer(spool.store)
        delivery = Delivery(
            writer,
            spool.contents,
            directory.maildir,
            clock,
            lambda due: wake(),
            owe,
            self._into_mailboxes(directory_thread),
        )
        writer.start()
        delivery.start()
        try:
            base = Base(
                settings=self._settings,
                spool=spool,
                writer=writer,
                delivery=delivery,
                directory=directory_thread,
                admin_thread=ThreadPoolExecutor(1, "admin"),
                policies=self._policies(writer, peers, directory),
                peers=peers,
                holder=secrets.token_hex(8),
                clock=clock,
                clock_watch=ClockWatch(clock, clock_state, writer.do, lambda step: wake()),
                changed=changed,
                owed=owed,
                wake=wake,
                admin_key=b"" if self._keys is None else made_file(self._settings.admin_path),
            )
            await self._serve(base, ready, stop)
        finally:
            delivery.stop()
            writer.stop()
            directory.close()

    async def _serve(self, base: Base, ready: Callable[[], None], stop: asyncio.Event) -> None:
        parts = assemble(base)
        self._base = base
        tasks = [asyncio.create_task(each) for each in background(base, parts)]
        if self._looks_at_tenants:
            tasks.append(asyncio.create_task(look_through_tenants(self._tenant_databases(base))))
        try:
            await self._answer(base, parts, ready, stop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await parts.flush()
            parts.close()
            base.admin_thread.shutdown(wait=True, cancel_futures=True)
            base.directory.close()

    async def _answer(self, base: Base, parts: Parts, ready: Callable[[], None], stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        service, room = Service(answering(base, parts), self._keys), Room()
        servers = [
            await loop.create_unix_server(partial(Peer, handle, base.peers.connected, room), sock=sock)
            for sock, handle in zip(self._sockets, (service.handle, service.handle_command), strict=True)
        ]
        places, quota = base.directory.mailbox_place, parts.recipients.default_quota
        logins = MailboxLogins(parts.logins.answer, parts.sessions.open, places, quota)
        if self._settings.login_socket is not None:
            await logins.listen(self._settings.login_socket)
        await parts.login_records.restore()
        ready()
        await stop.wait()
        for server in servers:
            server.close()
        logins.close()
        await service.drain()

    def _tenant_databases(self, base: Base) -> dict[str, Path]:
        folders = Folders(self._settings.data_dir)
        return {tenant.name: folders.database(tenant.id) for tenant in base.directory.directory.tenants}

    def _policies(self, writer: Writer, peers: Peers, directory: Directory) -> Policies:
        loop = asyncio.get_running_loop()

        def publish(version: str, encoded: bytes) -> None:
            writer.do_blocking(lambda spool: spool.publish_policy(version, self._clock(), encoded))

        def changed(snapshot: Snapshot) -> None:
            self._warn_of_strangers(snapshot, directory)
            loop.call_soon_threadsafe(peers.policy_changed, snapshot)

        policies = Policies(self._settings, publish, changed)
        self._warn_of_strangers(policies.current, directory)
        return policies

    def _warn_of_strangers(self, snapshot: Snapshot, directory: Directory) -> None:
        """Which tenants there are lies in memory, so that every thread may ask."""
        names = {tenant.name for tenant in list(directory.tenants)}
        for remark in strangers(self._settings.policy_dir, snapshot, names):
            _log.warning("%s", remark)

    def _into_mailboxes(self, directory: DirectoryThread) -> Deliver:
        """What puts mail into mailboxes."""
        if self._settings.lmtp_socket is None:
            return maildir.deliver
        return LmtpMailboxes(self._settings.lmtp_socket, directory.address_of).deliver


def main(
    settings: Settings, store_descriptor: int, admin_descriptor: int, keys: Keys, ready: Callable[[], None]
) -> None:
    """The whole life of a store process: SIGTERM ends it in good order, SIGHUP reads the policies again."""
    sockets = (socket.socket(fileno=store_descriptor), socket.socket(fileno=admin_descriptor))
    store = StoreProcess(settings, *sockets, keys=keys)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGHUP, store.reload)
        await store.run(ready, stop)

    uvloop.run(serve())
