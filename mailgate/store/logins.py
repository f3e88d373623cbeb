"""Answers logins: back-off first, then a short memory of good ones, then the hash (in a small pool)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import Executor

from mailgate.ipc.calls import Authenticate, Authenticated
from mailgate.model.envelope import TenantName
from mailgate.records.metrics import AUTH_FAILURES
from mailgate.store.throttle import BY_ACCOUNT, BY_ADDRESS, Throttle, network_of
from mailgate.tenancy.directory import Account

GOOD_SECONDS = 60.0
MOST_GOOD = 10_000


class Logins:
    """`find` looks an account up in the directory's thread; `hashing` is the pool for the costly part."""

    def __init__(
        self,
        find: Callable[[str], asyncio.Future[Account]],
        hashing: Executor,
        clock: Callable[[], float],
    ) -> None:
        self._find = find
        self._hashing = hashing
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, tuple[float, Authenticated]] = {}
        self._generation = 0
        self._by_address = Throttle(BY_ADDRESS)
        self._by_account = Throttle(BY_ACCOUNT)

    async def answer(self, request: Authenticate) -> Authenticated:
        """UnavailableError where the directory can't be read."""
        now = self._clock()
        network, account = network_of(request.peer), request.login.casefold()
        if (wait := self._by_address.wait(network, now)) > 0:
            return Authenticated(ok=False, retry_after=wait)
        digest = self._digest(request)
        known = self._good.get(digest)
        if known is not None and known[0] > now:
            return known[1]
        # whoever knew the password a moment ago is not kept out by others who guess: this stands after the memory
        if (wait := self._by_account.wait(account, now)) > 0:
            return Authenticated(ok=False, retry_after=wait)
        generation = self._generation
        answer = await self._check(request)
        if answer.ok:
            if generation == self._generation:
                self._remember(digest, now, answer)
            self._by_account.succeeded(account)
            return answer
        AUTH_FAILURES.inc()
        self._by_address.failed(network, now)
        self._by_account.failed(account, now)
        return answer

    def forget(self, tenant: TenantName) -> None:
        """Something changed in this tenant (or, where empty, anywhere)."""
        self._generation += 1
        self._good = {key: kept for key, kept in self._good.items() if tenant and kept[1].tenant != tenant}

    async def _check(self, request: Authenticate) -> Authenticated:
        found = await self._find(request.login)
        return await asyncio.get_running_loop().run_in_executor(self._hashing, found.answer, request.password)

    def _remember(self, digest: bytes, now: float, answer: Authenticated) -> None:
        if len(self._good) >= MOST_GOOD:
            self._good.clear()
        self._good[digest] = (now + GOOD_SECONDS, answer)

    def _digest(self, request: Authenticate) -> bytes:
        """Passwords themselves are not kept; the key lives and dies with the process."""
        login = request.login.encode()
        return hmac.digest(self._key, len(login).to_bytes(4, "big") + login + request.password, hashlib.sha256)
