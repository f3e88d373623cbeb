"""A recipient releases its own mail, by a message to the address that the notice names (`model.release_address`). What
may not be: another's mail, an address that is too old, anything but encryption that the policy objects to today. What
is theirs but not theirs to release goes to the tenant's administrators, who release it in the same way."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Any

from mailgate.model.decision import ENCRYPTED_KEYS, INFECTED_KEYS
from mailgate.model.envelope import Direction, MailboxId, QueueId, TenantName
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.model.event import Event
from mailgate.model.outcome import State
from mailgate.model.release_address import RELEASE_SECONDS, read_claim
from mailgate.model.verdict import Inspection, Verdict
from mailgate.policy.releasing import is_only_encrypted, may_release
from mailgate.records.timeline import inspection_facts
from mailgate.spool.listing import Kept, Row
from mailgate.spool.queue import Moved, Selection, SpoolStore
from mailgate.store.commands.on_spool.desk import Desk, Scan, ScanAgain, accepted
from mailgate.store.directory_thread import DirectoryThread
from mailgate.store.notices.asking import Asked, compose_asking
from mailgate.store.notices.owed import administrators as administrators_of
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.acting import Acting, Caller, Role, on_behalf_of
from mailgate.tenancy.directory import Directory

REASON = "released by its recipient"
BY_ADMINISTRATOR = "released by an administrator, by answering a notice"


@dataclass(frozen=True, slots=True)
class Standing:
    """Who asks, as the directory knows it: the user's tenant, its mailboxes, the tenant's key for such addresses, its
    administrators; `shared`: the mailboxes that exist for one of them."""

    account: str
    tenant: TenantName
    mailboxes: frozenset[MailboxId]
    key: bytes
    administrators: tuple[str, ...] = ()
    shared: frozenset[MailboxId] = frozenset()

    @property
    def is_administrator(self) -> bool:
        return self.account in self.administrators

    def __repr__(self) -> str:
        return f"Standing({self.account!r})"


class OwnRelease:
    """Lives in the event loop; the desk is used in the admin thread. `scan` looks at a kept message again, which takes
    up to two minutes: outside of that thread."""

    def __init__(self, desk: Desk, directory: DirectoryThread, around: Surroundings, scan: ScanAgain) -> None:
        self._desk = desk
        self._scan = scan
        self._directory = directory
        self._around = around

    async def release(self, account: str, local: str) -> bool:
        """False where it is not for this user to release, and the tenant's administrators were asked to instead. The
        same NotFoundError for every address that is worth nothing to this user, so that nobody learns of others' mail;
        ConflictError where the policy objects; UnavailableError where it can't be scanned now."""
        loop, thread = asyncio.get_running_loop(), self._around.thread
        standing = await self._directory.ask(partial(standing_of, account))
        try:
            wanted = await loop.run_in_executor(thread, _to_scan, self._desk, standing, local)
            inspection = await self._scan(wanted.content, wanted.envelope)
            await loop.run_in_executor(thread, _release, self._desk, standing, local, inspection)
        except ConflictError:
            if not await self._hand_over(standing, local):
                raise
            return False
        return True

    async def _hand_over(self, standing: Standing, local: str) -> bool:
        """To the administrators, each by a notice of its own, in one transaction. False where there are none, or where
        it is infected, which nobody releases by answering a notice."""
        if not standing.administrators or standing.is_administrator:
            return False
        loop = asyncio.get_running_loop()
        kept, row, rows = await loop.run_in_executor(self._around.thread, _owned, self._desk, standing, local)
        if kept.decision is None or kept.decision.key in INFECTED_KEYS:
            return False
        now = self._around.clock()
        asked = Asked(standing.account, kept.message, standing.key)
        notices = [await compose_asking(self._around, each, asked, row) for each in standing.administrators]
        facts = {"recipients": [each.n for each in rows]}
        await self._directory.ask(partial(_note_hand_over, standing, str(row.queue_id), facts))

        def apply(spool: SpoolStore) -> None:
            spool.hand_over(kept.message, [each.n for each in rows], now, standing.account)
            for notice in notices:
                spool.keep(notice, now, "", 0.0)

        await self._around.writer.do(apply)
        self._around.wake()
        return True


def standing_of(account: str, directory: Directory) -> Standing:
    """In the directory's thread. NotFoundError where the user is gone, UnavailableError where nobody can say."""
    tenant, boxes = directory.mailboxes_of(account)
    shared = frozenset[MailboxId]()
    administrators = administrators_of(tenant, directory)
    if account in administrators:
        with on_behalf_of(Acting(directory.caller(account))):
            shared = directory.visible_mailboxes(tenant)
    return Standing(account, tenant, boxes, directory.release_key(tenant), tuple(administrators), shared)


def _note_hand_over(standing: Standing, queue_id: str, facts: dict[str, Any], directory: Directory) -> None:
    caller = Caller(standing.account, Role.USER, standing.tenant, standing.account)
    with on_behalf_of(Acting(caller, secrets.token_hex(8), "handed to the administrators")):
        directory.note_deed(standing.tenant, "quarantine.hand-over", queue_id, facts)


def _to_scan(desk: Desk, standing: Standing, local: str) -> Scan:
    """Blocking, in the admin thread."""
    kept, _ = _claimed(desk, standing, local)
    assert kept.content is not None, "an accepted message has a content"
    content = desk.reading.content(kept.message, kept.envelope.queue_id, kept.content)
    return Scan(content, kept.envelope)


def _release(desk: Desk, standing: Standing, local: str, inspection: Inspection) -> None:
    """In the admin thread; returns once it is on stable storage. What held before the scan must hold still."""
    if inspection.is_transient:
        raise UnavailableError("the scanner gave no verdict, so nothing was released")
    kept, row = _claimed(desk, standing, local)
    policy = desk.policy().for_tenant(standing.tenant)
    now = desk.clock()
    is_by_administrator = _is_for_administrator(desk, standing, row)
    if inspection.verdict is Verdict.INFECTED:
        raise ConflictError("this message is infected: only your administrator can release it, by a command")
    if not is_by_administrator and not is_only_encrypted(policy, kept.envelope, row.forward_path, inspection, now):
        raise ConflictError("this message is held for more than its encryption: only your administrator can release it")
    found = {"verdict": str(inspection.verdict), "recipient": row.n}
    role = Role.ADMINISTRATOR if is_by_administrator else Role.USER
    reason = BY_ADMINISTRATOR if is_by_administrator else REASON
    action = "quarantine.release" if is_by_administrator else "quarantine.release-own"
    caller = Caller(standing.account, role, standing.tenant, standing.account)
    with on_behalf_of(Acting(caller, secrets.token_hex(8), reason)):
        desk.note(standing.tenant, action, row.queue_id, found)
    numbers = frozenset({row.n})
    if is_by_administrator and not row.mailbox:  # what leaves was handed over as a whole
        numbers = frozenset(each.n for each in desk.listing.rows_of(row.queue_id) if not each.mailbox)
    selection = Selection(
        QueueId(row.queue_id), frozenset({State.QUARANTINED}), tenant=standing.tenant, numbers=numbers
    )

    def apply(spool: SpoolStore) -> Moved:
        spool.note(kept.envelope, (Event(now, "inspected", inspection_facts(inspection)),))
        return spool.move(selection, State.QUEUED, now, standing.account, reason)

    desk.write(apply)
    desk.wake()


def _claimed(desk: Desk, standing: Standing, local: str) -> tuple[Kept, Row]:
    """ConflictError where it is theirs, but not theirs to release."""
    kept, row, _ = _owned(desk, standing, local)
    if _is_for_administrator(desk, standing, row):
        return kept, row
    if not row.mailbox or kept.decision is None or kept.decision.key not in ENCRYPTED_KEYS:
        raise ConflictError("only your administrator can release this message")
    if desk.clock() > row.received_at + RELEASE_SECONDS:
        raise ConflictError("it is too late for you to release this message; your administrator still can")
    if not may_release(desk.policy().for_tenant(standing.tenant), kept.decision):
        raise ConflictError("only your administrator can release this message")
    return kept, row


def _owned(desk: Desk, standing: Standing, local: str) -> tuple[Kept, Row, list[Row]]:
    """The message and the row that the address names, and all that are handed over with it. NotFoundError unless it is
    in quarantine and this user's: for a mailbox of theirs, sent by them to others, or an administrator's to release."""
    nothing = NotFoundError("this address releases nothing of yours, or not any more")
    claim = read_claim(local, standing.key)
    if claim is None:
        raise nothing
    rows = [row for row in desk.listing.rows_of(claim.queue_id) if row.state == State.QUARANTINED]
    row = next((row for row in rows if row.n == claim.number), None)
    if row is None:
        raise nothing
    kept = accepted(desk, claim.queue_id, standing.tenant)
    envelope = kept.envelope
    is_sender = envelope.direction is Direction.OUTBOUND and envelope.client.account == standing.account
    is_theirs = row.mailbox in standing.mailboxes if row.mailbox else is_sender
    if not is_theirs and not _is_for_administrator(desk, standing, row):
        raise nothing
    alike = [row] if row.mailbox else [each for each in rows if not each.mailbox]
    return kept, row, alike


def _is_for_administrator(desk: Desk, standing: Standing, row: Row) -> bool:
    """Of mailboxes that are nobody's own, and of what its owner has handed over."""
    if not standing.is_administrator:
        return False
    is_shared = bool(row.mailbox) and row.mailbox in standing.shared
    return is_shared or (row.queue_id, row.forward_path) in desk.listing.handed(standing.tenant)
