"""Puts the parts of the store together: who answers, and what goes on in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mailgate.model.envelope import Envelope, TenantName
from mailgate.model.verdict import Inspection
from mailgate.settings import Settings
from mailgate.store.commands import catalogue
from mailgate.store.commands.callers import Callers
from mailgate.store.commands.on_spool.desk import Desk, ScanAgain, view_of_caller
from mailgate.store.commands.running import Commands
from mailgate.store.committing import Committing
from mailgate.store.delivery.bounces import Bounces
from mailgate.store.delivery.local import Delivery
from mailgate.store.delivery.retries import Retries
from mailgate.store.directory_thread import DirectoryThread
from mailgate.store.holding.own_release import OwnRelease
from mailgate.store.holding.rescan import Rescan
from mailgate.store.holding.retention import Retention
from mailgate.store.holding.sending_brake import SendingBrake
from mailgate.store.holding.unscanned import HeldMail
from mailgate.store.keeping.opening import OpenSpool
from mailgate.store.keeping.reading import Reading
from mailgate.store.keeping.room import Room
from mailgate.store.keeping.steady_clock import ClockWatch, SteadyClock
from mailgate.store.keeping.writer import Writer
from mailgate.store.logins.checking import Logins
from mailgate.store.logins.doveadm import kick
from mailgate.store.logins.guessing_alerts import GuessingAlerts
from mailgate.store.logins.mail_sessions import MailSessions
from mailgate.store.logins.records import LoginRecords
from mailgate.store.notices.access import tell_of_access
from mailgate.store.notices.damage import DamageAlerts
from mailgate.store.notices.owed import Notices
from mailgate.store.notices.waiting_mail import WaitingMail
from mailgate.store.notices.withheld import Withheld
from mailgate.store.outbound.reports import Reports
from mailgate.store.outbound.signing_keys import DkimAnswers
from mailgate.store.outbound.work import RelayWork
from mailgate.store.peers import Peers
from mailgate.store.policies import Policies
from mailgate.store.recipients import Recipients
from mailgate.store.service import Answering
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.account_book import AccountBook


@dataclass(frozen=True, slots=True)
class Base:
    """What all parts stand on. `holder` names this start of the store. `changed` is set when the queue has something to
    do, `owed` when a sender is to be told something; `wake` sets the former from any thread, and tells the relay.
    `admin_key` is what the command line shows; empty where it need not."""

    settings: Settings
    spool: OpenSpool
    writer: Writer
    delivery: Delivery
    directory: DirectoryThread
    admin_thread: ThreadPoolExecutor
    policies: Policies
    peers: Peers
    holder: str
    clock: SteadyClock
    clock_watch: ClockWatch
    changed: asyncio.Event
    owed: asyncio.Event
    wake: Callable[[], None]
    admin_key: bytes


@dataclass(frozen=True, slots=True)
class Parts:
    """Those that more than one other part needs."""

    around: Surroundings
    desk: Desk
    held_scans: Rescan
    scan_again: ScanAgain
    recipients: Recipients
    committing: Committing
    brake: SendingBrake
    login_records: LoginRecords
    hashing: ThreadPoolExecutor
    logins: Logins
    sessions: MailSessions

    async def flush(self) -> None:
        """Writes down what is counted in memory."""
        await self.login_records.flush()
        await self.brake.flush()

    def close(self) -> None:
        """Ends their threads."""
        self.recipients.close()
        self.committing.close()
        self.hashing.shutdown(wait=True, cancel_futures=True)


def assemble(base: Base) -> Parts:
    """In the event loop. From now on they hear of changes in the directory."""
    settings = base.settings
    bounces = Bounces(base.clock)
    recipients = Recipients(base.directory, base.policies, bounces)
    around = _surroundings(base, recipients)
    inspectors = [settings.inspector_path(number) for number in range(settings.inspectors)]
    brake = SendingBrake(around, base.directory.ask)
    room = Room(settings.data_dir, lambda: base.spool.store.growth)
    records = LoginRecords(AccountBook(base.directory.directory), base.directory.executor, base.clock)
    hashing = ThreadPoolExecutor(2, "hashing")
    doveadm = settings.doveadm_socket
    parts = Parts(
        around=around,
        desk=_desk(base, around),
        held_scans=Rescan(inspectors, at_once=1),
        scan_again=_scan_again(around, Rescan(inspectors)),
        recipients=recipients,
        committing=Committing(
            around, base.delivery, room, base.holder, brake.judge, base.peers.tell_relay, base.owed.set, bounces
        ),
        brake=brake,
        login_records=records,
        hashing=hashing,
        logins=_logins(base, around, records, hashing),
        sessions=MailSessions(base.directory.mail_access, partial(kick, doveadm) if doveadm else None, base.clock),
    )
    _listen(base, parts)
    return parts


def answering(base: Base, parts: Parts) -> Answering:
    return Answering(
        boot_id=base.holder,
        policies=base.policies,
        writer=base.writer,
        committing=parts.committing,
        recipients=parts.recipients,
        logins=parts.logins,
        commands=_commands(base, parts),
        directory=base.directory,
        relay_work=RelayWork(base.writer, base.spool.contents, base.clock, base.delivery.clear),
        keys=DkimAnswers(base.directory.directory, base.directory.executor, lambda: base.policies.current),
        reports=Reports(parts.around, base.directory.ask),
        own_release=OwnRelease(parts.desk, base.directory, parts.around, parts.scan_again),
    )


def background(base: Base, parts: Parts) -> tuple[Coroutine[None, None, None], ...]:
    """What goes on until it is cancelled."""
    return (
        HeldMail(parts.around, parts.held_scans, base.owed.set).run(),
        Retries(base.writer, base.delivery, base.holder, base.clock, base.changed).run(),
        Notices(parts.around, base.owed, base.directory.ask).run(),
        Withheld(parts.around, base.owed.set).run(),
        WaitingMail(parts.around, base.directory.ask).run(),
        DamageAlerts(parts.around, base.directory.ask).run(),
        parts.login_records.run(),
        parts.brake.run(),
        Retention(parts.desk, base.admin_thread, base.directory, parts.login_records.forget).run(),
        parts.sessions.run(),
        base.clock_watch.run(),
    )


def _surroundings(base: Base, recipients: Recipients) -> Surroundings:
    return Surroundings(
        hostname=base.settings.hostname,
        writer=base.writer,
        listing=base.spool.listing,
        contents=base.spool.contents,
        reading=Reading(base.spool.listing, base.spool.contents, base.writer.do_blocking, base.clock),
        resolve=recipients.find,
        thread=base.admin_thread,
        policy=lambda: base.policies.current,
        clock=base.clock,
        wake=base.wake,
        clear=base.delivery.clear,
    )


def _scan_again(around: Surroundings, rescan: Rescan) -> ScanAgain:
    async def scan(content: bytes | Path, envelope: Envelope) -> Inspection:
        return await rescan.inspect(content, envelope, around.policy().for_tenant(envelope.tenant))

    return scan


def _desk(base: Base, around: Surroundings) -> Desk:
    """For the commands, which block and run in the admin thread."""
    loop = asyncio.get_running_loop()

    def confirmed() -> None:
        loop.call_soon_threadsafe(base.clock_watch.confirm)

    return Desk(
        settings=base.settings,
        write=base.writer.do_blocking,
        listing=around.listing,
        contents=around.contents,
        reading=around.reading,
        clock=base.clock,
        wake=base.wake,
        policy=around.policy,
        reload=base.policies.reload,
        note=base.directory.note_deed,
        ask=base.directory.ask_blocking,
        view=partial(view_of_caller, base.directory.ask_blocking, around.listing),
        clock_confirmed=confirmed,
        policy_refused=lambda: base.policies.refused,
    )


def _logins(base: Base, around: Surroundings, records: LoginRecords, hashing: ThreadPoolExecutor) -> Logins:
    return Logins(
        AccountBook(base.directory.directory),
        records,
        base.directory.executor,
        hashing,
        base.clock,
        lambda tenant: base.policies.current.for_tenant(tenant).passwords,
        GuessingAlerts(around, base.directory.ask).tell,
    )


def _commands(base: Base, parts: Parts) -> Commands:
    """Each kind runs in its own thread."""
    directory = base.directory
    commands = Commands(
        Callers(directory.directory, parts.logins.answer, directory.executor, base.admin_key), parts.scan_again
    )
    tell = partial(tell_of_access, parts.around)
    commands.take(catalogue.on_spool(parts.desk), base.admin_thread)
    commands.take(catalogue.on_directory(directory.directory, parts.around.policy, tell), directory.executor)
    return commands


def _listen(base: Base, parts: Parts) -> None:
    """The directory tells in its own thread; all of these live in the event loop."""
    loop = asyncio.get_running_loop()

    def changed(tenant: TenantName) -> None:
        parts.logins.forget(tenant)
        parts.sessions.changed(tenant)
        parts.brake.forget(tenant)
        base.peers.directory_changed(tenant)

    def told(tenant: TenantName) -> None:
        loop.call_soon_threadsafe(changed, tenant)

    def forgave(login: str) -> None:
        loop.call_soon_threadsafe(parts.logins.forgive, login)

    base.directory.directory.on_change(told)
    base.directory.directory.on_forgiven(forgave)
