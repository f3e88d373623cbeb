"""Asks a tenant's own server about one recipient: MAIL and RCPT without a message, by SMTP or LMTP."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, replace

from aiosmtplib import SMTP
from aiosmtplib.errors import SMTPException, SMTPHeloError, SMTPResponseException, SMTPServerDisconnected

from mailgate.model.address import Address
from mailgate.model.dns import Resolver
from mailgate.model.level import TransportLevel
from mailgate.model.reply import Reply, reply_of
from mailgate.policy.schema import InboundProtocol, InboundRoute
from mailgate.route import addresses
from mailgate.route.mx import host_of, is_socket
from mailgate.settings import Listen
from mailgate.transport.context import client_context, failure_of
from mailgate.transport.ladder import Bounds, Failure, Offer, Step, first_step, next_step
from mailgate.transport.lmtp import LmtpGreeting

STEP_SECONDS = 10.0


NOT_IN_ASCII = Reply(553, "5.1.3", "The server takes no internationalised addresses (SMTPUTF8)")


@dataclass(frozen=True, slots=True)
class Takes:
    """What a server has said that it takes: the largest message in bytes (0: it names none), and the keywords of its
    EHLO in small letters."""

    size: int
    keywords: frozenset[str]


class CalloutError(Exception):
    """The server gave no answer about the recipient; the text says why."""


class _TlsError(Exception):
    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


class Callout:
    """One connection to a tenant's own server."""

    def __init__(self, client: SMTP) -> None:
        self._client = client

    @classmethod
    async def open(cls, route: InboundRoute, resolver: Resolver, hostname: str) -> Callout:
        """As private as the route asks for, or more; `hostname` is our own name. CalloutError where that can't be."""
        listen = route.endpoint
        found = await addresses.find(resolver, host_of(listen.host), True, lambda address: False)
        cause = found.failure or f"{listen.host} has no address"
        for address in found.found:
            try:
                return cls(await _connect(route, listen, address, hostname))
            except (SMTPException, OSError, _TlsError) as error:
                cause = f"{route.server}: {error or type(error).__name__}"
        raise CalloutError(cause)

    @property
    def takes(self) -> Takes:
        """By its latest EHLO."""
        size = self._client.esmtp_extensions.get("size", "")
        return Takes(
            int(size) if size.isascii() and size.isdigit() and len(size) <= 20 else 0,
            frozenset(self._client.esmtp_extensions),
        )

    async def ask(self, recipient: Address) -> Reply:
        """The reply to RCPT; one of ours where the server can't be given such an address. CalloutError where there
        is none."""
        is_utf8 = not recipient.is_ascii
        if is_utf8 and not self._client.supports_extension("smtputf8"):
            return NOT_IN_ASCII
        try:
            await self._begin([b"SMTPUTF8"] if is_utf8 else [])
            answer = await self._client.execute_command(b"RCPT", f"TO:<{recipient}>".encode())
        except (SMTPException, OSError) as error:
            raise CalloutError(str(error) or type(error).__name__) from None
        try:
            await self._client.execute_command(b"RSET")
        except (SMTPException, OSError):
            self.close()
        return reply_of(answer.code, answer.message)

    async def _begin(self, parameters: list[bytes]) -> None:
        """With the null sender, which every server must take (RFC 5321 section 6.1); where one does not, as our
        postmaster: that it refuses bounces says nothing about its recipients."""
        refused: Reply | None = None
        for sender in ("", f"postmaster@{self._client.local_hostname}"):
            mail = await self._client.execute_command(b"MAIL", f"FROM:<{sender}>".encode(), *parameters)
            if mail.code == 250:
                return
            refused = refused or reply_of(mail.code, mail.message)
            if mail.code < 500:
                break
        raise CalloutError(f"{refused} (in reply to MAIL FROM:<>)")

    @property
    def is_usable(self) -> bool:
        return self._client.is_connected

    async def quit(self) -> None:
        with contextlib.suppress(SMTPException, OSError):
            await self._client.quit(timeout=1)
        self.close()

    def close(self) -> None:
        self._client.close()


async def _connect(route: InboundRoute, listen: Listen, address: str, hostname: str) -> SMTP:
    """Down the ladder of TLS steps as far as the route allows; a socket of this machine needs none."""
    bounds = Bounds(route.minimum, route.minimum is TransportLevel.AUTHENTICATED)
    step = Step(Offer.PLAINTEXT) if is_socket(address) else first_step(bounds)
    while True:
        client = _client(route, listen, address, hostname)
        try:
            await client.connect()
            await _hello(client)
            may_stay_plain = route.minimum is TransportLevel.PLAINTEXT and not client.supports_extension("starttls")
            if step.offer is not Offer.PLAINTEXT and not may_stay_plain:
                await _start_tls(client, listen.host, step)
            return client
        except _TlsError as error:
            client.close()
            if error.failure is Failure.CUT and not bounds.bears_cuts:  # once may be the network's fault
                bounds = replace(bounds, bears_cuts=True)
                continue
            following = next_step(step, error.failure, bounds)
            if following is None:
                raise
            step = following
        except BaseException:
            client.close()
            raise


def _client(route: InboundRoute, listen: Listen, address: str, hostname: str) -> SMTP:
    client_of = LmtpGreeting if route.protocol is InboundProtocol.LMTP else SMTP
    if is_socket(address):
        return client_of(socket_path=address, local_hostname=hostname, start_tls=False, timeout=STEP_SECONDS)
    return client_of(hostname=address, port=listen.port, local_hostname=hostname, start_tls=False, timeout=STEP_SECONDS)


async def _start_tls(client: SMTP, name: str, step: Step) -> None:
    if not client.supports_extension("starttls"):
        raise _TlsError(Failure.NOT_OFFERED, "STARTTLS is not offered")
    try:
        await client.starttls(server_hostname=name, tls_context=client_context(step))
    except ssl.SSLError as error:
        failure = failure_of(error)
        raise _TlsError(Failure.CUT if failure is Failure.CONNECTION else failure, str(error)) from None
    except SMTPResponseException as error:
        if error.code == 421:
            raise
        raise _TlsError(Failure.REFUSED, f"STARTTLS: {reply_of(error.code, error.message)}") from None
    except (SMTPException, OSError) as error:
        raise _TlsError(Failure.CUT, str(error) or type(error).__name__) from None
    try:
        await _hello(client)
    except (SMTPServerDisconnected, ConnectionError, ssl.SSLError) as error:
        # in TLS 1.3 we are done before the server is: only now it says that it does not want us (RFC 8446 section 2)
        raise _TlsError(Failure.CUT, str(error) or type(error).__name__) from None


async def _hello(client: SMTP) -> None:
    """EHLO, and HELO for servers that do not know it (RFC 5321 section 3.2)."""
    try:
        await client.ehlo()
    except SMTPHeloError as error:
        if error.code < 500:
            raise
        await client.helo()
