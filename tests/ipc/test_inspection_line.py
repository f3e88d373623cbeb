"""The line to an inspector: answers however they are cut, inspectors that go away."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from mailgate.ipc.inspect_calls import Inspect, InspectFailed, InspectLimits
from mailgate.ipc.inspection import Line

REQUEST = Inspect(5, b"hello", InspectLimits())
ANSWER = msgspec.msgpack.encode(InspectFailed("x" * 100_000))


def play(part: Callable[[Path, socket.socket], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "i"
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)

        async def run() -> None:
            async with asyncio.timeout(20):
                await part(path, listener)

        asyncio.run(run())


async def read_request(peer: socket.socket) -> Inspect:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < 4 or len(data) < 4 + struct.unpack_from("!I", data)[0]:
        data += await loop.sock_recv(peer, 65536)
    return msgspec.msgpack.decode(data[4:], type=Inspect)


@pytest.mark.parametrize("cut", [1 << 20, 4096, 3])
def test_an_answer_may_come_in_pieces(cut: int) -> None:
    async def part(path: Path, listener: socket.socket) -> None:
        line, loop = Line(path), asyncio.get_running_loop()
        for _ in range(2):
            asking = asyncio.create_task(line.ask(REQUEST, None))
            if not _:
                peer, _address = await loop.sock_accept(listener)
            assert await read_request(peer) == REQUEST
            data = struct.pack("!I", len(ANSWER)) + ANSWER
            for start in range(0, min(len(data), 30 * cut), cut):
                await loop.sock_sendall(peer, data[start : start + cut])
                await asyncio.sleep(0)
            await loop.sock_sendall(peer, data[30 * cut :])
            answer = await asking
            assert isinstance(answer, InspectFailed)
            assert len(answer.text) == 100_000
        line.close()
        peer.close()

    play(part)


def test_a_descriptor_goes_with_the_request() -> None:
    async def part(path: Path, listener: socket.socket) -> None:
        line, loop = Line(path), asyncio.get_running_loop()
        reader, writer = os.pipe()
        asking = asyncio.create_task(line.ask(REQUEST, writer))
        peer, _ = await loop.sock_accept(listener)
        arrived = asyncio.Event()
        loop.add_reader(peer, arrived.set)
        await arrived.wait()
        loop.remove_reader(peer)
        _, (received,), *_rest = socket.recv_fds(peer, 65536, 1)
        os.write(received, b"!")
        assert os.read(reader, 1) == b"!"
        await loop.sock_recv(peer, 65536)
        peer.close()
        with pytest.raises(EOFError):
            await asking

    play(part)


def test_an_inspector_that_goes_away_fails_the_message_it_had() -> None:
    async def part(path: Path, listener: socket.socket) -> None:
        line, loop = Line(path), asyncio.get_running_loop()
        asking = asyncio.create_task(line.ask(REQUEST, None))
        peer, _ = await loop.sock_accept(listener)
        await read_request(peer)
        peer.close()
        with pytest.raises(EOFError):
            await asking

    play(part)


def test_one_that_was_restarted_in_between_gets_the_next_message() -> None:
    async def part(path: Path, listener: socket.socket) -> None:
        line, loop = Line(path), asyncio.get_running_loop()
        for _ in range(3):
            asking = asyncio.create_task(line.ask(REQUEST, None))
            peer, _address = await loop.sock_accept(listener)
            await read_request(peer)
            await loop.sock_sendall(peer, struct.pack("!I", len(ANSWER)) + ANSWER)
            assert isinstance(await asking, InspectFailed)
            peer.close()

    play(part)


def test_one_that_ends_before_it_has_read_a_message_hands_it_to_the_next() -> None:
    """The message did not end it: it is asked again, and nobody hears of it."""

    async def part(path: Path, listener: socket.socket) -> None:
        line, loop = Line(path), asyncio.get_running_loop()
        asking = asyncio.create_task(line.ask(REQUEST, None))
        peer, _ = await loop.sock_accept(listener)
        arrived = asyncio.Event()
        loop.add_reader(peer, arrived.set)
        await arrived.wait()
        loop.remove_reader(peer)
        peer.close()
        peer, _ = await loop.sock_accept(listener)
        assert await read_request(peer) == REQUEST
        await loop.sock_sendall(peer, struct.pack("!I", len(ANSWER)) + ANSWER)
        assert isinstance(await asking, InspectFailed)
        peer.close()
        line.close()

    play(part)


def test_nobody_listens() -> None:
    async def part(path: Path, listener: socket.socket) -> None:
        with pytest.raises(OSError):
            await Line(path.with_name("none")).ask(REQUEST, None)

    play(part)
