"""One question to a resolver: by UDP, and again by TCP where the answer was cut (RFC 1035 section 4.2, RFC 7766)."""

from __future__ import annotations

import asyncio

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from dns.message import QueryMessage

from mailgate.route import answer
from mailgate.route.answer import FormatError, Response

_MAY_LACK_QUESTION = (dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED)


async def ask(question: QueryMessage, host: str, port: int, seconds: float) -> Response:
    """Raises TimeoutError after `seconds`, FormatError, OSError or EOFError."""
    async with asyncio.timeout(seconds):
        response = await _by_udp(question, host, port)
        return await _by_tcp(question, host, port) if response.is_truncated else response


class _Datagrams(asyncio.DatagramProtocol):
    """The first ones that come; more are thrown away."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue(8)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.arrived.full():
            self.arrived.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        if not self.arrived.full():
            self.arrived.put_nowait(exc)


async def _by_udp(question: QueryMessage, host: str, port: int) -> Response:
    """On a socket of its own, so that the port is another each time; what is not the answer is passed over."""
    loop = asyncio.get_running_loop()
    transport, datagrams = await loop.create_datagram_endpoint(_Datagrams, remote_addr=(host, port))
    try:
        transport.sendto(question.to_wire())
        while True:
            found = await datagrams.arrived.get()
            if isinstance(found, Exception):
                raise found
            if found[:2] != question.id.to_bytes(2, "big"):
                continue
            try:
                response = answer.read(found)
            except FormatError:
                continue
            if _answers(response, question):
                return response
    finally:
        transport.close()


async def _by_tcp(question: QueryMessage, host: str, port: int) -> Response:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        wire = question.to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        length = int.from_bytes(await reader.readexactly(2), "big")
        response = answer.read(await reader.readexactly(length))
    finally:
        writer.close()
    if not _answers(response, question):
        raise FormatError("an answer to another question")
    return response


def _answers(response: Response, question: QueryMessage) -> bool:
    asked = question.question[0]
    if response.number != question.id or not response.is_response:
        return False
    if response.question is None:
        return response.code in _MAY_LACK_QUESTION
    return response.question == (name_text(asked.name), int(asked.rdtype))


def name_text(name: dns.name.Name) -> str:
    """As `answer` writes names: in lower case, without final dot."""
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()
