"""Puts the notice of an access in an emergency into the mailbox that it opens."""

from __future__ import annotations

import secrets

from mailgate.dsn.access_notice import AccessNotice, compose_access
from mailgate.model.envelope import Recipient, queue_id
from mailgate.model.event import Event
from mailgate.store.notices.own_mail import allowed, own_mail
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.databases.models import BreakGlass, Mailbox
from mailgate.tenancy.work import Work


def tell_of_access(around: Surroundings, work: Work, mailbox: Mailbox, asked: BreakGlass) -> None:
    """Blocking, in the directory's thread; returns once the notice is on stable storage."""
    policy, now = around.policy().for_tenant(work.tenant.name), around.clock()
    name = queue_id(now, secrets.randbits(35))
    notice = AccessNotice(
        queue_id=name,
        mailbox=mailbox.address,
        requested_by=asked.requested_by,
        confirmed_by=asked.confirmed_by or "",
        reason=asked.reason,
        until=asked.expires_at or now,
        id=asked.id,
        hostname=around.hostname,
        language=policy.language,
        now=now,
    )
    kept = own_mail(
        compose_access(notice),
        name,
        work.tenant.name,
        Recipient(mailbox.address, (mailbox.id,)),
        around.hostname,
        allowed("a notice of access in an emergency", policy.version),
        Event(now, "composed", {"about": "breakglass"}),
    )
    around.writer.do_blocking(lambda spool: spool.keep(kept, now, "", 0.0))
    around.wake()
