"""What is said before and around mail transactions: greeting, EHLO, STARTTLS, AUTH (RFC 5321, RFC 3207, RFC 4954)."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, ClassVar, cast

from mailgate.edge import client_certificate, handshake, replies, sasl, trace_headers
from mailgate.edge.connection import HANDSHAKE_SECONDS, Command, Connection, SessionEnd
from mailgate.edge.lines import AUTH_LINE_LIMIT, BadLine
from mailgate.edge.turning_away import path_in, printable
from mailgate.model.address import AddressError, read_helo
from mailgate.model.errors import Refusal, UnavailableError
from mailgate.model.reply import Reply
from mailgate.records import log

IN_A_ROW = 8  # pipelined commands; then the other sessions get their turn
_HTTP_VERBS = frozenset({"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI"})
_IDLE_COMMANDS = frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP", "EHLO", "HELO"})
_COUNTED_AS_ERROR = frozenset({500, 501, 502, 503, 504, 530, 555})
_UNREADABLE = Command("")
_logger = log.get(__name__)


class Dialogue(Connection):
    """Commands are served one after the other by `_handle_client`."""

    commands: ClassVar[dict[str, Callable[..., Coroutine[Any, Any, None]]]] = {}

    async def _handle_client(self) -> None:
        try:
            await self._open()
            await self._greet()
            for served in itertools.count(1):
                await self._serve(await self._line())
                if served % IN_A_ROW == 0:
                    await asyncio.sleep(0)
        except SessionEnd as end:
            if end.reply is not None:
                self._cut(end.reply)
        except (ConnectionError, asyncio.CancelledError):
            pass
        except Exception as error:
            await self.handle_exception(error)
            self._cut(replies.LOCAL_ERROR)
        finally:
            self._drop_transaction()
            self._close()
            self._leave()

    async def _open(self) -> None:
        """A proxy names the client that counts, in a header before TLS (PROXY protocol, section 2)."""
        await self._read_proxy()
        self._take_seat()
        if self.listener.is_implicit_tls and self.listener.tls is not None:
            await self._start_tls(self.listener.tls)

    async def handle_exception(self, error: Exception) -> str:
        """The cause is for the log; the peer hears 451."""
        _logger.error("session failed", exc_info=error, listener=self.listener.name)
        return str(replies.LOCAL_ERROR)

    async def _greet(self) -> None:
        if self.edge.is_draining:
            raise SessionEnd(replies.SHUTTING_DOWN)
        await self.say(Reply(220, "", f"{self.edge.hostname} ESMTP mailgate"))

    async def _serve(self, line: bytes | BadLine) -> None:
        self._command = _UNREADABLE
        self._count("commands", self.limits.commands, replies.TOO_MANY_COMMANDS)
        try:
            if isinstance(line, BadLine):
                raise Refusal(replies.LINE_TOO_LONG if line is BadLine.TOO_LONG else replies.BAD_LINE)
            # white space before the line end is to be borne with (RFC 5321 section 4.1.1)
            verb, _, argument = line.rstrip(b" \t").partition(b" ")
            command = verb.decode("ascii", "replace").upper()
            if command in _HTTP_VERBS:
                raise SessionEnd(replies.NOT_SMTP)
            method = self.commands.get(command)
            if method is None:
                raise Refusal(replies.UNKNOWN_COMMAND)
            self._command = Command(command, _given(command, argument))
            if command in _IDLE_COMMANDS:
                self._count("idle", self.limits.idle_commands, replies.TOO_MANY_COMMANDS)
            await self._keep_login()
            await method(self, argument.lstrip(b" "))
        except Refusal as refusal:
            try:
                if refusal.reply.code in _COUNTED_AS_ERROR:
                    self._count("errors", self.limits.errors, replies.TOO_MANY_ERRORS)
                await self.say(refusal.reply)
            finally:
                self._turned_away(refusal.reply)

    def _count(self, what: str, limit: int, reply: Reply) -> None:
        self._counts[what] += 1
        if self._counts[what] > limit:
            raise SessionEnd(reply)

    async def smtp_EHLO(self, argument: bytes) -> None:
        self._hello(argument, is_extended=True)
        lines = [f"{self.edge.hostname} greets {trace_headers.helo_of(self.client)}", "PIPELINING", "8BITMIME"]
        if not self.ends_lines_in_lf:  # its chunks are counted with the line ends that we replace
            lines.append("CHUNKING")
        lines += ["SMTPUTF8", "ENHANCEDSTATUSCODES", f"SIZE {self.edge.size_limit()}"]
        if self.listener.offers_dsn:
            lines.append("DSN")
        if self._may_start_tls():
            lines.append("STARTTLS")
        if self.client.tls_version:
            lines.append("REQUIRETLS")
        if self.listener.offers_auth and self.client.tls_version:
            lines.append("AUTH " + " ".join(sasl.MECHANISMS))
        await self.say(Reply(250, "", "\n".join(lines)))

    async def smtp_HELO(self, argument: bytes) -> None:
        self._hello(argument, is_extended=False)
        await self.say(Reply(250, "", self.edge.hostname))

    def _hello(self, argument: bytes, is_extended: bool) -> None:
        try:
            name = read_helo(argument)
        except AddressError:
            raise Refusal(replies.BAD_HELO) from None
        self._drop_transaction()
        self.session.host_name = name
        self.session.extended_smtp = is_extended
        self.client = replace(self.client, helo=name, esmtp=is_extended)

    def _may_start_tls(self) -> bool:
        return self.listener.tls is not None and not self.client.tls_version

    async def smtp_STARTTLS(self, argument: bytes) -> None:
        """RFC 3207: state is forgotten; plaintext that was sent ahead ends the session."""
        if argument:
            raise Refusal(replies.NO_PARAMETERS)
        if self.client.tls_version:
            raise Refusal(replies.TLS_ALREADY)
        if not self.session.host_name:
            raise Refusal(replies.HELO_FIRST)
        context = self.listener.tls
        if context is None:
            raise Refusal(replies.TLS_UNAVAILABLE)
        if len(self._lines):
            raise SessionEnd(replies.BAD_SEQUENCE)
        self.ends_lines_in_lf = False  # a handshake has no lines
        await self.say(replies.READY_FOR_TLS)
        if len(self._lines):  # came while the reply waited for its way out
            raise SessionEnd
        self._drop_transaction()
        await self._start_tls(context)
        self.session = self._create_session()
        self.session.peer = (self.client.address, self.client.port)
        assert self.transport is not None
        self.session.ssl = self.transport.get_extra_info("ssl_object")
        self.certificate = client_certificate.shown(self.session.ssl)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        """What has come already, or comes before TLS has the transport, is the beginning of the handshake."""
        assert self.transport is not None
        self._command = Command("handshake")
        begun = self.loop.start_tls(
            self.transport, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        try:
            with self._handshaking(), handshake.alerting(self.transport):
                shaking = self.loop.create_task(begun)
                await asyncio.sleep(0)  # now TLS has the transport, and will be told so before what we call soon
                early = self._lines.take_all()
                self._know_line_ends()
                if early:
                    self.loop.call_soon(_hand_over, self.transport, early)
                transport = await shaking
        except (OSError, TimeoutError) as error:
            self._turned_away(None, f"the TLS handshake failed: {handshake.words_of(error)}")
            raise SessionEnd from error
        if transport is None:
            self._turned_away(None, "the TLS handshake failed: the client went away")
            raise SessionEnd
        self.transport = transport
        self.client = self._client_at(self.client.address, self.client.port)

    async def smtp_AUTH(self, argument: bytes) -> None:
        """RFC 4954. Every failure gets the same reply; the store takes care of equal time and back-off."""
        if not self.session.extended_smtp:
            raise Refusal(replies.HELO_FIRST)
        if not self.listener.offers_auth:
            raise Refusal(replies.NOT_IMPLEMENTED)
        if not self.client.tls_version:
            raise Refusal(replies.AUTH_NEEDS_TLS)
        if self.client.account:
            raise Refusal(replies.AUTH_ALREADY)
        if self.tx is not None:
            raise Refusal(replies.BAD_SEQUENCE)
        words = argument.split(b" ")
        if len(words) > 2 or not words[0]:
            raise Refusal(replies.SYNTAX)
        initial = words[1] if len(words) == 2 else None
        match words[0].upper():
            case b"PLAIN":
                given = sasl.plain(sasl.decode(await self._challenge("") if initial is None else initial))
            case b"LOGIN":
                login = sasl.decode(await self._challenge(sasl.USERNAME_CHALLENGE) if initial is None else initial)
                given = sasl.credentials(login, sasl.decode(await self._challenge(sasl.PASSWORD_CHALLENGE)))
            case _:
                raise Refusal(replies.AUTH_MECHANISM)
        await self._log_in(given)

    async def _challenge(self, text: str) -> bytes:
        await self.say(Reply(334, "", text))
        line = await self._line(AUTH_LINE_LIMIT)
        if isinstance(line, BadLine):
            raise Refusal(replies.AUTH_LINE_TOO_LONG if line is BadLine.TOO_LONG else replies.BAD_LINE)
        return line

    async def _keep_login(self) -> None:
        """Where something changed since: does the login still hold? While the store is away nothing can be kept, so it
        is asked for once the store is back."""
        seen = self.edge.store.generation
        if not self.client.account or self.login_seen == seen:
            return
        try:
            answer = await self.edge.store.renew(self.client.account, self.ticket)
        except UnavailableError:
            return
        if not answer.ok:
            _logger.info("login ended", client=self.client.address)
            raise SessionEnd(replies.LOGIN_ENDED)
        self.login_seen, self.send_as = seen, answer.send_as

    async def _log_in(self, given: sasl.Credentials) -> None:
        seen = self.edge.store.generation
        try:
            answer = await self.edge.store.authenticate(given.login, given.password, self.client.address)
        except UnavailableError:
            raise Refusal(replies.AUTH_UNAVAILABLE) from None
        if not answer.ok:
            await self.say(replies.AUTH_FAILED)
            self._turned_away(replies.AUTH_FAILED)
            self._count("auth", self.limits.auth_failures - 1, replies.AUTH_TOO_MANY)
            return
        if self._seat is not None and not self.edge.connections.log_in(self._seat, answer.tenant, self.limits):
            raise SessionEnd(replies.TOO_MANY_CONNECTIONS)
        self.session.authenticated = True
        self.tenant, self.send_as = answer.tenant, answer.send_as
        self.ticket, self.login_seen = answer.ticket, seen
        self.client = replace(self.client, account=answer.account)
        await self.say(replies.AUTH_OK)

    async def smtp_NOOP(self, argument: bytes) -> None:
        await self.say(replies.OK)

    async def smtp_RSET(self, argument: bytes) -> None:
        if argument:
            raise Refusal(replies.NO_PARAMETERS)
        self._drop_transaction()
        await self.say(replies.OK)

    async def smtp_VRFY(self, argument: bytes) -> None:
        """The same for everybody: who exists is nobody's business (RFC 5321 section 7.3)."""
        if not argument:
            raise Refusal(replies.SYNTAX)
        await self.say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, argument: bytes) -> None:  # type: ignore[override]
        raise Refusal(replies.NOT_IMPLEMENTED)

    async def smtp_HELP(self, argument: bytes) -> None:
        await self.say(replies.HELP)

    async def smtp_QUIT(self, argument: bytes) -> None:
        if argument:
            raise Refusal(replies.NO_PARAMETERS)
        raise SessionEnd(replies.BYE)


def _given(command: str, argument: bytes) -> str:
    """The path, or the name of the client; nothing of other commands: a password may stand there."""
    if command in ("MAIL", "RCPT"):
        return path_in(argument)
    return printable(argument) if command in ("EHLO", "HELO") else ""


def _hand_over(transport: asyncio.Transport, data: bytes) -> None:
    """As if it had just been received."""
    protocol = cast(asyncio.BufferedProtocol, transport.get_protocol())
    while data and not transport.is_closing():
        room = memoryview(protocol.get_buffer(len(data)))
        size = min(len(room), len(data))
        room[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
