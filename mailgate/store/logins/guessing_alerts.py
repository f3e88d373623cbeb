"""Tells of guessing at an account by many networks: a line in the log, a mail to its owner and to the administrators of
the tenant."""

from __future__ import annotations

import logging
from collections import Counter

from mailgate.dsn.account_alert import About
from mailgate.model.envelope import TenantName
from mailgate.records.metrics import AUTH_ALERTS
from mailgate.spool.coverage import day_of
from mailgate.store.directory_thread import Ask
from mailgate.store.notices.account_alerts import tell
from mailgate.store.surroundings import Surroundings
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins.accounts import Account
from mailgate.tenancy.people import people

MOST = 10  # a day and tenant to its administrators: guesses at a thousand accounts are no thousand mails

_log = logging.getLogger(__name__)


class GuessingAlerts:
    """Lives in the event loop. Once a day and account, since `Guessing` says so once."""

    def __init__(self, around: Surroundings, ask: Ask) -> None:
        self._around = around
        self._ask = ask
        self._day = 0
        self._told: Counter[TenantName] = Counter()

    async def tell(self, account: Account, failures: int) -> None:
        """Where there is no such account it is only counted."""
        AUTH_ALERTS.inc()
        if not account.login:
            return
        tenant = account.granted.tenant
        if not tenant:
            return  # disabled: nobody logs in there, so nobody is kept out
        _log.warning("many networks guess at an account", extra={"tenant": tenant, "user": account.user})
        try:
            await self._send(tenant, account.login, str(failures))
        except Exception:
            _log.exception("that many networks guess at an account could not be told")

    async def _send(self, tenant: TenantName, login: str, failures: str) -> None:
        await tell(self._around, tenant, login, About.GUESSES_AT_OWN, login, failures)
        if (today := day_of(self._around.clock())) != self._day:
            self._day, self._told = today, Counter()
        self._told[tenant] += 1
        if self._told[tenant] > MOST:
            return

        def administrators(directory: Directory) -> list[str]:
            with directory.reading(tenant) as work:
                return [each.login for each in people.administrators(work)]

        for administrator in await self._ask(administrators):
            if administrator != login:
                await tell(self._around, tenant, administrator, About.GUESSES, login, failures)
