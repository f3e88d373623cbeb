"""`--workers 0`: everything in one process, over the same sockets, for development and debugging.

An inspector runs in a thread without limits of time and memory: a message that breaks the parser breaks the gateway.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Protocol

from mailgate.edge.process import EdgeProcess
from mailgate.inspect import worker
from mailgate.ipc import keys
from mailgate.model.errors import UnavailableError
from mailgate.ops.listeners import EDGE, Listeners
from mailgate.ops.tls import ServerTls
from mailgate.relay.process import RelayProcess
from mailgate.settings import Settings
from mailgate.store.process import StoreProcess


class _Part(Protocol):
    def run(self, ready: Callable[[], None], stop: asyncio.Event) -> Coroutine[None, None, None]: ...


class Single:
    """Looks like a Supervisor to `app.serve`."""

    def __init__(self, settings: Settings, listeners: Listeners, made: keys.Keys) -> None:
        self._keys = made
        self._settings = settings
        self._listeners = listeners
        self._tls = ServerTls(settings)
        self._stop = asyncio.Event()

    def states(self) -> dict[str, bool]:
        return {"gateway": True}

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT: store, relay, inspectors and edge come up in this order, and go down in reverse."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        store = StoreProcess(self._settings, self._listeners.store, self._listeners.admin, keys=self._keys)
        relay = RelayProcess(self._settings, key=self._keys[keys.RELAY])
        sockets = {name: self._listeners.public[name] for name in EDGE}
        edge = EdgeProcess(self._settings, sockets, self._tls.contexts, self._keys[keys.EDGE])
        inspectors: list[worker.InThread] = []

        def reload() -> None:
            store.reload()
            self._tls.reload()
            for each in inspectors:
                each.reload()

        loop.add_signal_handler(signal.SIGHUP, reload)
        async with _Running(store) as stored, _Running(relay) as relayed:
            clamd, largest = self._settings.clamd, self._settings.message_size_limit
            inspectors += [worker.serve_in_thread(sock, clamd, largest) for sock in self._listeners.inspectors]
            try:
                async with _Running(edge) as edged:
                    on_ready()
                    await self._until_stopped(stored, relayed, edged)
            finally:
                for end in inspectors:
                    end()

    async def _until_stopped(self, *parts: asyncio.Task[None]) -> None:
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait((stop, *parts), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()


class _Running:
    """Entered once the part is ready; left once it has stopped in good order. What it raises comes out on either."""

    def __init__(self, part: _Part) -> None:
        self._part = part
        self._stop = asyncio.Event()

    async def __aenter__(self) -> asyncio.Task[None]:
        up = asyncio.Event()
        self._task = asyncio.create_task(self._part.run(up.set, self._stop))
        waiter = asyncio.create_task(up.wait())
        await asyncio.wait((self._task, waiter), return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if self._task.done():
            await self._task
            raise UnavailableError(f"{type(self._part).__name__} ended before it was up")
        return self._task

    async def __aexit__(self, *error: object) -> None:
        self._stop.set()
        await self._task
