"""A recipient releases its own mail, by a message to the address that the notice names (`model.release_address`). What
may not be: another's mail, an address that is too old, anything but encryption that the policy objects to today."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from mailgate.model.decision import ENCRYPTED_KEYS
from mailgate.model.envelope import MailboxId, QueueId, TenantName
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.model.event import Event
from mailgate.model.outcome import State
from mailgate.model.release_address import RELEASE_SECONDS, read_claim
from mailgate.model.verdict import Inspection
from mailgate.policy.releasing import is_only_encrypted, may_release
from mailgate.records.timeline import inspection_facts
from mailgate.spool.listing import Kept, Row
from mailgate.spool.queue import Moved, Selection, SpoolStore
from mailgate.store.commands.on_spool.desk import Desk, Scan, ScanAgain, accepted
from mailgate.store.directory_thread import DirectoryThread
from mailgate.tenancy.acting import Acting, Caller, Role, on_behalf_of
from mailgate.tenancy.directory import Directory

REASON = "released by its recipient"


@dataclass(frozen=True, slots=True)
class Standing:
    """Who asks, as the directory knows it: the user's tenant, its mailboxes, the tenant's key for such addresses."""

    account: str
    tenant: TenantName
    mailboxes: frozenset[MailboxId]
    key: bytes

    def __repr__(self) -> str:
        return f"Standing({self.account!r})"


class OwnRelease:
    """Lives in the event loop; `thread` is the admin thread, in which the desk may be used. `scan` looks at a kept
    message again, which takes up to two minutes: outside of that thread."""

    def __init__(self, desk: Desk, directory: DirectoryThread, thread: Executor, scan: ScanAgain) -> None:
        self._desk = desk
        self._scan = scan
        self._directory = directory
        self._thread = thread

    async def release(self, account: str, local: str) -> None:
        """The same NotFoundError for every address that is worth nothing to this user, so that nobody learns of others'
        mail; ConflictError where the policy objects; UnavailableError where it can't be scanned now."""
        loop = asyncio.get_running_loop()
        standing = await self._directory.ask(partial(standing_of, account))
        wanted = await loop.run_in_executor(self._thread, _to_scan, self._desk, standing, local)
        inspection = await self._scan(wanted.content, wanted.envelope)
        await loop.run_in_executor(self._thread, _release, self._desk, standing, local, inspection)


def standing_of(account: str, directory: Directory) -> Standing:
    """In the directory's thread. NotFoundError where the user is gone, UnavailableError where nobody can say."""
    tenant, boxes = directory.mailboxes_of(account)
    return Standing(account, tenant, boxes, directory.release_key(tenant))


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
    if not is_only_encrypted(policy, kept.envelope, row.forward_path, inspection, now):
        raise ConflictError("this message is held for more than its encryption: only your administrator can release it")
    found = {"verdict": str(inspection.verdict), "recipient": row.n}
    caller = Caller(standing.account, Role.USER, standing.tenant, standing.account)
    with on_behalf_of(Acting(caller, secrets.token_hex(8), REASON)):
        desk.note(standing.tenant, "quarantine.release-own", row.queue_id, found)
    selection = Selection(
        QueueId(row.queue_id), frozenset({State.QUARANTINED}), tenant=standing.tenant, numbers=frozenset({row.n})
    )

    def apply(spool: SpoolStore) -> Moved:
        spool.note(kept.envelope, (Event(now, "inspected", inspection_facts(inspection)),))
        return spool.move(selection, State.QUEUED, now, standing.account, REASON)

    desk.write(apply)
    desk.wake()


def _claimed(desk: Desk, standing: Standing, local: str) -> tuple[Kept, Row]:
    nothing = NotFoundError("this address releases nothing of yours, or not any more")
    claim = read_claim(local, standing.key)
    if claim is None:
        raise nothing
    rows = [row for row in desk.listing.rows_of(claim.queue_id) if row.n == claim.number]
    if not rows or rows[0].state != State.QUARANTINED or rows[0].mailbox not in standing.mailboxes:
        raise nothing
    kept = accepted(desk, claim.queue_id, standing.tenant)
    if (
        kept.decision is None
        or kept.decision.key not in ENCRYPTED_KEYS
        or desk.clock() > rows[0].received_at + RELEASE_SECONDS
    ):
        raise nothing
    if not may_release(desk.policy().for_tenant(standing.tenant), kept.decision):
        raise ConflictError("only your administrator can release this message")
    return kept, rows[0]
