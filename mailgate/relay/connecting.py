"""A connection to one of a host's addresses: each gets a short head start, then the next is tried beside it
(RFC 8305), so that a dead address family costs a moment and no time-out."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence

from mailgate.relay.timeouts import Timeouts
from mailgate.relay.transfer import Fault, FaultKind
from mailgate.route.mx import is_socket


class ConnectError(Exception):
    """No address answered; `fault` tells it of the address that came closest."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


async def connect(addresses: Sequence[str], port: int, source: str, timeouts: Timeouts) -> tuple[socket.socket, str]:
    """The first connection that stands, and its address. `source`: our own address to use, empty for any."""
    faults: list[Fault] = []
    running: dict[asyncio.Task[socket.socket], str] = {}
    waiting = list(addresses)
    deadline = asyncio.get_running_loop().time() + timeouts.connect
    try:
        while waiting or running:
            if waiting:
                address = waiting.pop(0)
                running[asyncio.create_task(_connect(address, port, source))] = address
            left = deadline - asyncio.get_running_loop().time()
            pause = min(timeouts.stagger, left) if waiting else left
            done, _ = await asyncio.wait(running, timeout=max(pause, 0.0), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                address = running.pop(task)
                error = task.exception()
                if error is None:
                    return task.result(), address
                faults.append(_fault(address, port, error))
            if (not done and not waiting) or left <= 0:
                faults.append(Fault(FaultKind.TIMEOUT, "connect", f"no answer from {', '.join(running.values())}"))
                break
        raise ConnectError(_telling(faults))
    finally:
        await _abandon(running)


async def _connect(address: str, port: int, source: str) -> socket.socket:
    if is_socket(address):
        return await _connect_socket(address)
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source and (":" in source) == (":" in address):
            sock.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect_socket(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


async def _abandon(running: dict[asyncio.Task[socket.socket], str]) -> None:
    for task in running:
        task.cancel()
    for task in running:
        with contextlib.suppress(asyncio.CancelledError, OSError):
            (await task).close()


def _fault(address: str, port: int, error: BaseException) -> Fault:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ECONNREFUSED:
        where = address if is_socket(address) else f"{address} port {port}"
        return Fault(FaultKind.REFUSED, "connect", f"{where} refuses connections")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    kind = FaultKind.TIMEOUT if number == errno.ETIMEDOUT else FaultKind.UNREACHABLE
    return Fault(kind, "connect", f"{address} can't be reached: {reason}")


def _telling(faults: Sequence[Fault]) -> Fault:
    """A family that this machine does not have says least about the host."""
    order = (FaultKind.TIMEOUT, FaultKind.REFUSED, FaultKind.UNREACHABLE)
    return min(faults, key=lambda fault: order.index(fault.kind))
