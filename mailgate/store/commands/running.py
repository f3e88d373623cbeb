"""Runs the commands of the admin socket: each for a caller who may give it, in the thread it belongs to."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from mailgate.ipc.calls import Admin, AdminRequest, Answer, Done, Failed, GetChallenge, LogIn, Prove, Result
from mailgate.ipc.frames import Peer
from mailgate.store.commands import permissions
from mailgate.store.commands.arguments import check
from mailgate.store.commands.callers import Callers, by_account
from mailgate.tenancy.acting import Acting, Caller, on_behalf_of

Handlers = Mapping[str, Callable[..., Any]]


class Commands:
    """Lives in the event loop. The handlers of each kind run in a thread of their own."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._handlers: dict[str, tuple[Executor, Callable[..., Any]]] = {}

    def take(self, handlers: Handlers, thread: Executor) -> None:
        self._handlers |= {name: (thread, handler) for name, handler in handlers.items()}

    async def answer(self, request: AdminRequest, peer: Peer) -> Answer:
        match request:
            case LogIn():
                await self._callers.log_in(request, peer)
                return Done()
            case GetChallenge():
                return self._callers.challenge(peer)
            case Prove():
                await self._callers.prove(request, peer)
                return Done()
            case Admin():
                return await self.run(request, await self._callers.caller(peer))

    async def answer_own(self, request: AdminRequest, peer: Peer) -> Answer:
        """From one of the gateway's own processes: nobody else may open the socket that this came through."""
        if not isinstance(request, Admin):
            return Failed("user", "logins are for the admin socket")
        return await self.run(request, by_account(peer.uid))

    async def run(self, request: Admin, caller: Caller) -> Result:
        if request.command not in self._handlers:
            raise permissions.unknown(request.command)
        thread, handler = self._handlers[request.command]
        loop = asyncio.get_running_loop()
        return Result(await loop.run_in_executor(thread, run, handler, request.command, request.arguments, caller))


def run(handler: Callable[..., Any], command: str, arguments: dict[str, Any], caller: Caller) -> Any:
    """UserError where the caller may not give it, or the arguments don't fit it."""
    arguments = permissions.admitted(caller, command, arguments)
    check(handler, command, arguments)
    reason = arguments.get("reason", "")
    with on_behalf_of(Acting(caller, secrets.token_hex(8), reason if isinstance(reason, str) else "")):
        return handler(**arguments)
