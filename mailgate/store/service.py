"""The store's answers: one method for each call of ipc.calls."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from mailgate.ipc.calls import (
    Admin,
    AdminRequest,
    Answer,
    Authenticate,
    Authenticated,
    Commit,
    DirectoryChanged,
    Done,
    Failed,
    GetChallenge,
    GetNewKeys,
    GetReturnPath,
    GetSigningKeys,
    Hello,
    KeysShown,
    Lease,
    LogIn,
    NewEntry,
    Note,
    PolicyChanged,
    Prove,
    Record,
    ReleaseOwn,
    Renew,
    Request,
    Resolve,
    Resolved,
    ReturnPath,
    Welcome,
)
from mailgate.ipc.calls import RelayWork as RelayDue
from mailgate.ipc.frames import Peer, StorageFullError
from mailgate.ipc.report_calls import GetDmarcReport, KeepReport
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.model.errors import MailgateError, UnavailableError, UserError
from mailgate.model.outcome import State
from mailgate.policy.snapshot import Snapshot
from mailgate.records.metrics import COMMITTED
from mailgate.spool.content import ContentFolder, inline_content
from mailgate.spool.queue import Accepted, Attempt, Content, Selection, SpoolStore
from mailgate.spool.rows import rows_of
from mailgate.spool.schedule import DAY
from mailgate.store.commands.callers import Callers
from mailgate.store.commands.on_spool.view import View
from mailgate.store.commands.running import Commands
from mailgate.store.delivery.local import Delivery
from mailgate.store.delivery.quotas import Quotas
from mailgate.store.delivery.retries import LEASE_SECONDS
from mailgate.store.holding.own_release import Standing, standing_of
from mailgate.store.holding.sending_brake import SendingBrake
from mailgate.store.keeping.room import Room
from mailgate.store.keeping.writer import Writer
from mailgate.store.logins.checking import Logins
from mailgate.store.logins.records import LoginRecords
from mailgate.store.outbound.signing_keys import DkimAnswers
from mailgate.store.outbound.work import RelayWork
from mailgate.store.policies import Policies
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.acting import GATEWAY, Role, current
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people.mail_access import MailAccess, MailboxPlace

RELAY_ROLE = "relay"
T = TypeVar("T")

_log = logging.getLogger(__name__)


class Service:
    """Lives in the event loop. `holder` names this start of the store, `wake` says that the queue has something to do;
    `admin_thread` is the one for commands on the spool and for what reads its lists."""

    def __init__(
        self,
        writer: Writer,
        delivery: Delivery,
        contents: ContentFolder,
        directory: Directory,
        policies: Policies,
        holder: str,
        clock: Callable[[], float],
        wake: Callable[[], None],
        room: Room,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._delivery = delivery
        self._contents = contents
        self._directory = directory
        self._policies = policies
        self._holder = holder
        self._clock = clock
        self._wake = wake
        self._room = room
        self._boot_id = holder
        self.peers: set[Peer] = set()
        self._directory_thread = ThreadPoolExecutor(1, "directory")
        self.admin_thread = ThreadPoolExecutor(1, "admin")
        self._content_pool = ThreadPoolExecutor(4, "content")
        self._hashing = ThreadPoolExecutor(2, "hashing")
        self.login_records = LoginRecords(AccountBook(directory), self._directory_thread, clock)
        self._logins = Logins(
            AccountBook(directory),
            self.login_records,
            self._directory_thread,
            self._hashing,
            clock,
            lambda tenant: policies.current.for_tenant(tenant).passwords,
        )
        self._quotas = Quotas(directory, self._directory_thread, self.default_quota)
        self._relay_work = RelayWork(writer, contents, clock, delivery.clear)
        self._keys = DkimAnswers(directory, self._directory_thread, lambda: policies.current)
        self._running = 0
        self._is_quiet = asyncio.Event()
        self._is_quiet.set()
        self.brake: SendingBrake | None = None
        self._own_release: Callable[[Standing, str], None] | None = None
        self._answer_about_reports: Callable[[GetDmarcReport | KeepReport], Awaitable[Answer]] | None = None
        self.on_directory_changed: Callable[[TenantName], None] = lambda tenant: None
        self.commands = Commands(Callers(directory, self.authenticate, self._directory_thread))
        directory.on_change(self._directory_told)
        directory.on_forgiven(self._directory_forgave)

    async def handle(self, request: Request, peer: Peer) -> Answer:
        """Answers every call; what goes wrong inside is logged and told as such, never swallowed."""
        return await self._guarded(self._answer(request, peer), type(request).__name__)

    async def _guarded(self, answer: Coroutine[None, None, Answer], what: str) -> Answer:
        self._running += 1
        self._is_quiet.clear()
        try:
            return await answer
        except StorageFullError as error:
            return Failed("full", str(error))
        except MailgateError:
            raise
        except Exception:
            _log.exception("a call failed: %s", what)
            return Failed("internal", "an error inside the store; see its log")
        finally:
            self._running -= 1
            if not self._running:
                self._is_quiet.set()

    async def handle_command(self, request: Request, peer: Peer) -> Answer:
        """The same for the admin socket, which takes commands and logins only."""
        if not isinstance(request, AdminRequest):
            return Failed("user", "this socket takes commands only")
        return await self._guarded(self.commands.answer(request, peer), type(request).__name__)

    async def drain(self) -> None:
        """Until the calls under way are answered."""
        await self._is_quiet.wait()

    async def _answer(self, request: Request, peer: Peer) -> Answer:
        match request:
            case Commit(entries=entries):
                return await self._commit(entries)
            case Resolve(local=local, domain=domain):
                return await self.resolve_recipient(local, domain)
            case Authenticate():
                return await self.authenticate(request)
            case Renew():
                return await self._logins.renew(request)
            case Note(envelope=envelope, events=events, seen=seen):
                await self._writer.do(lambda spool: spool.note(envelope, events, seen), durable=False)
                return Done()
            case Admin() | LogIn() | GetChallenge() | Prove():
                return await self.commands.answer_own(request, peer)
            case Lease() | Record() | GetReturnPath():
                return await self._answer_about_work(request)
            case GetSigningKeys() | GetNewKeys() | KeysShown():
                return await self._keys.answer(request)
            case GetDmarcReport() | KeepReport():
                assert self._answer_about_reports is not None, "given before anybody is served"
                return await self._answer_about_reports(request)
            case ReleaseOwn(account=account, local=local):
                return await self._release_own(account, local)
            case Hello(role=role):
                peer.role = role
                return Welcome(self._boot_id, self._policies.current.encode())

    async def _answer_about_work(self, request: Lease | Record | GetReturnPath) -> Answer:
        if isinstance(request, GetReturnPath):
            wanted = (request.tenant, request.forwarder, request.reverse_path)
            return ReturnPath(await self.ask_directory(lambda directory: directory.return_path(*wanted)))
        if isinstance(request, Lease):
            return await self._relay_work.lease(request)
        return await self._relay_work.record(request)

    # Commit

    async def _commit(self, entries: tuple[NewEntry, ...]) -> Answer:
        inline = sum(entry.body_size for entry in entries if entry.inline is not None)
        self._room.check(inline, sum(entry.body_size for entry in entries) - inline)
        hold = "" if self.brake is None else await self.brake.judge(entries)
        at_once = self._delivery.has_room and not hold
        accepted: list[Accepted] = []
        try:
            for entry in entries:
                accepted.append(Accepted(entry, await self._content_of(entry), rows_of(entry), at_once))
            attempts = await self._writer.do(lambda spool: self._keep(spool, accepted, hold))
        except Exception:  # not for a cancellation: the commit may be under way; an orphan is swept at the next start
            for kept in accepted:
                if kept.content.in_file:
                    self._contents.remove(kept.entry.envelope.queue_id, kept.content)
            raise
        COMMITTED.inc(len(entries))
        if attempts:
            self._delivery.submit(attempts)
        elif not at_once:
            self._wake()
        if any(not row.mailbox for message in accepted for row in message.rows):
            self.tell_relay()
        return Done()

    def tell_relay(self) -> None:
        """Something for the relay may be due."""
        for peer in tuple(self.peers):
            if peer.role == RELAY_ROLE:
                peer.push(RelayDue())

    def _keep(self, spool: SpoolStore, accepted: list[Accepted], hold: str) -> list[Attempt]:
        """`hold`: why what would go on is held; empty where nothing is."""
        now = self._clock()
        attempts = [a for message in accepted for a in spool.keep(message, now, self._holder, LEASE_SECONDS)]
        for message in accepted:
            if hold and message.rows[0].state is State.QUEUED:
                selection = Selection(message.entry.envelope.queue_id, frozenset({State.QUEUED}))
                spool.move(selection, State.HELD, now, GATEWAY.name, hold)
        return attempts

    async def _content_of(self, entry: NewEntry) -> Content:
        """Small: in memory. Large: written and synced in the pool, where it holds up nobody."""
        try:
            if entry.inline is not None:
                return inline_content(entry.prefix, entry.inline, entry.cuts)
            return await self._loop.run_in_executor(self._content_pool, self._contents.write, entry)
        except ValueError as error:
            raise UserError(f"{entry.envelope.queue_id}: {error}") from error
        except OSError as error:
            raise UnavailableError(f"{entry.envelope.queue_id}: staged content: {error}") from error

    # Directory

    async def resolve(self, local: str, domain: str) -> Resolved:
        found = await self._loop.run_in_executor(
            self._directory_thread, self._directory.resolve, local, domain, self._has_labels
        )
        if found.kind not in ("mailbox", "unknown", "unavailable") or not domain:
            return found
        is_routed = self._policies.current.for_tenant(found.tenant).inbound_route(domain) is not None
        return Resolved("routed", found.tenant) if is_routed else found

    async def resolve_recipient(self, local: str, domain: str) -> Resolved:
        """Like `resolve`, for who is about to send: a mailbox may be full. Postmasters are not."""
        found = await self.resolve(local, domain)
        if found.kind != "mailbox" or not domain:
            return found
        return await self._quotas.judge(found)

    def address_of(self, mailbox: MailboxId) -> str:
        """Blocking, for other threads; empty where the mailbox is switched off, or gone."""
        return self._directory_thread.submit(self._directory.mailbox_address, mailbox).result()

    def default_quota(self, tenant: TenantName) -> int | None:
        """Bytes that the tenant's policy lets a mailbox hold; None for no limit."""
        return self._policies.current.for_tenant(tenant).mailboxes.quota

    def _has_labels(self, tenant: TenantName) -> bool:
        return self._policies.current.for_tenant(tenant).addresses.labels

    async def ask_directory(self, question: Callable[[Directory], T]) -> T:
        return await self._loop.run_in_executor(self._directory_thread, question, self._directory)

    async def authenticate(self, request: Authenticate) -> Authenticated:
        return await self._logins.answer(request)

    async def mail_access(self, login: str) -> MailAccess:
        return await self._loop.run_in_executor(self._directory_thread, self._directory.mail_access, login)

    async def mailbox_place(self, address: str) -> MailboxPlace:
        return await self._loop.run_in_executor(self._directory_thread, self._directory.mailbox_place, address)

    def _directory_told(self, tenant: TenantName) -> None:
        self._loop.call_soon_threadsafe(self._directory_changed, tenant)

    def _directory_forgave(self, login: str) -> None:
        self._loop.call_soon_threadsafe(self._logins.forgive, login)

    def _directory_changed(self, tenant: TenantName) -> None:
        self._logins.forget(tenant)
        self.on_directory_changed(tenant)
        if self.brake is not None:
            self.brake.forget(tenant)
        for peer in tuple(self.peers):
            peer.push(DirectoryChanged(tenant))

    # Mail in quarantine that its recipients release

    def take_own_releases(self, release: Callable[[Standing, str], None]) -> None:
        """`release` blocks, and runs in the admin thread."""
        self._own_release = release

    async def _release_own(self, account: str, local: str) -> Done:
        standing = await self.ask_directory(partial(standing_of, account))
        assert self._own_release is not None, "given before anybody is served"
        await self._loop.run_in_executor(self.admin_thread, self._own_release, standing, local)
        return Done()

    # Reports to other domains

    def take_reports(self, answer: Callable[[GetDmarcReport | KeepReport], Awaitable[Answer]]) -> None:
        """`answer` runs in the event loop."""
        self._answer_about_reports = answer

    # Commands

    def take_commands(
        self, on_spool: Mapping[str, Callable[..., Any]], on_directory: Mapping[str, Callable[..., Any]]
    ) -> None:
        """The handlers of the commands by name; each kind runs in its own thread."""
        self.commands.take(on_spool, self.admin_thread)
        self.commands.take(on_directory, self._directory_thread)

    def view(self) -> View | None:
        """Blocking, in the admin thread: which mail exists for the caller of the command there; None for all."""
        caller = current().caller
        if caller.is_operator:
            return None
        context = contextvars.copy_context()
        asked = self._directory_thread.submit(context.run, self._directory.visible_mailboxes, caller.tenant)
        return View(caller.tenant, caller.login, asked.result(), caller.role is Role.ADMINISTRATOR)

    def ask_blocking(self, question: Callable[[Directory], T]) -> T:
        """Like `ask_directory`, in the admin thread; on behalf of the same as there."""
        context = contextvars.copy_context()
        return self._directory_thread.submit(context.run, question, self._directory).result()

    def note_deed(self, tenant: TenantName, action: str, object: str, facts: dict[str, Any]) -> None:
        """Blocking, in the admin thread; on behalf of the same as there."""
        context = contextvars.copy_context()
        self._directory_thread.submit(context.run, self._directory.note_deed, tenant, action, object, facts).result()

    async def prune_audits(self) -> int:
        """How many entries were too old for their tenants' policies. One log at a time: recipients come in between."""
        pruned = 0
        for tenant in ("", *(tenant.name for tenant in list(self._directory.tenants))):
            oldest = self._clock() - self._policies.current.for_tenant(tenant).retention.audit_days * DAY
            try:
                pruned += await self._loop.run_in_executor(
                    self._directory_thread, self._directory.prune_audit, tenant, oldest
                )
            except UnavailableError as error:
                _log.warning("the audit log of tenant %s was not pruned: %s", tenant, error)
        return pruned

    def reload(self) -> Snapshot:
        """Blocking, in the admin thread. UserError where the policies are wrong: then nothing changes."""
        snapshot = self._policies.reload()
        self._loop.call_soon_threadsafe(self._policy_changed, snapshot)
        return snapshot

    def reload_soon(self) -> None:
        """In the background; what is wrong with the policies is logged."""
        self._loop.run_in_executor(self.admin_thread, self._reload_logged)

    def _reload_logged(self) -> None:
        try:
            self.reload()
        except UserError as error:
            _log.error("the policies are wrong, version %s stays in force:\n%s", self._policies.current.version, error)

    def _policy_changed(self, snapshot: Snapshot) -> None:
        encoded = snapshot.encode()
        for peer in tuple(self.peers):
            peer.push(PolicyChanged(encoded))

    def close(self) -> None:
        self._quotas.close()
        for pool in (self._content_pool, self._hashing, self.admin_thread, self._directory_thread):
            pool.shutdown(wait=True, cancel_futures=True)
