"""Runs the commands of the admin socket: each for a caller who may give it, in the thread it belongs to."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor
from typing import Any

from mailgate.ipc.calls import Admin, AdminRequest, Answer, Done, Failed, GetChallenge, LogIn, Prove, Result, ShowKey
from mailgate.ipc.frames import Peer
from mailgate.model.errors import UnavailableError
from mailgate.model.verdict import Inspection
from mailgate.store.commands import permissions
from mailgate.store.commands.arguments import check
from mailgate.store.commands.callers import Callers, by_account
from mailgate.store.commands.on_spool.desk import Scan, ScanAgain
from mailgate.store.entitlement import HEALTH
from mailgate.tenancy.acting import Acting, Caller, on_behalf_of

Handlers = Mapping[str, Callable[..., Any]]


class Commands:
    """Lives in the event loop. The handlers of each kind run in a thread of their own; what they want scanned is
    scanned outside of it."""

    def __init__(self, callers: Callers, scan: ScanAgain) -> None:
        self._callers = callers
        self._scan = scan
        self._handlers: dict[str, tuple[Executor, Callable[..., Any]]] = {}

    def take(self, handlers: Handlers, thread: Executor) -> None:
        self._handlers |= {name: (thread, handler) for name, handler in handlers.items()}

    async def answer(self, request: AdminRequest, peer: Peer) -> Answer:
        match request:
            case ShowKey():
                self._callers.show_key(request, peer)
                return Done()
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
        """From one of the gateway's own processes: what health looks at needs no operator."""
        if not isinstance(request, Admin):
            return Failed("user", "logins are for the admin socket")
        is_health = request.command == HEALTH
        return await self.run(request, by_account(peer.uid) if is_health else await self._callers.caller(peer))

    async def run(self, request: Admin, caller: Caller) -> Result:
        if request.command not in self._handlers:
            raise permissions.unknown(request.command)
        thread, handler = self._handlers[request.command]
        loop = asyncio.get_running_loop()
        given = _Given(handler, request.command, request.arguments, caller)
        found = await loop.run_in_executor(thread, given.begin)
        while isinstance(found, Scan):
            inspection = await self._scan(found.content, found.envelope)
            found = await loop.run_in_executor(thread, given.go_on, inspection)
        return Result(found)


def run(handler: Callable[..., Any], command: str, arguments: dict[str, Any], caller: Caller) -> Any:
    """Where nothing can be scanned. UserError where the caller may not give it, or the arguments don't fit it."""
    found = _Given(handler, command, arguments, caller).begin()
    if isinstance(found, Scan):
        raise UnavailableError("nothing can be scanned while the gateway does not run: start it with `mailgate serve`")
    return found


class _Given:
    """A command under way: done at once, or a generator that waits for what is found in a message."""

    def __init__(self, handler: Callable[..., Any], command: str, arguments: dict[str, Any], caller: Caller) -> None:
        self._handler = handler
        self._command = command
        self._arguments = arguments
        self._caller = caller
        self._acting = Acting(caller)
        self._steps: Generator[Scan, Inspection | None, Any] | None = None

    def begin(self) -> Any:
        """What it returns, or a Scan."""
        arguments = permissions.admitted(self._caller, self._command, self._arguments)
        check(self._handler, self._command, arguments)
        reason = arguments.get("reason", "")
        self._acting = Acting(self._caller, secrets.token_hex(8), reason if isinstance(reason, str) else "")
        with on_behalf_of(self._acting):
            found = self._handler(**arguments)
        if not isinstance(found, Generator):
            return found
        self._steps = found
        return self.go_on(None)

    def go_on(self, inspection: Inspection | None) -> Any:
        assert self._steps is not None, "only what yields a Scan goes on"
        with on_behalf_of(self._acting):
            try:
                return self._steps.send(inspection)
            except StopIteration as end:
                return end.value
