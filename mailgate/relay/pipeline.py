"""The library's client, extended: replies are queued, so that commands can be sent ahead (RFC 2920), none is ever lost,
and what a server says unasked is noticed."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import deque
from typing import Any, Final

from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPReadTimeoutError,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from mailgate.transport.lmtp import LmtpGreeting

LONGEST_REPLY: Final = 32 << 10
MOST_WAITING: Final = 128 << 10  # bytes of replies that nobody has read yet; then the server is not listened to
_UNASKED: Final = 1  # a server that ends the connection may say 421 at any time (RFC 5321 section 3.8)
_REPLY_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\n]*?))?\r?\n?")


class GarbageError(SMTPResponseException):
    """The server said something that is no SMTP reply."""


class PipelinedProtocol(SMTPProtocol):
    """Replies wait in the order in which they came; the end of the connection comes after the last of them. More
    of them than commands are garbage and end it: a server could fill our memory while it is sent a message."""

    def __init__(self) -> None:
        super().__init__()
        self._replies: deque[SMTPResponse] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._end: Exception | None = None
        self._is_starting_tls = False
        self.is_in_handshake = False  # STARTTLS was answered with 220, and TLS does not stand yet
        self._due = 0
        self._waiting_bytes = 0
        self._is_listening = True

    def expect(self, replies: int) -> None:
        """To be called before commands are written that are to be answered by so many; what waits for a reply expects
        that one anyway."""
        self._due += replies

    def data_received(self, data: bytes) -> None:
        if self._end is not None:
            return
        self._buffer += data
        at, allowed = 0, max(self._due, 1) + _UNASKED
        try:
            while (end := _end_of_reply(self._buffer, at)) is not None:
                if len(self._replies) >= allowed:
                    raise GarbageError(-1, "more replies than commands")
                self._replies.append(_parse(bytes(self._buffer[at:end])))
                self._waiting_bytes += end - at
                at = end
        except GarbageError as error:
            self._finish(error)
            if isinstance(self.transport, asyncio.Transport):
                self.transport.abort()
        else:
            del self._buffer[:at]
            self._listen(self._waiting_bytes <= MOST_WAITING)
        self._wake()

    def _listen(self, is_wanted: bool) -> None:
        if is_wanted is self._is_listening or not isinstance(self.transport, asyncio.Transport):
            return
        self._is_listening = is_wanted
        if is_wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _finish(self, error: Exception) -> None:
        if self._end is None:
            self._end = error
        self._buffer.clear()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._finish(SMTPServerDisconnected(f"the connection was lost{f' ({exc})' if exc else ''}"))

    def eof_received(self) -> bool:
        self._finish(SMTPServerDisconnected("the server closed the connection"))
        return False

    @property
    def is_clean(self) -> bool:
        """True where nothing was said that nobody asked for."""
        return not self._replies and not self._buffer and self._end is None

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """The next reply; what came before the end of the connection is still handed out."""
        if not self._replies:  # replies to what was sent at once come together: only the first is waited for
            await self._wait(timeout)
        reply = self._replies.popleft()
        self._due = max(0, self._due - 1)
        self._waiting_bytes = max(0, self._waiting_bytes - len(reply.message)) if self._replies else 0
        self._listen(self._waiting_bytes <= MOST_WAITING)
        if self._is_starting_tls and reply.code == 220 and not self.is_clean:
            # what comes before the handshake may come from anybody (RFC 3207 section 6)
            raise SMTPServerDisconnected("the server went on in plaintext after its reply to STARTTLS")
        self.is_in_handshake = self._is_starting_tls and reply.code == 220
        return reply

    async def _wait(self, timeout: float | None) -> None:
        """Until there is a reply."""
        try:
            async with asyncio.timeout(timeout):
                while not self._replies:
                    if self._end is not None:
                        raise self._end
                    self._waiter = self._loop.create_future()
                    await self._waiter
        except TimeoutError:
            raise SMTPReadTimeoutError("no reply in time") from None
        finally:
            self._waiter = None

    async def drain(self) -> None:
        """Until the transport takes more."""
        await self._drain_helper()

    async def start_tls(self, *arguments: Any, **named: Any) -> SMTPResponse:
        self._is_starting_tls = True
        try:
            response = await super().start_tls(*arguments, **named)
            self.is_in_handshake = False
            return response
        finally:
            self._is_starting_tls = False


def _end_of_reply(buffer: bytearray, start: int) -> int | None:
    """Where the first whole reply from `start` on ends; GarbageError for what can't become one."""
    at = start
    while (line_end := buffer.find(b"\n", at)) >= 0:
        line = buffer[at : line_end + 1]
        if not _REPLY_LINE.fullmatch(line):
            raise GarbageError(-1, f"not an SMTP reply: {_printable(bytes(line[:80]))}")
        at = line_end + 1
        if line[3:4] != b"-":
            return at
    if len(buffer) - start > LONGEST_REPLY:
        raise GarbageError(-1, "a reply without end")
    return None


def _parse(reply: bytes) -> SMTPResponse:
    lines = reply.decode("utf-8", "replace").rstrip("\r\n").split("\n")
    return SMTPResponse(int(reply[:3]), "\n".join([line[4:].strip() for line in lines]))


def _printable(data: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in data.decode("ascii", "replace").strip())


class PipelinedClient(SMTP):
    """An SMTP client on a socket that is connected already."""

    protocol: PipelinedProtocol | None

    async def _create_connection(self, timeout: float | None) -> SMTPResponse:
        assert isinstance(self.sock, socket.socket)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(PipelinedProtocol, sock=self.sock)
        self.protocol, self.transport = protocol, transport
        protocol._connection_lost_callback = self._on_connection_lost
        try:
            response = await protocol.read_response(timeout)
        except SMTPServerDisconnected as error:
            raise SMTPConnectError(str(error)) from error
        if response.code != 220:
            raise SMTPConnectResponseError(response.code, response.message)
        return response

    def _on_connection_lost(self, protocol: SMTPProtocol) -> None:
        """Closed by whoever uses the session, once the replies that came before have been read."""


class LmtpClient(LmtpGreeting, PipelinedClient):
    """The same for LMTP."""
