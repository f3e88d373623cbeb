"""The brake on accounts that send unusually much: their mail is accepted and held, their administrators are told.

Counted in memory as messages are committed, written down every few seconds: a crash loses that much of the count, never
a hold that is written down, and never a message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from mailgate.dsn.account_alert import About
from mailgate.ipc.calls import NewEntry
from mailgate.model.envelope import QueueId, TenantName
from mailgate.model.errors import MailgateError, NotFoundError
from mailgate.model.outcome import State
from mailgate.spool.listing import FIRST, Filter
from mailgate.spool.queue import Selection, SpoolStore
from mailgate.store.directory_thread import Ask
from mailgate.store.holding.sending_volume import HOUR, KEPT_HOURS, Sent, Volume, unusual
from mailgate.store.notices.account_alerts import tell
from mailgate.store.notices.withheld import SENT
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.acting import GATEWAY
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import sending_book
from mailgate.tenancy.people.sending_book import SendingState

FLUSH_SECONDS = 5.0  # what a crash may lose of the count
STEP = 500
MOST_ACCOUNTS = 20_000

T = TypeVar("T")


_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Account:
    tenant: TenantName
    volume: Volume
    reason: str = ""
    is_being_held: bool = False  # as long as that is not written down
    changed: set[int] = field(default_factory=set)


class SendingBrake:
    """Lives in the event loop."""

    def __init__(self, around: Surroundings, ask: Ask) -> None:
        self._around = around
        self._ask = ask
        self._accounts: dict[str, _Account] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_freed = True  # somebody may have been released while the gateway did not run

    async def judge(self, entries: Sequence[NewEntry]) -> str:
        """Counts one message that is about to be kept; why it is to be held, empty where it is not."""
        login = entries[0].envelope.client.account
        if not login:
            return ""
        account = self._accounts.get(login) or await self._load(entries[0].envelope.tenant, login)
        rules = self._around.policy().for_tenant(account.tenant).submission
        if not (rules.messages_per_hour or rules.recipients_per_hour or rules.times_average):
            return ""
        now = self._around.clock()
        account.volume.add(sum(len(entry.envelope.recipients) for entry in entries), now)
        account.changed.add(int(now // HOUR))
        if not account.reason and (found := unusual(account.volume, rules, now)):
            account.reason = _shown(login, found)
            _log.warning("mail of an account is held", extra={"tenant": account.tenant, "reason": found})
            task = asyncio.create_task(self._hold(account, login, found))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return account.reason

    def forget(self, tenant: TenantName) -> None:
        """Something changed in this tenant, or (empty) anywhere: whether mail is still held is looked up again."""
        kept = {
            login: account
            for login, account in self._accounts.items()
            if not account.reason or account.is_being_held or tenant not in ("", account.tenant)
        }
        self._is_freed |= len(kept) < len(self._accounts)
        self._accounts = kept

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._is_freed:
                self._is_freed = False
                await self._release_freed()
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def _release_freed(self) -> None:
        """Mail of accounts that are not held any more goes on."""
        waiting = await asyncio.get_running_loop().run_in_executor(self._around.thread, self._held_mail)
        for login, messages in waiting.items():
            try:
                _, state = await self._ask(partial(_state, login))
                if not state.reason:
                    await self._around.writer.do(partial(self._release, messages))
            except MailgateError as error:
                _log.warning("mail that was held stays held: %s", error)
        self._around.wake()

    def _held_mail(self) -> dict[str, set[QueueId]]:
        """By account. In the thread that reads the lists."""
        found: dict[str, set[QueueId]] = {}
        after = FIRST
        while rows := self._around.listing.page(Filter(state=State.HELD), after, STEP):
            after = (rows[-1].message, rows[-1].n)
            for row in rows:
                login, is_ours, _ = row.reason.partition(SENT)
                if is_ours:
                    found.setdefault(login, set()).add(row.queue_id)
        return found

    def _release(self, messages: set[QueueId], spool: SpoolStore) -> None:
        """In the writer's thread."""
        for message in messages:
            selection = Selection(message, frozenset({State.HELD}))
            spool.move(selection, State.QUEUED, self._around.clock(), GATEWAY.name, "the account is held no more")

    async def flush(self) -> None:
        """Writes the counts down; what can't be written now is tried again."""
        oldest = int(self._around.clock() // HOUR) - KEPT_HOURS
        for login, account in list(self._accounts.items()):
            hours = {hour: _plain(account.volume.hours[hour]) for hour in account.changed}
            account.changed.clear()
            if not hours:
                continue
            try:
                await self._ask(partial(_save, account.tenant, login, hours, oldest))
            except NotFoundError:
                self._accounts.pop(login, None)
            except MailgateError as error:
                account.changed |= set(hours)
                _log.warning("what an account has sent is not written down yet: %s", error)

    async def _load(self, tenant: TenantName, login: str) -> _Account:
        """Of an account that can't be looked up nothing is known: its mail goes on, as the counting is no promise."""
        try:
            tenant, found = await self._ask(partial(_state, login))
        except MailgateError as error:
            _log.warning("what an account has sent can't be read: %s", error)
            found = SendingState({})
        known = self._accounts.get(login)  # another message may have been faster
        if known is not None:
            return known
        if len(self._accounts) >= MOST_ACCOUNTS:
            self._accounts = {name: account for name, account in self._accounts.items() if account.changed}
        volume = Volume({hour: Sent(*sent) for hour, sent in found.hours.items()})
        reason = _shown(login, found.reason) if found.reason else ""
        self._accounts[login] = account = _Account(tenant, volume, reason)
        return account

    async def _hold(self, account: _Account, login: str, found: str) -> None:
        account.is_being_held = True
        try:
            administrators = await self._ask(partial(_hold, account.tenant, login, found))
            operator = self._around.policy().for_gateway.postmaster.operator
            for to in administrators or filter(None, [operator]):
                await tell(self._around, account.tenant, to, About.VOLUME, login, found)
        except Exception:
            _log.exception("that the mail of an account is held could not be written down or told")
        finally:
            account.is_being_held = False


def _plain(sent: Sent) -> tuple[int, int]:
    return sent.messages, sent.recipients


def _shown(login: str, found: str) -> str:
    """As the queue tells it."""
    return f"{login}{SENT}{found}"


def _state(login: str, directory: Directory) -> tuple[TenantName, SendingState]:
    tenant = directory.tenant(directory.tenant_of(login))
    with directory.looking_up(tenant) as work:
        return tenant.name, sending_book.state_of(work, login)


def _save(tenant: TenantName, login: str, hours: sending_book.Hours, oldest: int, directory: Directory) -> None:
    with directory.looking_up(directory.tenant(tenant)) as work:
        sending_book.save(work, login, hours, oldest)


def _hold(tenant: TenantName, login: str, reason: str, directory: Directory) -> list[str]:
    with directory.changing(tenant) as work:
        return sending_book.hold(work, login, reason)
