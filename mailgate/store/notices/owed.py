"""Writes the notices that senders are owed. What is owed was put on record in the transaction of the outcome; the
notice is kept, as a message of its own, in the transaction that takes the debt off. In between a crash does no harm.

Who gets one: senders that are proven (`spool.rows.is_proven`), never the null reverse-path, so a notice is never
answered by a notice. Mail of others that can't be delivered is quarantined instead."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from mailgate.dsn.compose import compose
from mailgate.dsn.notice import Action, Fate, Notice, Returned
from mailgate.dsn.returned import HEADER_LIMIT
from mailgate.ipc.calls import Resolved
from mailgate.model.address import AddressError, parse_address
from mailgate.model.envelope import Envelope, Recipient, TenantName, queue_id
from mailgate.model.errors import MailgateError, NotFoundError, UnavailableError
from mailgate.model.event import Event
from mailgate.model.outcome import State
from mailgate.model.release_address import Claim, release_address
from mailgate.spool.coverage import DAY
from mailgate.spool.queue import Accepted, Debt, Owed, Recorded, SpoolStore
from mailgate.spool.rows import domain_of
from mailgate.store.directory_thread import Ask
from mailgate.store.notices.own_mail import allowed, own_mail
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import people

GATHER_SECONDS = 60.0  # at most, for recipients of one message that end together
IDLE_SECONDS = 60.0  # between looks while nothing was said to be owed
LOOK_SECONDS = 5.0  # between looks while something is being gathered or could not be done
WHOLE_LIMIT = 256 << 10  # bytes of a message that RET=FULL brings back
STEP = 100

_ACTIONS: Mapping[State, Action] = {
    State.BOUNCED: Action.FAILED,
    State.EXPIRED: Action.FAILED,
    State.DELETED: Action.FAILED,
    State.QUARANTINED: Action.HELD,
    State.HELD: Action.WAITING,
    State.QUEUED: Action.DELAYED,
    State.DELIVERED: Action.DELIVERED,
    State.RELAYED: Action.RELAYED,
}
_WITHHELD = frozenset({State.DELETED, State.QUARANTINED, State.HELD})
_REACHED = ("mailbox", "routed", "foreign")
_log = logging.getLogger(__name__)
Found = TypeVar("Found")


class Notices:
    """Runs in the event loop; `changed` is set when something new is owed. `ask` runs a question to the directory in
    its thread."""

    def __init__(self, around: Surroundings, changed: asyncio.Event, ask: Ask) -> None:
        self._around = around
        self._ask = ask
        self._changed = changed

    async def run(self) -> None:
        """Until cancelled. What could not be written is tried again."""
        while True:
            self._changed.clear()
            is_done = await self._write_owed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS if is_done else LOOK_SECONDS):
                    await self._changed.wait()

    async def _write_owed(self) -> bool:
        """True where nothing is left."""
        after = 0
        while debts := await self._read(self._around.listing.debts, after, self._around.clock() - GATHER_SECONDS, STEP):
            after = debts[-1].message
            for debt in debts:
                try:
                    await self._pay(debt)
                except Exception:
                    _log.exception("%s: its sender could not be told; it is tried again", debt.envelope.queue_id)
        return not await self._read(self._around.listing.debts, 0, float("inf"), 1)

    async def _read(self, read: Callable[..., Found], *arguments: object) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._around.thread, read, *arguments)

    async def _pay(self, debt: Debt) -> None:
        """One notice for each group of recipients that fared alike; what can't be told to anybody is written off."""
        address = debt.envelope.reverse_path or debt.envelope.client.account
        sender = await self._resolve(address)
        if sender.kind == "unavailable":
            return
        for action, owed in _groups(debt.owed).items():
            readers = {address: sender} if sender.kind in _REACHED else await self._instead(debt, owed)
            if not readers:
                await self._settle(debt, owed, {"dropped": f"the sender's address is {sender.kind}"}, ())
                continue
            notices = [await self._compose(debt, action, owed, to, found) for to, found in readers.items()]
            paths = [debt.envelope.recipients[each.position].forward_path for each in owed]
            name = " ".join(notice.entry.envelope.queue_id for notice in notices)
            await self._settle(debt, owed, {"notice": name, "about": str(action), "recipients": paths}, notices)
            _log.info("%s: its sender is told that it is %s, by %s", debt.envelope.queue_id, action, name)

    async def _instead(self, debt: Debt, owed: Sequence[Owed]) -> dict[str, Resolved]:
        """Behind a server of the tenant there may be no person: of what is withheld its administrators are told, where
        there are none the operator."""
        envelope = debt.envelope
        if envelope.client.account or not all(each.outcome.state in _WITHHELD for each in owed):
            return {}
        try:
            told = await self._ask(partial(administrators, envelope.tenant))
        except NotFoundError:
            told = []
        operator = self._around.policy().for_gateway.postmaster.operator
        found = {to: await self._resolve(to) for to in told or filter(None, [operator])}
        return {to: resolved for to, resolved in found.items() if resolved.kind in _REACHED}

    async def _resolve(self, reverse_path: str) -> Resolved:
        try:
            address = parse_address(reverse_path)
        except AddressError:
            return Resolved("unknown")
        return await self._around.resolve(address.local, address.domain)

    async def _settle(
        self, debt: Debt, owed: Sequence[Owed], facts: dict[str, Any], notices: Sequence[Accepted]
    ) -> None:
        now = self._around.clock()

        def apply(spool: SpoolStore) -> Recorded:
            for notice in notices:
                spool.keep(notice, now, "", 0.0)
            return spool.settle(debt.message, owed, now, facts)

        await self._around.writer.do(apply, synced=self._around.clear)
        self._around.wake()

    async def _compose(self, debt: Debt, action: Action, owed: Sequence[Owed], to: str, sender: Resolved) -> Accepted:
        around, now = self._around, self._around.clock()
        tenant = sender.tenant or debt.envelope.tenant
        policy = around.policy().for_tenant(tenant)
        notice = Notice(
            queue_id=queue_id(now, secrets.randbits(35)),
            envelope=debt.envelope,
            fates=tuple(_fate(debt.envelope, each, action, policy.retention.quarantine_days) for each in owed),
            returned=await self._read(self._returned, debt, action),
            hostname=around.hostname,
            language=policy.language,
            boundary=secrets.token_hex(16),
            now=now,
            to=to,
            answer_to=await self._answer_to(debt, action, owed) if to == debt.envelope.reverse_path else "",
        )
        recipient = Recipient(to, sender.mailboxes)
        event = Event(now, "composed", {"about": debt.envelope.queue_id, "notice": str(action)})
        decision = allowed("a notice to the sender", policy.version)
        return own_mail(
            compose(notice),
            notice.queue_id,
            tenant,
            recipient,
            around.hostname,
            decision,
            event,
            requiretls=debt.envelope.requiretls,
        )

    async def _answer_to(self, debt: Debt, action: Action, owed: Sequence[Owed]) -> str:
        """By which the user who sent what is held can ask the administrators for it; of what is for mailboxes here its
        recipients can."""
        envelope = debt.envelope
        leaving = [each for each in owed if not envelope.recipients[each.position].mailboxes]
        if action is not Action.HELD or not envelope.client.account or not leaving:
            return ""
        try:
            if not await self._ask(partial(administrators, envelope.tenant)):
                return ""
            key: bytes = await self._ask(lambda directory: directory.release_key(envelope.tenant))
        except (NotFoundError, UnavailableError):
            return ""
        rows = await self._read(self._around.listing.rows_of, envelope.queue_id)
        number = next((row.n for row in rows if not row.mailbox and row.state == State.QUARANTINED), None)
        domain = domain_of(envelope.client.account)
        return "" if number is None else release_address(Claim(envelope.queue_id, number), domain, key)

    def _returned(self, debt: Debt, action: Action) -> Returned:
        """The whole message only where it was asked for, has failed (RFC 3461 section 4.3), is not too large, and every
        part of it is known to be clean."""
        size = debt.content.size
        # REQUIRETLS stands for RET=HDRS (RFC 8689 section 5)
        wants_whole = debt.envelope.ret == "FULL" and action is Action.FAILED and not debt.envelope.requiretls
        is_whole = wants_whole and debt.is_clean and size <= WHOLE_LIMIT
        limit = size if is_whole else HEADER_LIMIT + 2
        try:
            reading = self._around.reading
            content = reading.beginning(debt.message, debt.envelope.queue_id, debt.content, limit)
            return Returned(content, is_whole)
        except (MailgateError, OSError) as error:
            _log.error("%s: its content can't be returned: %s", debt.envelope.queue_id, error)
            return Returned(b"")


def _groups(owed: Iterable[Owed]) -> dict[Action, list[Owed]]:
    """By what is told; of one recipient's rows only the last word counts."""
    last = {each.position: each for each in owed}
    groups: dict[Action, list[Owed]] = {}
    for each in last.values():
        groups.setdefault(_ACTIONS[each.outcome.state], []).append(each)
    return groups


def administrators(tenant: TenantName, directory: Directory) -> list[str]:
    """Their logins."""
    with directory.looking_up(directory.tenant(tenant)) as work:
        return [each.login for each in people.administrators(work)]


def _fate(envelope: Envelope, owed: Owed, action: Action, quarantine_days: int) -> Fate:
    until = envelope.received_at + quarantine_days * DAY if action is Action.HELD else owed.retry_until
    return Fate(
        recipient=envelope.recipients[owed.position],
        action=action,
        outcome=owed.outcome,
        at=owed.at,
        retry_until=until,
        is_expired=owed.outcome.state is State.EXPIRED,
    )
