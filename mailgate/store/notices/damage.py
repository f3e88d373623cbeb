"""Tells the administrators of tenants of mail of theirs whose content was found to be damaged: once for each message,
many in one notice. The operator has the log, the metric and /healthz."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from functools import partial

from mailgate.dsn.damage_alert import DamageAlert, compose_damage
from mailgate.model.address import parse_address
from mailgate.model.envelope import Recipient, TenantName, queue_id
from mailgate.model.errors import MailgateError, NotFoundError
from mailgate.model.event import Event
from mailgate.spool.damage import DamagedMessage
from mailgate.spool.queue import Accepted, SpoolStore
from mailgate.store.directory_thread import Ask
from mailgate.store.notices.owed import administrators
from mailgate.store.notices.own_mail import allowed, own_mail
from mailgate.store.surroundings import Surroundings

LOOK_SECONDS = 30.0
AT_ONCE = 1_000

_log = logging.getLogger(__name__)


class DamageAlerts:
    """Runs in the event loop."""

    def __init__(self, around: Surroundings, ask: Ask) -> None:
        self._around = around
        self._ask = ask

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """What can't be told now is told at a later look."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._around.thread, self._around.listing.untold_damage, AT_ONCE)
        for tenant in dict.fromkeys(each.tenant for each in found):
            try:
                await self._tell(tenant, [each for each in found if each.tenant == tenant])
            except MailgateError as error:
                _log.warning("of damaged mail could not be told yet: %s", error, extra={"tenant": tenant})

    async def _tell(self, tenant: TenantName, damaged: Sequence[DamagedMessage]) -> None:
        """In one transaction with the note that it was told. Where nobody administers the tenant the operator alone
        knows."""
        try:
            readers = await self._ask(partial(administrators, tenant))
        except NotFoundError:
            readers = []
        notices = [await self._compose(tenant, each, damaged) for each in readers]

        def apply(spool: SpoolStore) -> None:
            for notice in notices:
                spool.keep(notice, self._around.clock(), "", 0.0)
            spool.damage_told([each.message for each in damaged])

        await self._around.writer.do(apply)
        self._around.wake()

    async def _compose(self, tenant: TenantName, administrator: str, damaged: Sequence[DamagedMessage]) -> Accepted:
        around, now = self._around, self._around.clock()
        policy = around.policy().for_tenant(tenant)
        address = parse_address(administrator)
        resolved = await around.resolve(address.local, address.domain)
        name = queue_id(now, secrets.randbits(35))
        told = [(each.queue_id, each.received_at) for each in damaged]
        alert = DamageAlert(name, administrator, told, around.hostname, policy.language, now)
        recipient = Recipient(administrator, resolved.mailboxes)
        event = Event(now, "composed", {"about": "damaged mail", "messages": len(damaged)})
        decision = allowed("an alert to an administrator", policy.version)
        return own_mail(compose_damage(alert), name, tenant, recipient, around.hostname, decision, event)
