"""HTTPS as MTA-STS and TLS reports need it: one request to one address that our own resolver found, a verified
certificate, no redirects, an answer of bounded size within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass


class HttpsError(Exception):
    """No answer that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class HttpsAnswer:
    """`content_type` without parameters, in lower case; `body` at most as long as was asked for."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpsRequest:
    """`addresses` of `host` are tried in their order. `limit`: bytes of the body; `seconds`: for all of it."""

    host: str
    addresses: Sequence[str]
    path: str
    limit: int
    seconds: float
    port: int = 443
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] | None = None

    @property
    def is_for_body(self) -> bool:
        """Of the answer to what is handed in the status alone counts."""
        return self.method == "GET"


Fetch = Callable[[HttpsRequest], Awaitable[HttpsAnswer]]


async def ask(request: HttpsRequest, context: ssl.SSLContext) -> HttpsAnswer:
    """Raises HttpsError. Runs in a thread: it is rare, and the client of the standard library is blocking."""
    opened: list[socket.socket] = []
    try:
        async with asyncio.timeout(request.seconds):
            return await asyncio.to_thread(_ask, request, context, opened)
    except TimeoutError:
        raise HttpsError(f"https://{request.host}{request.path}: no answer within {request.seconds:.0f} s") from None
    finally:
        # ends the thread too, where time was up
        for sock in opened:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _ask(request: HttpsRequest, context: ssl.SSLContext, opened: list[socket.socket]) -> HttpsAnswer:
    url = f"https://{request.host}{request.path}"
    connection = http.client.HTTPSConnection(request.host, request.port, context=context)
    try:
        raw = _connect(request)
        opened.append(raw)
        # an end that TLS does not confirm may be an attacker's, who cuts off what is not to be read
        if request.is_for_body:
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which Debian's Python sets
        connection.sock = context.wrap_socket(
            raw, server_hostname=request.host, suppress_ragged_eofs=not request.is_for_body
        )
        opened.append(connection.sock)
        connection.request(request.method, request.path, request.body, dict(request.headers or {}))
        response = connection.getresponse()
        body = response.read(request.limit + 1)
        if request.is_for_body and response.length and len(body) <= request.limit:
            raise HttpsError(f"{url}: the answer ends {response.length} bytes too early")
    except ssl.SSLCertVerificationError as error:
        raise HttpsError(f"{url}: certificate: {error.verify_message}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise HttpsError(f"{url}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if len(body) > request.limit:
        raise HttpsError(f"{url}: the answer is longer than {request.limit} bytes")
    content_type = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    return HttpsAnswer(response.status, content_type, body)


def _connect(request: HttpsRequest) -> socket.socket:
    last: OSError = OSError("no address")
    for address in request.addresses:
        try:
            return socket.create_connection((address, request.port), timeout=request.seconds)
        except OSError as error:
            last = error
    raise last
