"""The store's answers: what each call of `ipc.calls` is answered by."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass

from mailgate.ipc.calls import (
    Admin,
    AdminRequest,
    Answer,
    Authenticate,
    Commit,
    Done,
    Failed,
    GetChallenge,
    GetNewKeys,
    GetReturnPath,
    GetSigningKeys,
    HandedOver,
    Hello,
    KeepTurnedAway,
    KeysShown,
    Lease,
    LogIn,
    Note,
    Prove,
    Record,
    ReleaseOwn,
    Renew,
    Request,
    Resolve,
    ReturnPath,
    ShowKey,
    Welcome,
)
from mailgate.ipc.frames import Peer, StorageFullError
from mailgate.ipc.keys import Keys
from mailgate.ipc.report_calls import GetDmarcReport, KeepReport
from mailgate.model.errors import MailgateError, UserError
from mailgate.store import entitlement, turned_away
from mailgate.store.commands.running import Commands
from mailgate.store.committing import Committing
from mailgate.store.directory_thread import DirectoryThread
from mailgate.store.holding.own_release import OwnRelease
from mailgate.store.keeping.writer import Writer
from mailgate.store.logins.checking import Logins
from mailgate.store.outbound.reports import Reports
from mailgate.store.outbound.signing_keys import DkimAnswers
from mailgate.store.outbound.work import RelayWork
from mailgate.store.policies import Policies
from mailgate.store.recipients import Recipients

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers. `boot_id` names this start of the store."""

    boot_id: str
    policies: Policies
    writer: Writer
    committing: Committing
    recipients: Recipients
    logins: Logins
    commands: Commands
    directory: DirectoryThread
    relay_work: RelayWork
    keys: DkimAnswers
    reports: Reports
    own_release: OwnRelease


class Service:
    """Lives in the event loop."""

    def __init__(self, answering: Answering, keys: Keys | None = None) -> None:
        """`keys` prove which process speaks on the store's socket; without them whoever can open it is believed."""
        self._by = answering
        self._keys = keys
        self._running = 0
        self._is_quiet = asyncio.Event()
        self._is_quiet.set()

    async def handle(self, request: Request, peer: Peer) -> Answer:
        """Answers every call; what goes wrong inside is logged and told as such, never swallowed."""
        if self._keys is not None:
            try:
                entitlement.check(self._keys, peer.role, request)
            except UserError as error:
                _log.warning("refused on the store's socket, from uid %s: %s", peer.uid, error)
                raise
        return await self._guarded(self._answer(request, peer), type(request).__name__)

    async def handle_command(self, request: Request, peer: Peer) -> Answer:
        """The same for the admin socket, which takes commands and logins only."""
        if not isinstance(request, AdminRequest):
            return Failed("user", "this socket takes commands only")
        return await self._guarded(self._by.commands.answer(request, peer), type(request).__name__)

    async def drain(self) -> None:
        """Until the calls under way are answered."""
        await self._is_quiet.wait()

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

    async def _answer(self, request: Request, peer: Peer) -> Answer:
        by = self._by
        match request:
            case Commit(entries=entries):
                await by.committing.commit(entries)
                return Done()
            case Resolve(local=local, domain=domain):
                return await by.recipients.find_with_room(local, domain)
            case Authenticate():
                return await by.logins.answer(request)
            case Renew():
                return await by.logins.renew(request)
            case Note(envelope=envelope, events=events, seen=seen):
                await by.writer.do(lambda spool: spool.note(envelope, events, seen), durable=False)
                return Done()
            case KeepTurnedAway():
                await turned_away.keep(request, by.directory.ask, by.writer)
                return Done()
            case Admin() | ShowKey() | LogIn() | GetChallenge() | Prove():
                return await by.commands.answer_own(request, peer)
            case ReleaseOwn(account=account, local=local):
                return Done() if await by.own_release.release(account, local) else HandedOver()
            case Hello(role=role):
                peer.role = role
                return Welcome(by.boot_id, by.policies.current.encode())
        return await self._answer_relay(request)

    async def _answer_relay(
        self,
        request: Lease | Record | GetReturnPath | GetSigningKeys | GetNewKeys | KeysShown | GetDmarcReport | KeepReport,
    ) -> Answer:
        by = self._by
        match request:
            case Lease():
                return await by.relay_work.lease(request)
            case Record():
                return await by.relay_work.record(request)
            case GetReturnPath(tenant=tenant, forwarder=forwarder, reverse_path=reverse_path):
                found = await by.directory.ask(
                    lambda known: known.recipients.return_path(tenant, forwarder, reverse_path)
                )
                return ReturnPath(found)
            case GetSigningKeys() | GetNewKeys() | KeysShown():
                return await by.keys.answer(request)
            case GetDmarcReport() | KeepReport():
                return await by.reports.answer(request)
