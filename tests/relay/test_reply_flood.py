"""A next hop that says more than it was asked: it is noticed at once, cut off, and fills nobody's memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from aiosmtplib.errors import SMTPException

from mailgate.relay.pipeline import LONGEST_REPLY, MOST_WAITING, GarbageError, PipelinedClient, PipelinedProtocol

_BLOCK = b"250 a\r\n" * 9000
_HUGE = 64 << 20  # bytes that a hop would send if nobody stopped it

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _connected(serve: Serve) -> tuple[asyncio.Server, PipelinedClient, PipelinedProtocol]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sock = socket.create_connection(server.sockets[0].getsockname())
    sock.setblocking(False)
    client = PipelinedClient(sock=sock, start_tls=False)
    await client.connect()
    assert client.protocol is not None
    return server, client, client.protocol


def _flooding(sent: list[int], block: bytes = _BLOCK) -> Serve:
    """Answers the greeting and DATA, and then sends `block` again and again, and reads nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hop\r\n")
        await reader.readline()
        writer.write(b"354 go on\r\n")
        try:
            while sum(sent) < _HUGE:
                writer.write(block)
                await writer.drain()
                sent.append(len(block))
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    return serve


async def _send_a_message(protocol: PipelinedProtocol) -> None:
    """As the session does: DATA, then a message that nobody reads."""
    protocol.expect(1)
    protocol.write(b"DATA\r\n")
    assert (await protocol.read_response(10)).code == 354
    protocol.expect(1)
    for _ in range(400):
        protocol.write(b"y" * 65_536)
        async with asyncio.timeout(20):
            await protocol.drain()
    await protocol.read_response(20)
    await protocol.read_response(20)
    await protocol.read_response(20)


def test_more_replies_than_commands_end_the_connection() -> None:
    sent: list[int] = []

    async def run() -> None:
        server, client, protocol = await _connected(_flooding(sent))
        with pytest.raises((SMTPException, OSError)):
            await _send_a_message(protocol)
        assert isinstance(protocol._end, GarbageError) and not protocol.is_connected
        assert len(protocol._replies) <= 2 and not protocol._buffer
        client.close()
        server.close()

    asyncio.run(run())
    assert sum(sent) < _HUGE


def test_replies_that_nobody_reads_stop_the_reading() -> None:
    """Long ones, as many as there are commands: they are all kept, but not before they are wanted."""
    line = b"250-" + b"x" * 1000 + b"\r\n"
    reply = line * 20 + b"250 end\r\n"
    sent: list[int] = []

    async def run() -> None:
        server, client, protocol = await _connected(_flooding(sent, reply))
        protocol.expect(1000)
        protocol.write(b"DATA\r\n" * 1000)
        assert (await protocol.read_response(10)).code == 354
        while protocol._is_listening:
            await asyncio.sleep(0)
        held = sum(len(each.message) for each in protocol._replies)
        assert MOST_WAITING / 2 < held < MOST_WAITING + (1 << 20)
        for _ in range(200):
            assert (await protocol.read_response(10)).code == 250
        client.close()
        server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "block", [b"250-a\r\n" * 1000, b"2" * 4096, b"250-" + b"x" * 4092, b"\r\n" * 1000, b"\0" * 4096]
)
def test_a_reply_without_end_ends_the_connection(block: bytes) -> None:
    sent: list[int] = []

    async def run() -> None:
        server, client, protocol = await _connected(_flooding(sent, block))
        with pytest.raises((SMTPException, OSError)):
            await _send_a_message(protocol)
        assert isinstance(protocol._end, GarbageError)
        assert len(protocol._buffer) <= LONGEST_REPLY
        client.close()
        server.close()

    asyncio.run(run())


def test_one_word_unasked_is_kept() -> None:
    """421 before the connection ends, whenever it comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hop\r\n")
        await reader.readline()
        writer.write(b"250 ok\r\n421 too slow\r\n")
        writer.close()

    async def run() -> None:
        server, client, protocol = await _connected(serve)
        protocol.expect(1)
        protocol.write(b"NOOP\r\n")
        assert [(await protocol.read_response(10)).code for _ in range(2)] == [250, 421]
        client.close()
        server.close()

    asyncio.run(run())
