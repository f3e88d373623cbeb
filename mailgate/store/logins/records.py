"""Writes down what came of logins, a little later and together: no login waits for the disk, and how long one takes
does not tell whether the account exists."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from mailgate.ipc.calls import Authenticate
from mailgate.model.envelope import TenantName
from mailgate.model.errors import UnavailableError
from mailgate.records import metrics
from mailgate.spool.schedule import DAY
from mailgate.store.logins.guessing import LONGEST_MEMORY, Guessing, Limit
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.logins.accounts import Account, Checked, Result
from mailgate.tenancy.logins.history import LoginTry
from mailgate.tenancy.logins.networks import network_of

FLUSH_SECONDS = 2.0  # what a crash may lose
MOST_TRIES = 20_000  # kept in memory while the disk is slow; more are not written down
LOG_SECONDS = 60.0  # one line for each network that is held back
MOST_LOGGED = 20  # such lines in that time; the others are in a sum

metrics.begin(metrics.AUTH_FAILURES, set(Result) - {Result.OK})
metrics.begin(metrics.AUTH_HELD_BACK, Limit)

_log = logging.getLogger(__name__)


class LoginRecords:
    """Lives in the event loop. `thread` is the directory's."""

    def __init__(self, book: AccountBook, thread: Executor, clock: Callable[[], float]) -> None:
        self._book = book
        self._thread = thread
        self._clock = clock
        self.guessing = Guessing()
        self._tries: list[LoginTry] = []
        self._locks: list[tuple[Account, float | None]] = []
        self._logged: set[str] = set()
        self._logged_since = 0.0
        self._unlogged = 0

    async def restore(self) -> None:
        """What was known before the last restart."""
        since = self._clock() - LONGEST_MEMORY
        found = await asyncio.get_running_loop().run_in_executor(self._thread, self._book.failures, since)
        self.guessing.restore(found)

    def note(self, request: Authenticate, account: Account, checked: Checked, limit: Limit | None = None) -> None:
        """Counted, logged and kept for the account's owner. `limit`: the one that kept it from being looked at. Names
        that were typed are not logged: some people type their password there."""
        if checked.result is not Result.OK:
            metrics.AUTH_FAILURES.labels(str(checked.result)).inc()
            facts = {"client": request.peer, "protocol": request.protocol, "reason": str(checked.result)}
            if limit is None:
                _log.info("login refused", extra=facts | {"user": account.user})
            else:
                metrics.AUTH_HELD_BACK.labels(str(limit)).inc()
                if self._is_news(network_of(request.peer)):
                    _log.info("login refused", extra=facts | {"user": account.user, "limit": str(limit)})
        if account.login and len(self._tries) < MOST_TRIES:
            tried = (account.tenant, account.user, request.protocol, request.peer, checked.result)
            self._tries.append(LoginTry(*tried, self._clock(), checked.app))

    def lock(self, account: Account, until: float | None) -> None:
        self._locks.append((account, until))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def forget(self, days: Callable[[TenantName], int]) -> None:
        """Retention: logins that are older than their tenant's `days`."""
        for tenant in self._book.tenants():
            oldest = self._clock() - days(tenant.name) * DAY
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._book.forget_logins, tenant, oldest)
            except UnavailableError as error:
                _log.warning("old logins of tenant %s were not deleted: %s", tenant.name, error)

    async def flush(self) -> None:
        """What can't be written is logged and let go: the mail goes on."""
        self._log_sum()
        changed = self.guessing.take_changes()
        tries, self._tries = self._tries, []
        locks, self._locks = self._locks, []

        def write() -> None:
            if changed:
                self._book.save_failures(changed, self._clock() - LONGEST_MEMORY)
            for account, until in locks:
                self._book.lock(account, until)
            if tries:
                self._book.record(tries)

        if changed or tries or locks:
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, write)
            except Exception:
                _log.exception("what came of %d logins could not be written down", len(tries))

    def _is_news(self, network: str) -> bool:
        """Is a line of its own due for a network that is held back? A flood must not fill the log."""
        if network in self._logged or len(self._logged) >= MOST_LOGGED:
            self._unlogged += 1
            return False
        self._logged.add(network)
        return True

    def _log_sum(self) -> None:
        now = self._clock()
        if abs(now - self._logged_since) < LOG_SECONDS:
            return
        if self._unlogged:
            _log.warning("logins refused unseen, without a line each", extra={"count": self._unlogged})
        self._logged, self._logged_since, self._unlogged = set(), now, 0
