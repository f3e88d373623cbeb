"""Reports to other domains: what the relay needs to make them, and the keeping of those it has made, once each."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from mailgate.dsn.compose import Composed
from mailgate.ipc.calls import Done
from mailgate.ipc.report_calls import DmarcReportDue, GetDmarcReport, KeepReport, OwnReport
from mailgate.model.envelope import Recipient, queue_id
from mailgate.model.event import Event
from mailgate.spool.dmarc_counts import ReportKey
from mailgate.spool.queue import Accepted, SpoolStore
from mailgate.store.directory_thread import Ask
from mailgate.store.notices.own_mail import allowed, own_mail
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.directory import Directory


class Reports:
    """Lives in the event loop. `ask` runs a question to the directory in its thread."""

    def __init__(self, around: Surroundings, ask: Ask) -> None:
        self._around = around
        self._ask = ask

    async def answer(self, request: GetDmarcReport | KeepReport) -> DmarcReportDue | Done:
        if isinstance(request, KeepReport):
            return await self._keep(request)
        return await self._due(request)

    async def _due(self, request: GetDmarcReport) -> DmarcReportDue | Done:
        after = ReportKey(request.day, request.tenant, request.domain)
        while (key := await self._read(self._around.listing.next_report, after, request.before)) is not None:
            if self._around.policy().for_tenant(key.tenant).dmarc_reports.send:
                counted = await self._read(self._around.listing.counted, key)
                senders = await self._ask(partial(_domains, key.tenant))
                return DmarcReportDue(key.day, key.tenant, key.domain, counted, senders)
            await self._around.writer.do(partial(_drop, key))
            after = key
        return Done()

    async def _read(self, read: Callable[..., Any], *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._around.thread, read, *arguments)

    async def _keep(self, request: KeepReport) -> Done:
        """The mails are kept in the transaction that puts on record that the report is made."""
        mails = [self._accepted(request, mail) for mail in request.mails]

        def apply(spool: SpoolStore) -> None:
            if _is_first(spool, request):
                for mail in mails:
                    spool.keep(mail, self._around.clock(), "", 0.0)

        await self._around.writer.do(apply)
        self._around.wake()
        return Done()

    def _accepted(self, request: KeepReport, mail: OwnReport) -> Accepted:
        around, now = self._around, self._around.clock()
        composed = Composed(mail.content, mail.message_id, is_8bit=False, smtputf8=not mail.recipient.isascii())
        name = queue_id(now, secrets.randbits(35))
        event = Event(now, "composed", {"about": request.domain, "report": request.kind})
        decision = allowed("a report to another domain", around.policy().for_tenant(request.tenant).version)
        # no mailbox: the relay brings it to our own MX where the address is hosted here, so that it is signed anyway
        recipient = Recipient(mail.recipient)
        return own_mail(
            composed, name, request.tenant, recipient, around.hostname, decision, event, must_be_signed=True
        )


def _is_first(spool: SpoolStore, request: KeepReport) -> bool:
    if request.kind == "tls":
        return spool.tls_reported(request.day, request.domain)
    return spool.reported(ReportKey(request.day, request.tenant, request.domain))


def _drop(key: ReportKey, spool: SpoolStore) -> None:
    spool.reported(key)


def _domains(tenant: str, directory: Directory) -> tuple[str, ...]:
    """None for a tenant that has gone."""
    found = next((each for each in directory.tenants if each.name == tenant), None)
    return tuple(found.domains) if found is not None else ()
