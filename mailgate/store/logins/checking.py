"""Answers logins: first a short memory of good ones, then app passwords, then what guessing has cost, then the hash (in
a small pool, in fair turns)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from mailgate.ipc.calls import Authenticate, Authenticated, Renew
from mailgate.model.envelope import TenantName
from mailgate.policy.schema import Passwords
from mailgate.store.logins.guessing import Limit, Try
from mailgate.store.logins.records import LoginRecords
from mailgate.store.logins.turns import CrowdedError, Turns
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.logins.accounts import NO_ACCOUNT, REFUSED, Account, Checked, Result
from mailgate.tenancy.logins.app_passwords import AppKey
from mailgate.tenancy.logins.networks import network_of

GOOD_SECONDS = 60.0
MOST_GOOD = 10_000
FAILURE_TICK = 0.25  # seconds

T = TypeVar("T")
Tell = Callable[[Account, int], Coroutine[None, None, None]]
"""Many networks guess at this account, which has failed so often: tells those who can act."""


@dataclass(frozen=True, slots=True)
class _Good:
    """A login that was right a moment ago."""

    until: float
    answer: Authenticated
    account: Account
    app: AppKey | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """`delay`: seconds that it is to be held back."""

    answer: Authenticated
    delay: float = 0.0


class Logins:
    """`thread` is the directory's, `hashing` the pool for the costly part. `policy` gives a tenant's rules. Whoever is
    refused hears it at a multiple of `tick` seconds after the question, so that the time tells no reason. `pause` waits
    for so many seconds."""

    def __init__(
        self,
        book: AccountBook,
        records: LoginRecords,
        thread: Executor,
        hashing: Executor,
        clock: Callable[[], float],
        policy: Callable[[TenantName], Passwords],
        tell: Tell,
        tick: float = FAILURE_TICK,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._book = book
        self._records = records
        self._thread = thread
        self._hashing = hashing
        self._clock = clock
        self._policy = policy
        self._tell = tell
        self._tick = tick
        self._pause = pause
        self._turns = Turns()
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, _Good] = {}
        self._generation = 0
        self._telling: set[asyncio.Task[None]] = set()

    async def answer(self, request: Authenticate) -> Authenticated:
        """UnavailableError where the directory can't be read."""
        begun = time.monotonic()
        found = await self._answer(request)
        pause = found.delay
        if not found.answer.ok and self._tick:
            pause += self._tick - (time.monotonic() - begun) % self._tick
        if pause:
            await self._pause(pause)
        return found.answer

    async def _answer(self, request: Authenticate) -> _Answer:
        digest = self._digest(request)
        known = self._good.get(digest)
        if known is not None and known.until > self._clock():
            self._records.note(request, known.account, Checked(Result.OK, known.answer, known.app))
            return _Answer(known.answer)
        try:
            async with self._turns.take(request.peer, len(request.login) + len(request.password)):
                return await self._look(request, digest)
        except CrowdedError:
            self._records.note(request, NO_ACCOUNT, Checked(Result.WAITING), Limit.QUEUE)
            return _Answer(REFUSED)

    async def _look(self, request: Authenticate, digest: bytes) -> _Answer:
        """In a turn: looks the account up, and where nothing speaks against it, checks the password."""
        generation, now = self._generation, self._clock()
        account = await self._in_thread(self._book.account, request.login)
        if (opened := account.check_app_password(request.password, request.protocol, now)) is not None:
            return _Answer(self._grant(request, account, opened, digest, generation))
        network = network_of(request.peer)
        name = account.login or account.counted_as or request.login.casefold()
        each = Try(name, request.peer, account.knows(network), digest)
        guessing = self._records.guessing
        delay = guessing.delay(each.account, now)
        if (held := guessing.reserve(each, now)) is not None:
            self._records.note(request, account, Checked(Result.WAITING), held.limit)
            return _Answer(Authenticated(ok=False, retry_after=held.seconds), delay)
        try:
            checked = await asyncio.get_running_loop().run_in_executor(
                self._hashing,
                account.check,
                request.password,
                request.protocol,
                now,
                self._rules(account).largest_age_days,
                network,
            )
        except BaseException:
            guessing.settle(each, False, now)  # who goes away before the answer has guessed all the same
            raise
        counted = guessing.settle(each, checked.result is Result.OK, now)
        if checked.result is Result.OK:
            granted = self._grant(request, account, checked, digest, generation)
            return _Answer(granted, 0.0 if each.is_known else delay)
        self._records.note(request, account, checked)
        self._lock(account, counted.strangers, now)
        if counted.closed:
            self._tell_of_guessing(account, counted.strangers)
        return _Answer(REFUSED, delay)

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
        self._records.guessing.forget_repeats()
        self._good = {key: kept for key, kept in self._good.items() if tenant and kept.answer.tenant != tenant}

    def forgive(self, login: str) -> None:
        """Failed logins of this account count no more."""
        self._records.guessing.forgive(login)

    async def _in_thread(self, ask: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask, *arguments)

    def _rules(self, account: Account) -> Passwords:
        return self._policy(account.granted.tenant)

    def _grant(
        self, request: Authenticate, account: Account, checked: Checked, digest: bytes, generation: int
    ) -> Authenticated:
        now = self._clock()
        self._records.note(request, account, checked)
        answer = replace(checked.granted, ticket=_ticket(now, checked.app))
        if generation == self._generation:
            if len(self._good) >= MOST_GOOD:
                self._good.clear()
            self._good[digest] = _Good(_good_until(now, checked.app), answer, account, checked.app)
        return answer

    def _lock(self, account: Account, failures: int, now: float) -> None:
        rules = self._rules(account)
        is_due = rules.lock_after and failures >= rules.lock_after
        if account.granted.ok and is_due and not account.is_locked(now):
            self._records.lock(account, now + 60.0 * rules.lock_minutes if rules.lock_minutes else None)

    def _tell_of_guessing(self, account: Account, failures: int) -> None:
        """In the background: the time of an answer must not tell that somebody is told."""
        task = asyncio.create_task(self._tell(account, failures))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

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
