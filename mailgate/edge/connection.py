"""One connection, on aiosmtpd's SMTP class: bytes in and out, lines, message bytes, time. What is said is above it.

Of the library we keep the frame: the class, its session object, `smtp_*` methods by command, the
PROXY parser. Its reading of lines and of DATA, its limits and its address parser are replaced (docs/architecture.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from aiosmtpd.proxy_protocol import get_proxy
from aiosmtpd.smtp import SMTP

from mailgate.edge import reasons, replies
from mailgate.edge.client_certificate import ClientCertificate
from mailgate.edge.connections import Seat
from mailgate.edge.data import ByteCheck, Pace, Receiver, with_crlf
from mailgate.edge.guesses import ConnectionGuesses
from mailgate.edge.limits import SessionLimits, neighbourhood_of, network_of
from mailgate.edge.lines import COMMAND_LINE_LIMIT, BadLine, LineBuffer
from mailgate.edge.listener import Edge, Listener
from mailgate.edge.shedding import Reason
from mailgate.edge.transaction import Transaction
from mailgate.edge.turning_away import MOST_PATHS, printable
from mailgate.model.envelope import Client, TenantName
from mailgate.model.reply import Reply
from mailgate.model.turned_away import TurnedAway
from mailgate.records import metrics

READ_AHEAD = 64 << 10  # bytes of pipelined commands that are held before reading pauses
WATCH_SECONDS = 5.0
PROXY_SECONDS = 10.0
HANDSHAKE_SECONDS = 30.0
CLOSE_SECONDS = 5.0  # for the last reply to be read; then the connection is cut
_NO_REFUSALS = frozenset({replies.SHUTTING_DOWN, replies.IDLE})  # where no message was under way
DRAIN_PATIENCE = 10.0  # while shutting down, that a client may keep its transaction waiting


class SessionEnd(Exception):
    """The session is over; `reply` is said first where there is one."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Command:
    """What the client asks for now: a verb, or a phase of the connection, and the path or the name that it gives."""

    verb: str
    given: str = ""


_CONNECT = Command("connect")


class Connection(SMTP):
    """Message bytes go straight from `data_received` to a Receiver, everything else to the line buffer."""

    def __init__(self, edge: Edge, listener: Listener) -> None:
        # Not the library's __init__: it inspects every member of the class for each connection.
        loop = asyncio.get_running_loop()
        self.loop = loop
        self.edge = edge
        self.listener = listener
        self.limits: SessionLimits = edge.limits()
        self.transport: asyncio.Transport | None = None
        self.session: Any = None
        self.client = Client("")
        self.tenant = TenantName("")
        self.send_as: tuple[str, ...] = ()
        self.ticket = ""
        self.login_seen = 0  # the store client's generation when the login was last known to hold
        self.certificate: ClientCertificate | None = None
        self.tx: Transaction | None = None
        self._lines = LineBuffer()
        self._receiver: Receiver | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._is_paused_reading = False
        self._is_eof = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._chunks: ByteCheck | None = None
        self._seat: Seat | None = None
        self._is_gone = False
        self._waits_since: float | None = None  # in a handshake, or while the client does not read
        self.ends_lines_in_lf = False
        self._is_behind_cr = False
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._started = self._active = loop.time()
        self._guesses = ConnectionGuesses()
        self._is_sitting_out = False
        self._pace: Pace | None = None  # while a message arrives
        self._proxy_reader: asyncio.StreamReader | None = None
        self._command = _CONNECT
        self._counts = {"errors": 0, "idle": 0, "messages": 0, "auth": 0, "commands": 0}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.session = self._create_session()
        peer = transport.get_extra_info("peername")
        address, port = (peer[0], peer[1]) if peer else ("", 0)
        self.client = self._client_at(address, port)
        metrics.CONNECTIONS.labels(self.listener.name).inc()
        metrics.OPEN_CONNECTIONS.labels(self.listener.name).inc()
        self.edge.sessions.add(self)
        if self.listener.is_proxied(address):
            self._proxy_reader = asyncio.StreamReader(loop=self.loop)
        else:
            self._know_line_ends()
        self._watch = self.loop.call_later(WATCH_SECONDS, self._look)
        self._task = self.loop.create_task(self._handle_client())

    def _client_at(self, address: str, port: int) -> Client:
        tls = self.transport.get_extra_info("ssl_object") if self.transport else None
        version, cipher = (tls.version() or "", (tls.cipher() or ("",))[0]) if tls else ("", "")
        return Client(address, port, tls_version=version, tls_cipher=cipher)

    def data_received(self, data: bytes) -> None:
        self._active = self.loop.time()
        if self._proxy_reader is not None:
            self._proxy_reader.feed_data(data)
            return
        if self.ends_lines_in_lf:
            data, self._is_behind_cr = with_crlf(data, self._is_behind_cr), data.endswith(b"\r")
        if self._receiver is not None:
            rest = self._receiver.feed(data)
            if rest is None:
                return
            self._receiver = None
            data = rest
        self._lines.feed(data)
        if len(self._lines) > READ_AHEAD and not self._is_paused_reading and self.transport is not None:
            self._is_paused_reading = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._is_eof = True
        if self.tx is not None:
            self.tx.presence.leave()
        if self._proxy_reader is not None:
            self._proxy_reader.feed_eof()
        self._wake()
        return not self.client.tls_version  # a half-closed plain connection may still hear the reply

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof_received()
        self.resume_writing()
        self.transport = None
        self._leave()

    def _leave(self) -> None:
        """Once, however the connection ended: of one lost in the handshake nobody calls connection_lost."""
        if self._is_gone:
            return
        self._is_gone = True
        self.edge.sessions.discard(self)
        metrics.OPEN_CONNECTIONS.labels(self.listener.name).dec()
        if self._watch is not None:
            self._watch.cancel()
        if self._seat is not None:
            self.edge.connections.leave(self._seat)

    def pause_writing(self) -> None:
        self._waits_since = self.loop.time()
        self._writable.clear()

    def resume_writing(self) -> None:
        self._waits_since = None
        self._writable.set()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _waited(self, now: float) -> float:
        """For how many seconds we have waited for the client. A message that trickles in counts from its start."""
        if self._waits_since is not None:
            return now - self._waits_since
        if self._arrived is None and not self._is_sitting_out:
            return 0.0
        is_slow = self._pace is not None and self._is_slow(self._pace, now)
        return self._pace.waited(now) if self._pace is not None and is_slow else now - self._active

    def _waits_for_a_stranger(self) -> float:
        address = self.client.address
        if self.client.account or (address and self.edge.around.policy().senders_at(address)):
            return 0.0
        return self._waited(self.loop.time())

    def _is_slow(self, pace: Pace, now: float) -> bool:
        return pace.is_slow(now, self._received, self.limits.data_bytes_per_second)

    @property
    def _received(self) -> int:
        """Bytes of the message under way, be they kept or thrown away."""
        if self.tx is not None:
            return self.tx.staging.size
        return self._receiver.received if self._receiver is not None else 0

    def _look(self) -> None:
        """Every few seconds: idle, slow and endless sessions are ended, and those that do not read."""
        now = self.loop.time()
        self._watch = self.loop.call_later(WATCH_SECONDS, self._look)
        if self._pace is not None and self._arrived is not None:
            self._pace.mark(now, self._received)
            if self._is_slow(self._pace, now):
                self.edge.shedding.tell(Reason.SLOW_DATA, self._network)
                self._cut(replies.TOO_SLOW)
        waited = self._waited(now)
        is_not_reading = self._waits_since is not None
        if waited > self.limits.idle_seconds:
            if is_not_reading:
                self.edge.shedding.tell(Reason.NOT_READING, self._network)
            self._cut(replies.IDLE)
        elif now - self._started > self.limits.session_seconds and (self._arrived is not None or is_not_reading):
            self._cut(replies.SESSION_TOO_LONG)
        elif self.edge.is_draining and waited > DRAIN_PATIENCE:
            self._cut(replies.SHUTTING_DOWN)

    @property
    def _network(self) -> str:
        return neighbourhood_of(self.client.address)

    def _cut(self, reply: Reply) -> None:
        """A client that does not read hears nothing any more, nor does one in a handshake."""
        if reply.code >= 400 and (self.tx is not None or reply not in _NO_REFUSALS) and not self._is_gone:
            self._turned_away(reply)
        if self.transport is not None and not self.transport.is_closing() and self._waits_since is None:
            self.transport.write(bytes(reply))
        self._close()

    def _close(self) -> None:
        if self.transport is None:
            return
        if self._waits_since is not None:
            self.transport.abort()
        elif not self.transport.is_closing():
            if self.client.tls_version or self.transport.get_write_buffer_size():
                self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
            self.transport.close()

    def drain_out(self) -> None:
        """Shutting down: an idle session ends now, one with a transaction after it."""
        if self.tx is None and (self._arrived is not None or self._waits_since is not None):
            self._cut(replies.SHUTTING_DOWN)

    def _make_room(self) -> None:
        """Others need the seat more."""
        self._cut(replies.MADE_ROOM)

    def _turned_away(self, reply: Reply | None, reason: str = "", of: Transaction | None = None) -> None:
        """For who asks later why the client was refused what it asked for. `reply` None: it heard nothing. `of`: a
        message at its end, which has a timeline and its line in the log."""
        verb, given, tx = self._command.verb, self._command.given, of or self.tx
        if tx is not None:
            sender = printable(tx.reverse_path) or "<>"
        else:
            sender = given if verb == "MAIL" else ""
        recipients: tuple[str, ...] = (given,) if verb == "RCPT" else ()
        if tx is not None and verb in ("DATA", "BDAT"):
            recipients = tuple(recipient.forward_path for _, recipient in tx.recipients[:MOST_PATHS])
        self.edge.turning_away.tell(
            TurnedAway(
                at=time.time(),
                listener=self.listener.name,
                client=self.client.address,
                network=self._network,
                helo=given if verb in ("EHLO", "HELO") else printable(self.client.helo),
                tls=self.client.tls_version,
                command=verb,
                sender=sender,
                recipients=recipients,
                reply="" if reply is None else str(reply),
                reason=reason or ("" if reply is None else reasons.reason_of(reply)),
                queue_id=of.queue_id if of is not None and not of.release_local else "",
            ),
            has_line=of is not None and not of.release_local,
        )

    async def say(self, reply: Reply) -> None:
        if reply.code >= 400:
            metrics.REPLIES.labels(self.listener.name, str(reply.code)).inc()
        if self.transport is None or self.transport.is_closing():
            raise SessionEnd
        self.transport.write(bytes(reply))
        await self._writable.wait()

    async def _line(self, limit: int = COMMAND_LINE_LIMIT) -> bytes | BadLine:
        """The next line; SessionEnd where the client is gone."""
        while True:
            line = self._lines.take(limit)
            if line is not None:
                return line
            if self._is_eof or self.transport is None:
                raise SessionEnd
            await self._more()

    async def _more(self) -> None:
        if self._is_paused_reading and self.transport is not None:
            self._is_paused_reading = False
            self.transport.resume_reading()
        self._arrived = self.loop.create_future()
        try:
            await self._arrived
        finally:
            self._arrived = None

    async def _receive(self, receiver: Receiver) -> None:
        """Feeds what is buffered, then what arrives, until the receiver has its end; SessionEnd if the client goes."""
        if self._pace is None:  # the chunks of BDAT are one message
            self._pace = Pace(self.loop.time())
        rest = receiver.feed(self._lines.take_all())
        if rest is not None:
            self._lines.feed(rest)
            return
        self._receiver = receiver
        while self._receiver is not None:
            if self._is_eof or self.transport is None:
                raise SessionEnd
            await self._more()

    async def _read_proxy(self) -> None:
        """The PROXY header of a listed peer (v1 and v2); without a valid one the session ends."""
        if self._proxy_reader is not None:
            try:
                async with asyncio.timeout(PROXY_SECONDS):
                    proxied = await get_proxy(self._proxy_reader)
            except TimeoutError:
                self._turned_away(None, "no PROXY header came in time")
                raise SessionEnd from None
            reader, self._proxy_reader = self._proxy_reader, None
            if not proxied.valid:
                self._turned_away(None, "what came is no PROXY header")
                raise SessionEnd
            reader.feed_eof()
            if proxied.src_addr is not None:
                self.client = self._client_at(str(proxied.src_addr), int(proxied.src_port or 0))
            self._know_line_ends()
            self.data_received(await reader.read())

    def _know_line_ends(self) -> None:
        """Submission begins with bytes of TLS, and programs that log in know what a line is."""
        policy = self.edge.around.policy()
        self.ends_lines_in_lf = not self.listener.offers_auth and policy.ends_lines_in_lf(self.client.address)

    def _take_seat(self) -> None:
        address = self.client.address
        is_submission = self.listener.offers_auth
        seat = Seat(
            is_submission, network_of(address), neighbourhood_of(address), self._waits_for_a_stranger, self._make_room
        )
        if not self.edge.connections.enter(seat, self.limits):
            if self.listener.is_implicit_tls:
                self._turned_away(None, reasons.reason_of(replies.TOO_MANY_CONNECTIONS))
                raise SessionEnd
            raise SessionEnd(replies.TOO_MANY_CONNECTIONS)
        self._seat = seat

    async def _sit_out(self, seconds: float) -> None:
        """The reply waits, and the client can be made to give its seat to others meanwhile."""
        if seconds:
            self._is_sitting_out = True
            await asyncio.sleep(seconds)
            self._is_sitting_out = False

    @contextlib.contextmanager
    def _handshaking(self) -> Iterator[None]:
        self._waits_since = self.loop.time()
        try:
            yield
        finally:
            self._waits_since = None

    def _drop_transaction(self) -> None:
        if self.tx is not None:
            self.tx.close()
            self.tx = None
        self._chunks = self._pace = None


async def close_all(sessions: set[Connection], seconds: float) -> None:
    """Waits until running transactions are done, `seconds` at most; what is left then is cut."""
    for session in list(sessions):
        session.drain_out()
    tasks = [session._task for session in sessions if session._task is not None]
    if tasks:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait(tasks, timeout=seconds)
    for session in list(sessions):
        if session.transport is not None:
            session.transport.abort()
