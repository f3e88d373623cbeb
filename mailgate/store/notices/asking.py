"""Asks a tenant's administrators to release what its owner has handed to them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from mailgate.dsn.waiting import WaitingNotice, Withheld, compose_waiting
from mailgate.model.address import parse_address
from mailgate.model.envelope import Recipient, queue_id
from mailgate.model.event import Event
from mailgate.model.release_address import Claim, release_address
from mailgate.spool.coverage import DAY
from mailgate.spool.listing import Row
from mailgate.spool.queue import Accepted
from mailgate.spool.rows import domain_of
from mailgate.store.notices.own_mail import allowed, own_mail
from mailgate.store.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Asked:
    """By whom, about which message; `key` is that of the tenant's release addresses."""

    by: str
    message: int
    key: bytes


async def compose_asking(around: Surroundings, administrator: str, asked: Asked, row: Row) -> Accepted:
    """`administrator` is a login of the tenant."""
    now, policy = around.clock(), around.policy().for_tenant(row.tenant)
    address = parse_address(administrator)
    resolved = await around.resolve(address.local, address.domain)
    deleted_at = row.received_at + policy.retention.quarantine_days * DAY
    withheld = Withheld(
        queue_id=row.queue_id,
        reverse_path=row.reverse_path,
        forward_path=row.forward_path,
        received_at=row.received_at,
        reason=row.reason,
        deleted_at=deleted_at,
        release_address=release_address(Claim(row.queue_id, row.n), domain_of(administrator), asked.key),
        release_until=deleted_at,
    )
    name = queue_id(now, secrets.randbits(35))
    notice = WaitingNotice(
        queue_id=name,
        recipient=administrator,
        messages=(withheld,),
        is_digest=False,
        hostname=around.hostname,
        language=policy.language,
        now=now,
        asked_by=asked.by,
    )
    event = Event(now, "composed", {"about": "quarantine", "messages": 1})
    decision = allowed("a request to an administrator", policy.version)
    recipient = Recipient(administrator, resolved.mailboxes)
    return own_mail(compose_waiting(notice), name, row.tenant, recipient, around.hostname, decision, event)
