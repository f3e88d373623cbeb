"""The store process: builds its parts, puts the spool in order, serves its two sockets, and ends in good order."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path

import uvloop

from mailgate.ipc.frames import Peer
from mailgate.model.envelope import Envelope, MailboxId
from mailgate.model.verdict import Inspection
from mailgate.records.metrics import DAMAGED_TENANTS
from mailgate.settings import Settings
from mailgate.spool.recovery import recover
from mailgate.store.commands import catalogue
from mailgate.store.commands.on_spool.desk import Desk
from mailgate.store.delivery import maildir
from mailgate.store.delivery.lmtp import LmtpMailboxes
from mailgate.store.delivery.local import Deliver, Delivery
from mailgate.store.delivery.retries import Retries
from mailgate.store.holding import retention
from mailgate.store.holding.own_release import release_own
from mailgate.store.holding.rescan import Rescan
from mailgate.store.holding.sending_brake import SendingBrake
from mailgate.store.holding.unscanned import HeldMail
from mailgate.store.keeping.opening import OpenSpool, open_directory, open_spool
from mailgate.store.keeping.room import Room
from mailgate.store.keeping.writer import Writer
from mailgate.store.logins.doveadm import kick
from mailgate.store.logins.mail_sessions import MailSessions
from mailgate.store.logins.mailbox_logins import MailboxLogins
from mailgate.store.notices.access import tell_of_access
from mailgate.store.notices.owed import Notices
from mailgate.store.notices.waiting_mail import WaitingMail
from mailgate.store.outbound.reports import Reports
from mailgate.store.policies import Policies
from mailgate.store.service import Service
from mailgate.store.surroundings import Surroundings

SWEEP_SECONDS = 6 * 3600.0

_log = logging.getLogger(__name__)


class StoreProcess:
    """Everything of one data directory. `run` serves until `stop` is set; both sockets listen already. UserError from
    `run` where the spool or the policies can't be used."""

    def __init__(
        self,
        settings: Settings,
        store_socket: socket.socket,
        admin_socket: socket.socket,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._sockets = (store_socket, admin_socket)
        self._clock = clock
        self._service: Service | None = None

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        spool = open_spool(self._settings)
        try:
            await self._run(spool, ready, stop)
        finally:
            spool.close()

    async def _run(self, spool: OpenSpool, ready: Callable[[], None], stop: asyncio.Event) -> None:
        loop, clock = asyncio.get_running_loop(), self._clock
        recover(spool.store, spool.listing, spool.contents, self._settings.staging_dir, clock())
        directory = open_directory(self._settings, clock)
        directory.on_damage(DAMAGED_TENANTS.set)
        changed, owed = asyncio.Event(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)
            if self._service is not None:
                loop.call_soon_threadsafe(self._service.tell_relay)

        writer = Writer(spool.store)
        delivery = Delivery(
            writer,
            spool.contents,
            directory.maildir,
            clock,
            lambda due: wake(),
            partial(_set, loop, owed),
            self._into_mailboxes(),
        )
        writer.start()
        delivery.start()
        try:
            policies = Policies(self._settings, partial(_publish, writer, clock))
            holder = secrets.token_hex(8)
            room = Room(self._settings.data_dir, lambda: spool.store.growth)
            service = Service(writer, delivery, spool.contents, directory, policies, holder, clock, wake, room)
            around = Surroundings(
                hostname=self._settings.hostname,
                writer=writer,
                listing=spool.listing,
                contents=spool.contents,
                resolve=service.resolve,
                thread=service.admin_thread,
                policy=lambda: policies.current,
                clock=clock,
                wake=wake,
                clear=delivery.clear,
            )
            rescan = Rescan([self._settings.inspector_path(number) for number in range(self._settings.inspectors)])
            desk = _desk(around, service, rescan, loop)
            on_directory = catalogue.on_directory(directory, around.policy, partial(tell_of_access, around))
            service.take_commands(catalogue.on_spool(desk), on_directory)
            service.brake = brake = SendingBrake(around, service.ask_directory)
            service.take_own_releases(partial(release_own, desk))
            service.take_reports(Reports(around, service.ask_directory).answer)
            self._service = service
            work = (
                HeldMail(around, rescan, owed.set).run(),
                Retries(writer, delivery, holder, clock, changed).run(),
                Notices(around, owed).run(),
                WaitingMail(around, service.ask_directory).run(),
                service.login_records.run(),
                brake.run(),
                _sweep(service, desk),
            )
            await self._serve(service, work, ready, stop)
        finally:
            delivery.stop()
            writer.stop()
            directory.close()

    async def _serve(
        self,
        service: Service,
        work: Sequence[Coroutine[None, None, None]],
        ready: Callable[[], None],
        stop: asyncio.Event,
    ) -> None:
        """`work` goes on in the background until the end."""
        loop = asyncio.get_running_loop()
        sessions = self._mail_sessions(service)
        tasks = [asyncio.create_task(each) for each in (*work, sessions.run())]
        servers = [
            await loop.create_unix_server(partial(Peer, handle, service.peers), sock=sock)
            for sock, handle in zip(self._sockets, (service.handle, service.handle_command), strict=True)
        ]
        logins = MailboxLogins(service.authenticate, sessions.open, service.mailbox_place, service.default_quota)
        if self._settings.login_socket is not None:
            await logins.listen(self._settings.login_socket)
        await service.login_records.restore()
        ready()
        await stop.wait()
        for server in servers:
            server.close()
        logins.close()
        await service.drain()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.login_records.flush()
        if service.brake is not None:
            await service.brake.flush()
        service.close()

    def _into_mailboxes(self) -> Deliver:
        """What puts mail into mailboxes; it is called once the service is there."""
        if self._settings.lmtp_socket is None:
            return maildir.deliver

        def address_of(mailbox: MailboxId) -> str:
            assert self._service is not None
            return self._service.address_of(mailbox)

        return LmtpMailboxes(self._settings.lmtp_socket, address_of).deliver

    def _mail_sessions(self, service: Service) -> MailSessions:
        doveadm = self._settings.doveadm_socket
        sessions = MailSessions(service.mail_access, partial(kick, doveadm) if doveadm else None, self._clock)
        service.on_directory_changed = sessions.changed
        return sessions

    def reload(self) -> None:
        """Reads the policies again, in the background; what is wrong with them is logged."""
        if self._service is not None:
            self._service.reload_soon()


def _desk(around: Surroundings, service: Service, rescan: Rescan, loop: asyncio.AbstractEventLoop) -> Desk:
    """For the commands, which block and run in the admin thread."""

    def inspect(content: bytes | Path, envelope: Envelope) -> Inspection:
        policy = around.policy().for_tenant(envelope.tenant)
        return asyncio.run_coroutine_threadsafe(rescan.inspect(content, envelope, policy), loop).result()

    return Desk(
        write=around.writer.do_blocking,
        listing=around.listing,
        contents=around.contents,
        clock=around.clock,
        wake=around.wake,
        policy=around.policy,
        reload=service.reload,
        note=service.note_deed,
        ask=service.ask_blocking,
        view=service.view,
        inspect=inspect,
    )


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """From any thread."""
    loop.call_soon_threadsafe(event.set)


def _publish(writer: Writer, clock: Callable[[], float], version: str, encoded: bytes) -> None:
    writer.do_blocking(lambda spool: spool.publish_policy(version, clock(), encoded))


async def _sweep(service: Service, desk: Desk) -> None:
    """Until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            expired, forgotten = await loop.run_in_executor(service.admin_thread, retention.sweep, desk)
            pruned = await service.prune_audits()
            await service.login_records.forget(lambda tenant: desk.policy().for_tenant(tenant).retention.login_days)
            _log.info(
                "retention: %d quarantined messages expired, %d timelines and %d audit entries deleted",
                expired,
                forgotten,
                pruned,
            )
        except Exception:
            _log.exception("the retention sweep failed; it is tried again")


def main(settings: Settings, store_descriptor: int, admin_descriptor: int, ready: Callable[[], None]) -> None:
    """The whole life of a store process: SIGTERM ends it in good order, SIGHUP reads the policies again."""
    store = StoreProcess(settings, socket.socket(fileno=store_descriptor), socket.socket(fileno=admin_descriptor))

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGHUP, store.reload)
        await store.run(ready, stop)

    uvloop.run(serve())
