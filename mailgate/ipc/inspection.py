"""A connection to one inspector: 4 bytes length (big-endian), then msgpack; the descriptor of a large message comes by
SCM_RIGHTS with the first byte of its request. One request at a time."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path

import msgspec

from mailgate.ipc.calls import Inspect, InspectAnswer

_HEAD = struct.Struct("!I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(InspectAnswer).decode


class Line:
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
