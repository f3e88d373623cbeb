"""The edge's line to the store: kept open, opened again with back-off, answers about recipients cached."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from mailgate.ipc import keys
from mailgate.ipc.calls import (
    Authenticate,
    Authenticated,
    Commit,
    DirectoryChanged,
    HandedOver,
    KeepTurnedAway,
    NewEntry,
    Note,
    PolicyChanged,
    Push,
    ReleaseOwn,
    Renew,
    Resolve,
    Resolved,
    Welcome,
)
from mailgate.ipc.line import StoreLine
from mailgate.model.address import Address
from mailgate.model.errors import MailgateError, UnavailableError
from mailgate.model.turned_away import TurnedAway

CACHE_SIZE = 100_000
CACHE_SECONDS = 60.0


class StoreClient:
    """All calls raise UnavailableError while the store is away. `on_policy` receives each published snapshot."""

    def __init__(self, path: Path, on_policy: Callable[[bytes], None], key: bytes = b"") -> None:
        self._line = StoreLine(path, keys.EDGE, self._welcomed, self._pushed, key)
        self._on_policy = on_policy
        self._cache: dict[tuple[str, str], tuple[float, Resolved]] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self.generation = 0
        """Counts what may end a login: changes in the directory, and a store that was away."""

    async def keep_connected(self) -> None:
        """Runs until cancelled."""
        await self._line.keep()

    def _welcomed(self, welcome: Welcome) -> None:
        self._cache.clear()
        self.generation += 1
        self._on_policy(welcome.policy)

    def _pushed(self, push: Push) -> None:
        match push:
            case PolicyChanged(policy=policy):
                self._cache.clear()
                self._on_policy(policy)
            case DirectoryChanged():
                self._cache.clear()
                self.generation += 1

    async def resolve(self, address: Address) -> Resolved:
        key = (address.local, address.domain)
        now = asyncio.get_running_loop().time()
        known = self._cache.get(key)
        if known is not None and known[0] > now:
            return known[1]
        answer = await self._line.call(Resolve(*key))
        if not isinstance(answer, Resolved):
            raise UnavailableError("unexpected answer")
        if answer.kind != "unavailable" and not answer.is_limited:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = (now + CACHE_SECONDS, answer)
        return answer

    async def authenticate(self, login: str, password: bytes, peer: str) -> Authenticated:
        answer = await self._line.call(Authenticate(login, password, peer))
        if not isinstance(answer, Authenticated):
            raise UnavailableError("unexpected answer")
        return answer

    async def release_own(self, account: str, local: str) -> bool:
        """What a release address names, for its recipient; False where the administrators are asked to instead.
        NotFoundError, ConflictError."""
        return not isinstance(await self._line.call(ReleaseOwn(account, local)), HandedOver)

    async def renew(self, account: str, ticket: str) -> Authenticated:
        """Whether a login of before still holds, and what it is worth now."""
        answer = await self._line.call(Renew(account, ticket))
        if not isinstance(answer, Authenticated):
            raise UnavailableError("unexpected answer")
        return answer

    async def commit(self, entries: tuple[NewEntry, ...]) -> None:
        """Returns once all entries are on stable storage."""
        await self._line.call(Commit(entries))

    async def keep_turned_away(self, turned_away: tuple[TurnedAway, ...]) -> None:
        """Who was refused, for a while."""
        await self._line.call(KeepTurnedAway(turned_away))

    def note(self, note: Note) -> None:
        """In the background: the timeline of a message that was not taken. Lost with the store, which is no harm."""
        task = asyncio.ensure_future(self._note(note))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _note(self, note: Note) -> None:
        with contextlib.suppress(MailgateError):
            await self._line.call(note)
