"""The web server of MTA-STS policy files (RFC 8461 section 3.3), and of nothing else.

One GET or HEAD a connection, its header of bounded size within a bounded time; bodies are not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailgate.ipc.calls import Resolved
from mailgate.model.address import Address, AddressError, parse_domain
from mailgate.model.errors import UnavailableError
from mailgate.policy.snapshot import Snapshot
from mailgate.transport.published import sts_policy

REQUEST_LIMIT = 8 << 10  # bytes of the request line and header
REQUEST_SECONDS = 10.0
MOST_CONNECTIONS = 200
PATH = "/.well-known/mta-sts.txt"

_REQUEST = re.compile(rb"(GET|HEAD|[A-Z]{3,16}) (?:https?://[^/ ]+)?(/[!-~]*) HTTP/1\.[01]\r\n")
_HOST = re.compile(rb"\r\nHost:[ \t]*([A-Za-z0-9.-]{1,255})(?::[0-9]{1,5})?[ \t]*(?=\r\n)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    status: str
    text: str

    def encode(self, with_body: bool) -> bytes:
        body = self.text.encode()
        fields = ["Content-Type: text/plain", f"Content-Length: {len(body)}", "Connection: close"]
        head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {self.status}", *fields))
        return head.encode() + b"\r\n" + (body if with_body else b"")


BAD_REQUEST = Page("400 Bad Request", "Not an HTTP request\r\n")
NOT_FOUND = Page("404 Not Found", "No such page\r\n")
NOT_ALLOWED = Page("405 Method Not Allowed", "GET or HEAD\r\n")
AWAY = Page("503 Service Unavailable", "Try again later\r\n")


class StsSite:
    """`hostname` is our name as an MX, `resolve` asks the store whose an address is."""

    def __init__(
        self, hostname: str, policy: Callable[[], Snapshot], resolve: Callable[[Address], Awaitable[Resolved]]
    ) -> None:
        self._hostname = hostname
        self._policy = policy
        self._resolve = resolve
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, whatever comes."""
        self._open += 1
        try:
            if self._open <= MOST_CONNECTIONS:
                async with asyncio.timeout(REQUEST_SECONDS):
                    writer.write(await self._answer(reader))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= 1
            with contextlib.suppress(OSError):
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return BAD_REQUEST.encode(with_body=True)
        request, hosts = _REQUEST.match(head), _HOST.findall(head)
        if request is None or len(hosts) != 1:
            return BAD_REQUEST.encode(with_body=True)
        method, path = request[1], request[2].decode()
        if method not in (b"GET", b"HEAD"):
            return NOT_ALLOWED.encode(with_body=True)
        page = await self.page(hosts[0].decode(), path)
        return page.encode(with_body=method == b"GET")

    async def page(self, host: str, path: str) -> Page:
        """The policy of a domain that is hosted here; 404 for everything else."""
        label, _, name = host.lower().partition(".")
        if path != PATH or label != "mta-sts":
            return NOT_FOUND
        try:
            found = await self._resolve(Address("", parse_domain(name)))
        except AddressError:
            return NOT_FOUND
        except UnavailableError:
            return AWAY
        if found.kind == "unavailable":
            return AWAY
        wanted = self._policy().for_tenant(found.tenant).mta_sts
        if found.kind == "foreign" or wanted.mode == "off":
            return NOT_FOUND
        return Page("200 OK", sts_policy(wanted.mx or (self._hostname,), wanted.mode, wanted.max_age))
