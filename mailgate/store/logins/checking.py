"""Answers logins: back-off first, then a short memory of good ones, then the hash (in a small pool)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from mailgate.ipc.calls import Authenticate, Authenticated, Renew
from mailgate.model.envelope import TenantName
from mailgate.policy.schema import Passwords
from mailgate.records.metrics import AUTH_FAILURES
from mailgate.store.logins.records import LoginRecords
from mailgate.store.logins.throttle import network_of
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.logins.accounts import REFUSED, Account, Checked, Result
from mailgate.tenancy.logins.app_passwords import AppKey
from mailgate.tenancy.logins.failed_logins import account_key, network_key
from mailgate.tenancy.logins.history import LoginTry

GOOD_SECONDS = 60.0
MOST_GOOD = 10_000
FAILURE_TICK = 0.25  # seconds

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Good:
    """A login that was right a moment ago."""

    until: float
    answer: Authenticated
    account: Account
    app: AppKey | None


class Logins:
    """`thread` is the directory's, `hashing` the pool for the costly part. `policy` gives a tenant's rules. Whoever is
    refused hears it at a multiple of `tick` seconds after the question, so that the time tells no reason."""

    def __init__(
        self,
        book: AccountBook,
        records: LoginRecords,
        thread: Executor,
        hashing: Executor,
        clock: Callable[[], float],
        policy: Callable[[TenantName], Passwords],
        tick: float = FAILURE_TICK,
    ) -> None:
        self._book = book
        self._records = records
        self._thread = thread
        self._hashing = hashing
        self._clock = clock
        self._policy = policy
        self._tick = tick
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, _Good] = {}
        self._generation = 0

    async def answer(self, request: Authenticate) -> Authenticated:
        """UnavailableError where the directory can't be read."""
        begun = time.monotonic()
        answer = await self._answer(request)
        if not answer.ok:
            AUTH_FAILURES.inc()
            if self._tick:
                await asyncio.sleep(self._tick - (time.monotonic() - begun) % self._tick)
        return answer

    async def _answer(self, request: Authenticate) -> Authenticated:
        now = self._clock()
        network = network_key(network_of(request.peer))
        if (wait := self._records.by_address.wait(network, now)) > 0:
            return Authenticated(ok=False, retry_after=wait)
        digest = self._digest(request)
        if (wait := self._records.by_repeat.wait(network + digest, now)) > 0:
            return Authenticated(ok=False, retry_after=wait)
        known = self._good.get(digest)
        if known is not None and known.until > now:
            self._note(request, known.account, Checked(Result.OK, known.answer, known.app), now)
            return known.answer
        generation = self._generation
        account = await self._in_thread(self._book.account, request.login)
        # whoever knew the password a moment ago is not kept out by others who guess: this stands after the memory
        key = account_key(account.login or request.login.casefold())
        if (wait := self._records.by_account.wait(key, now)) > 0:
            self._note(request, account, Checked(Result.WAITING), now)
            return Authenticated(ok=False, retry_after=wait)
        checked = await asyncio.get_running_loop().run_in_executor(
            self._hashing, account.check, request.password, request.protocol, now, self._largest_age(account)
        )
        self._note(request, account, checked, now)
        if checked.result is not Result.OK:
            # the very same again is a program with an old password, no guess: it must not keep out the others there
            if self._records.by_repeat.failed(network + digest, now) == 1:
                self._failed(network, key, account, now)
            return REFUSED
        if checked.app is None:  # a program that asks every minute must not give guessers new tries
            self._records.by_account.succeeded(key)
        answer = replace(checked.granted, ticket=_ticket(now, checked.app))
        if generation == self._generation:
            self._remember(digest, _Good(_good_until(now, checked.app), answer, account, checked.app))
        return answer

    async def renew(self, request: Renew) -> Authenticated:
        """Whether a login of before still holds. UnavailableError where the directory can't be read."""
        since, _, app = request.ticket.partition(" ")
        answer = await self._in_thread(
            self._book.renew, request.account, app, float(since), request.protocol, self._clock()
        )
        return replace(answer, ticket=request.ticket)

    def forget(self, tenant: TenantName) -> None:
        """Something changed in this tenant (or, where empty, anywhere)."""
        self._generation += 1
        self._records.forget_repeats()
        self._good = {key: kept for key, kept in self._good.items() if tenant and kept.answer.tenant != tenant}

    def forgive(self, login: str) -> None:
        """Failed logins of this account count no more."""
        self._records.by_account.succeeded(account_key(login))

    async def _in_thread(self, ask: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask, *arguments)

    def _largest_age(self, account: Account) -> int:
        return self._policy(account.granted.tenant).largest_age_days

    def _failed(self, network: bytes, key: bytes, account: Account, now: float) -> None:
        self._records.by_address.failed(network, now)
        failures = self._records.by_account.failed(key, now)
        rules = self._policy(account.granted.tenant)
        if account.login and rules.lock_after and failures >= rules.lock_after and account.closed(now) is None:
            self._records.lock(account, now + 60.0 * rules.lock_minutes if rules.lock_minutes else None)

    def _note(self, request: Authenticate, account: Account, checked: Checked, now: float) -> None:
        """Names that were typed are not logged: some people type their password there."""
        if checked.result is not Result.OK:
            facts = {"client": request.peer, "protocol": request.protocol, "reason": str(checked.result)}
            _log.info("login refused", extra=facts | {"user": account.user})
        if account.login:
            tried = (account.tenant, account.user, request.protocol, request.peer, checked.result, now, checked.app)
            self._records.note(LoginTry(*tried))

    def _remember(self, digest: bytes, good: _Good) -> None:
        if len(self._good) >= MOST_GOOD:
            self._good.clear()
        self._good[digest] = good

    def _digest(self, request: Authenticate) -> bytes:
        """Passwords themselves are not kept; the key lives and dies with the process."""
        login = f"{request.protocol} {request.login}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, len(login).to_bytes(4, "big") + login + request.password, hashlib.sha256)


def _good_until(now: float, app: AppKey | None) -> float:
    end = now + GOOD_SECONDS
    return end if app is None or app.expires_at is None else min(end, app.expires_at)


def _ticket(now: float, app: AppKey | None) -> str:
    """When it was, and with which app password."""
    return f"{now!r} {app.id if app is not None else ''}"
