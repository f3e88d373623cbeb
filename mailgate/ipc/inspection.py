"""A connection to one inspector: 4 bytes length (big-endian), then msgpack; the descriptor of a large message comes by
SCM_RIGHTS with the first byte of its request. One request at a time."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any, overload

import msgspec

from mailgate.ipc.inspect_calls import Inspect, InspectAnswer, InspectorRequest, ReadReports, ReportsAnswer

_HEAD = struct.Struct("!I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(InspectAnswer | ReportsAnswer).decode


class Line:
    """One connection to one inspector; reconnects by itself (a restarted inspector takes up the backlog).

    The socket is watched for as long as it is open: to begin and end that for each answer would cost more than the
    answer itself."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket: socket.socket | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    @overload
    async def ask(self, request: Inspect, descriptor: int | None) -> InspectAnswer: ...

    @overload
    async def ask(self, request: ReadReports, descriptor: int | None) -> ReportsAnswer: ...

    async def ask(self, request: InspectorRequest, descriptor: int | None) -> Any:
        """Raises EOFError when the inspector goes away over this request, OSError where it is not to be reached."""
        body = _encode(request)
        data = _HEAD.pack(len(body)) + body
        try:
            try:
                return _decode(await self._answered(data, descriptor))
            except (BrokenPipeError, ConnectionResetError):
                # It ended before it had read this request: the end of a Unix socket with unread data is a reset.
                self.close()
                return _decode(await self._answered(data, descriptor))
        except BaseException:
            self.close()
            raise

    async def _answered(self, data: bytes, descriptor: int | None) -> bytes:
        return await (await self._send(self._socket or await self._connect(), data, descriptor))

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, self._path)
        except BaseException:
            sock.close()
            raise
        loop.add_reader(sock, self._on_readable)
        self._socket = sock
        return sock

    async def _send(self, sock: socket.socket, data: bytes, descriptor: int | None) -> asyncio.Future[bytes]:
        """The future gets the answer, or what ended the connection."""
        loop = asyncio.get_running_loop()
        self._received.clear()
        self._answer = waiting = loop.create_future()
        if descriptor is not None:
            sent = socket.send_fds(sock, [data[:1]], [descriptor])
            data = data[sent:]
        await loop.sock_sendall(sock, data)
        return waiting

    def _on_readable(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if not data:
            self._fail(EOFError("the inspector went away"))
            return
        received = self._received
        received += data
        is_whole = len(received) >= _HEAD.size and len(received) >= _HEAD.size + _HEAD.unpack_from(received)[0]
        if is_whole and self._answer is not None and not self._answer.done():
            self._answer.set_result(bytes(received[_HEAD.size :]))

    def _fail(self, error: Exception) -> None:
        waiting = self._answer
        self.close()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)

    def close(self) -> None:
        self._answer = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
