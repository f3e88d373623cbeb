"""Tells users of mail to them that is in quarantine: of encrypted mail at once, of the rest by a digest a day where the
policy wants one. A notice is kept in the transaction that records that it was given: a crash neither loses nor doubles
one."""

from __future__ import annotations

import asyncio
import enum
import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from mailgate.dsn.waiting import WaitingNotice, Withheld, compose_waiting
from mailgate.model.decision import INFECTED_KEYS
from mailgate.model.envelope import MailboxId, Recipient, TenantName, queue_id
from mailgate.model.errors import NotFoundError, UnavailableError
from mailgate.model.event import Event
from mailgate.model.release_address import RELEASE_SECONDS, Claim, release_address
from mailgate.policy.effective import EffectivePolicy
from mailgate.policy.releasing import is_only_encrypted, may_release
from mailgate.spool.coverage import DAY, day_of
from mailgate.spool.listing import Kept
from mailgate.spool.queue import Accepted, SpoolStore, UntoldRow
from mailgate.spool.rows import domain_of
from mailgate.store.directory_thread import Ask
from mailgate.store.notices.owed import administrators
from mailgate.store.notices.own_mail import allowed, own_mail
from mailgate.store.surroundings import Surroundings

LOOK_SECONDS = 3.0
STEP = 100
MOST_LISTED = 100  # messages that a digest names; of the others it gives the number
HOUR = 3600

_log = logging.getLogger(__name__)
Found = TypeVar("Found")


class Offer(enum.Enum):
    """What an answer does: it releases the message, or asks the administrators to."""

    RELEASE = enum.auto()
    ASK = enum.auto()


class WaitingMail:
    """Runs in the event loop. `ask` runs a question to the directory in its thread."""

    def __init__(self, around: Surroundings, ask: Ask) -> None:
        self._around = around
        self._ask = ask

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                _log.exception("users could not be told of their mail in quarantine; it is tried again")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Gives all notices that are due now."""
        while rows := await self._read(self._around.listing.untold_alone, STEP):
            for row in rows:
                await self._tell_of(row)
        await self._send_digests()

    async def _read(self, read: Callable[..., Found], *arguments: object) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._around.thread, read, *arguments)

    async def _tell_of(self, row: UntoldRow) -> None:
        policy = self._around.policy().for_tenant(row.tenant)
        address = await self._address(row.mailbox) if policy.quarantine.tell_encrypted else ""
        if not address:
            await self._around.writer.do(lambda spool: spool.tell_later([row]))
            return
        notice = await self._compose(policy, address, [row], is_digest=False)

        def apply(spool: SpoolStore) -> None:
            spool.keep(notice, self._around.clock(), "", 0.0)
            spool.told([row], self._around.clock(), notice.entry.envelope.queue_id)

        await self._around.writer.do(apply)
        self._around.wake()

    async def _send_digests(self) -> None:
        snapshot, now = self._around.policy(), self._around.clock()
        if all(snapshot.for_tenant(name).quarantine.digest == "off" for name in ("", *snapshot.tenants)):
            return
        for tenant, mailbox in await self._read(self._around.listing.mailboxes_for_digest, day_of(now)):
            wanted = snapshot.for_tenant(tenant).quarantine
            if wanted.digest == "daily" and now % DAY >= wanted.digest_hour * HOUR:
                await self._send_digest(tenant, mailbox, day_of(now))

    async def _send_digest(self, tenant: TenantName, mailbox: MailboxId, day: int) -> None:
        rows = await self._read(self._around.listing.untold_of_mailbox, tenant, mailbox)
        address = await self._address(mailbox)
        if not rows or not address:  # nobody reads it today
            await self._around.writer.do(lambda spool: spool.had_digest(mailbox, day))
            return
        notice = await self._compose(self._around.policy().for_tenant(tenant), address, rows, is_digest=True)

        def apply(spool: SpoolStore) -> None:
            spool.keep(notice, self._around.clock(), "", 0.0)
            spool.told(rows, self._around.clock(), notice.entry.envelope.queue_id)
            spool.had_digest(mailbox, day)

        await self._around.writer.do(apply)
        self._around.wake()

    async def _compose(
        self, policy: EffectivePolicy, address: str, rows: Sequence[UntoldRow], *, is_digest: bool
    ) -> Accepted:
        """`rows` are one mailbox'; the newest are named."""
        around, now, first = self._around, self._around.clock(), rows[0]
        key = await self._release_key(rows)
        named = rows[-MOST_LISTED:]
        can_ask = bool(key) and bool(await self._administrators(first.tenant))
        offers = await self._read(self._offers, policy, named, now, can_ask) if key else {}
        name = queue_id(now, secrets.randbits(35))
        composed = compose_waiting(
            WaitingNotice(
                queue_id=name,
                recipient=address,
                messages=tuple(_withheld(row, policy, address, key, offers.get(row)) for row in named),
                is_digest=is_digest,
                hostname=around.hostname,
                language=policy.language,
                now=now,
                more=len(rows) - len(named),
            )
        )
        event = Event(now, "composed", {"about": "quarantine", "messages": len(rows)})
        decision = allowed("a notice of mail in quarantine", policy.version)
        recipient = Recipient(address, (first.mailbox,))
        return own_mail(composed, name, first.tenant, recipient, around.hostname, decision, event)

    def _offers(
        self, policy: EffectivePolicy, rows: Sequence[UntoldRow], now: float, can_ask: bool
    ) -> dict[UntoldRow, Offer]:
        """What an answer to the notice would do, so far as can be known before it is scanned again. In the thread that
        reads the lists."""
        return {
            row: offer
            for row in rows
            for kept in self._around.listing.kept(row.queue_id)
            if (offer := _offer(policy, kept, row, now, can_ask)) is not None
        }

    async def _administrators(self, tenant: TenantName) -> list[str]:
        try:
            found: list[str] = await self._ask(partial(administrators, tenant))
        except (NotFoundError, UnavailableError):
            return []
        return found

    async def _address(self, mailbox: MailboxId) -> str:
        """Empty where nobody can read the mailbox."""
        found: str = await self._ask(lambda directory: directory.mailbox_address(mailbox))
        return found

    async def _release_key(self, rows: Sequence[UntoldRow]) -> bytes:
        """Empty where there is none."""
        try:
            key: bytes = await self._ask(lambda directory: directory.release_key(rows[0].tenant))
        except UnavailableError as error:
            _log.error("no release address can be made for tenant %s: %s", rows[0].tenant, error)
            return b""
        return key


def _offer(policy: EffectivePolicy, kept: Kept, row: UntoldRow, now: float, can_ask: bool) -> Offer | None:
    if kept.decision is None or kept.decision.key in INFECTED_KEYS:
        return None
    if (
        now < row.received_at + RELEASE_SECONDS
        and may_release(policy, kept.decision)
        and kept.inspection is not None
        and is_only_encrypted(policy, kept.envelope, row.forward_path, kept.inspection, now)
    ):
        return Offer.RELEASE
    return Offer.ASK if can_ask else None


def _withheld(row: UntoldRow, policy: EffectivePolicy, address: str, key: bytes, offer: Offer | None) -> Withheld:
    deleted_at = row.received_at + policy.retention.quarantine_days * DAY
    return Withheld(
        queue_id=row.queue_id,
        reverse_path=row.reverse_path,
        forward_path=row.forward_path,
        received_at=row.received_at,
        reason=row.reason,
        deleted_at=deleted_at,
        release_address="" if offer is None else release_address(Claim(row.queue_id, row.n), domain_of(address), key),
        release_until=deleted_at if offer is Offer.ASK else row.received_at + RELEASE_SECONDS,
        is_to_be_asked=offer is Offer.ASK,
    )
