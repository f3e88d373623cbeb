"""Writes down what came of logins, a little later and together: no login waits for the disk, and how long one takes
does not tell whether the account exists."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from mailgate.model.envelope import TenantName
from mailgate.model.errors import UnavailableError
from mailgate.spool.schedule import DAY
from mailgate.store.logins.throttle import BY_ACCOUNT, BY_ADDRESS, BY_REPEAT, Throttle
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.logins.accounts import Account
from mailgate.tenancy.logins.failed_logins import is_account
from mailgate.tenancy.logins.history import LoginTry

FLUSH_SECONDS = 2.0  # what a crash may lose
MOST_TRIES = 20_000  # kept in memory while the disk is slow; more are not written down

_log = logging.getLogger(__name__)


class LoginRecords:
    """Lives in the event loop. `thread` is the directory's."""

    def __init__(self, book: AccountBook, thread: Executor, clock: Callable[[], float]) -> None:
        self._book = book
        self._thread = thread
        self._clock = clock
        self.by_address = Throttle(BY_ADDRESS)
        self.by_account = Throttle(BY_ACCOUNT)
        self.by_repeat = Throttle(BY_REPEAT)
        self._tries: list[LoginTry] = []
        self._locks: list[tuple[Account, float | None]] = []

    async def restore(self) -> None:
        """What was known before the last restart."""
        since = self._clock() - BY_ACCOUNT.memory
        found = await asyncio.get_running_loop().run_in_executor(self._thread, self._book.failures, since)
        self.by_account.restore({key: each for key, each in found.items() if is_account(key)})
        self.by_address.restore({key: each for key, each in found.items() if not is_account(key)})

    def forget_repeats(self) -> None:
        """What was wrong may be right now."""
        self.by_repeat = Throttle(BY_REPEAT)

    def note(self, each: LoginTry) -> None:
        if len(self._tries) < MOST_TRIES:
            self._tries.append(each)

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
        self.by_repeat.take_changes()  # holds digests under a key of this process: of no use later
        changed = self.by_address.take_changes() | self.by_account.take_changes()
        tries, self._tries = self._tries, []
        locks, self._locks = self._locks, []

        def write() -> None:
            if changed:
                self._book.save_failures(changed, self._clock() - BY_ACCOUNT.memory)
            for account, until in locks:
                self._book.lock(account, until)
            if tries:
                self._book.record(tries)

        if changed or tries or locks:
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, write)
            except Exception:
                _log.exception("what came of %d logins could not be written down", len(tries))
