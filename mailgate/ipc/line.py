"""A process's line to the store: kept open, opened again with back-off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from mailgate.ipc.calls import Answer, Hello, Push, Request, Welcome
from mailgate.ipc.frames import Calls, connect
from mailgate.model.errors import MailgateError, UnavailableError

RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)


class StoreLine:
    """`role` is what the store is told, and `key` what proves it;
    `on_welcome` runs after each connect, `on_push` for what the store pushes."""

    def __init__(
        self,
        path: Path,
        role: str,
        on_welcome: Callable[[Welcome], None],
        on_push: Callable[[Push], None],
        key: bytes = b"",
    ) -> None:
        self._path = path
        self._hello = Hello(role, key)
        self._on_welcome = on_welcome
        self._on_push = on_push
        self._calls: Calls | None = None
        self._lost = asyncio.Event()

    async def keep(self) -> None:
        """Runs until cancelled."""
        tries = 0
        while True:
            try:
                await self._connect()
            except MailgateError:
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
                continue
            tries = 0
            await self._lost.wait()

    async def _connect(self) -> None:
        self._lost.clear()
        calls = await connect(self._path, self._on_push, self._on_lost)
        welcome = await calls.call(self._hello)
        if not isinstance(welcome, Welcome):
            raise UnavailableError("the store did not greet")
        self._calls = calls
        self._on_welcome(welcome)

    def _on_lost(self) -> None:
        self._calls = None
        self._lost.set()

    async def call(self, request: Request) -> Answer:
        """UnavailableError while the store is away."""
        if self._calls is None:
            raise UnavailableError("the store can't be reached")
        return await self._calls.call(request)

    def close(self) -> None:
        if self._calls is not None:
            self._calls.close()
