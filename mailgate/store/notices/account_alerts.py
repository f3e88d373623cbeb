"""Puts an alert about an account into the mail of who is to know."""

from __future__ import annotations

import secrets

from mailgate.dsn.account_alert import About, AccountAlert, compose_alert
from mailgate.model.address import parse_address
from mailgate.model.envelope import Recipient, TenantName, queue_id
from mailgate.model.event import Event
from mailgate.store.notices.own_mail import allowed, own_mail
from mailgate.store.surroundings import Surroundings


async def tell(around: Surroundings, tenant: TenantName, to: str, about: About, account: str, reason: str) -> None:
    """`to` and `account` are logins of the tenant. Returns once it is kept."""
    now, policy, address = around.clock(), around.policy().for_tenant(tenant), parse_address(to)
    resolved = await around.resolve(address.local, address.domain)
    name = queue_id(now, secrets.randbits(35))
    alert = AccountAlert(name, to, about, account, reason, around.hostname, policy.language, now)
    decision = allowed("an alert about an account", policy.version)
    recipient = Recipient(to, resolved.mailboxes)
    event = Event(now, "composed", {"about": about.value, "account": account})
    kept = own_mail(compose_alert(alert), name, tenant, recipient, around.hostname, decision, event)
    await around.writer.do(lambda spool: spool.keep(kept, now, "", 0.0))
    around.wake()
