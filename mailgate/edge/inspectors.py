"""The edge's pool of inspectors: one request at a time each, a bounded queue in front."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct
from collections import OrderedDict
from pathlib import Path

import msgspec

from mailgate.edge.staging import Staging
from mailgate.ipc.calls import Inspect, InspectAnswer, Inspected, InspectLimits
from mailgate.model.errors import MailgateError
from mailgate.model.verdict import Inspection, Unscanned, not_scanned
from mailgate.records import log, metrics

WAITING_LIMIT = 512  # messages that wait for a free inspector; above it 451 at once
REMEMBERED = 10_000

_HEAD = struct.Struct("!I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(InspectAnswer).decode
_logger = log.get(__name__)


class BusyError(MailgateError):
    """Too many messages wait for inspection: 451."""


class InspectionFailedError(MailgateError):
    """The inspector died or gave up on this message for the first time: 451, the sender tries again."""


class _Line:
    """One connection to one inspector; reconnects by itself (a restarted inspector takes up the backlog)."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket: socket.socket | None = None

    async def ask(self, request: Inspect, descriptor: int | None) -> InspectAnswer:
        """Raises OSError or EOFError when the inspector goes away."""
        loop = asyncio.get_running_loop()
        body = _encode(request)
        try:
            for attempt in (1, 2):
                sock = self._socket or await self._connect()
                try:
                    await self._send(sock, _HEAD.pack(len(body)) + body, descriptor)
                    break
                except (BrokenPipeError, ConnectionResetError):
                    self.close()  # it was restarted since the last message: that is not this message's fault
                    if attempt == 2:
                        raise
            (length,) = _HEAD.unpack(await self._read(loop, sock, _HEAD.size))
            answer: InspectAnswer = _decode(await self._read(loop, sock, length))
            return answer
        except BaseException:
            self.close()
            raise

    async def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, self._path)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        return sock

    async def _send(self, sock: socket.socket, data: bytes, descriptor: int | None) -> None:
        if descriptor is not None:
            sent = socket.send_fds(sock, [data[:1]], [descriptor])
            data = data[sent:]
        await asyncio.get_running_loop().sock_sendall(sock, data)

    async def _read(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, size: int) -> bytes:
        chunks = []
        while size:
            data = await loop.sock_recv(sock, size)
            if not data:
                raise EOFError("the inspector went away")
            chunks.append(data)
            size -= len(data)
        return b"".join(chunks)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Inspectors:
    """`inspect` gives the inspection, or raises BusyError / InspectionFailedError (both 451).

    The second failure with the same content is answered as *not scanned(worker)*, so that one message can't block its
    sender's queue for ever."""

    def __init__(self, paths: list[Path]) -> None:
        self._idle: asyncio.LifoQueue[_Line] = asyncio.LifoQueue()
        for path in paths:
            self._idle.put_nowait(_Line(path))
        self._waiting = 0
        self._failed: OrderedDict[bytes, None] = OrderedDict()

    async def inspect(self, staging: Staging, limits: InspectLimits, is_inbound: bool) -> Inspection:
        if self._waiting >= WAITING_LIMIT:
            raise BusyError("the queue of messages to inspect is full")
        self._waiting += 1
        try:
            line = await self._idle.get()
        finally:
            self._waiting -= 1
        request = Inspect(staging.size, staging.inline, limits, is_inbound)
        try:
            # The inspector's own limits end a message first; this one is for an inspector that hangs as a whole.
            async with asyncio.timeout(limits.wall_seconds + 3):
                answer = await line.ask(request, staging.fileno)
        except (OSError, EOFError, TimeoutError, msgspec.DecodeError) as error:
            metrics.INSPECTOR_DEATHS.inc()
            _logger.warning("inspector lost", cause=str(error) or type(error).__name__)
            return self._failure(staging, "the inspector died")
        finally:
            self._idle.put_nowait(line)
        if isinstance(answer, Inspected):
            return answer.inspection
        _logger.warning("inspection failed", cause=answer.text)
        return self._failure(staging, answer.text)

    def _failure(self, staging: Staging, cause: str) -> Inspection:
        digest = _digest(staging)
        if digest in self._failed:
            return not_scanned(Unscanned.WORKER, staging.size, cause)
        self._failed[digest] = None
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)
        raise InspectionFailedError(cause)


def _digest(staging: Staging) -> bytes:
    inline = staging.inline
    if inline is not None:
        return hashlib.sha256(inline).digest()
    assert staging.fileno is not None
    with os.fdopen(os.dup(staging.fileno), "rb") as file:
        file.seek(0)
        return hashlib.file_digest(file, "sha256").digest()
