"""Frames between processes: limits before anything is held, and an answer to whatever comes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from mailgate.ipc.calls import Admin, Answer, Done, Failed, Hello, Request
from mailgate.ipc.frames import (
    HEAD,
    LONGEST_FRAME,
    LONGEST_OF_STRANGERS,
    MOST_OF_STRANGERS,
    UNDER_WAY,
    FrameBuffer,
    Peer,
    Room,
)


def test_a_frame_that_is_too_long_is_refused_before_it_comes() -> None:
    buffer = FrameBuffer()
    with pytest.raises(ValueError, match="frame of"):
        buffer.feed(HEAD.pack(LONGEST_FRAME + 1, 1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x91" * 100_000 + b"\x90",
        b"\x81\xa1a" * 50_000 + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        msgspec.msgpack.encode({"type": "NoSuchCall"}),
        msgspec.msgpack.encode([1, 2, 3]),
    ],
    ids=lambda body: body[:3].hex() or "empty",
)
def test_what_is_no_request_is_answered(tmp_path: Path, body: bytes) -> None:
    async def run() -> None:
        async def handler(request: Request, peer: Peer) -> Answer:
            return Done()

        loop = asyncio.get_running_loop()
        path = tmp_path / "s"
        server = await loop.create_unix_server(lambda: Peer(handler, set()), str(path))
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(HEAD.pack(len(body), 7) + body)
        length, number = HEAD.unpack(await asyncio.wait_for(reader.readexactly(HEAD.size), 10))
        answer = msgspec.msgpack.decode(await reader.readexactly(length), type=Failed)
        assert (number, answer.kind) == (7, "unavailable")
        writer.close()
        server.close()

    asyncio.run(run())


def test_a_peer_whose_frame_is_too_long_is_cut_off(tmp_path: Path) -> None:
    async def run() -> None:
        async def handler(request: Request, peer: Peer) -> Answer:
            return Done()

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        path = tmp_path / "s"
        server = await loop.create_unix_server(lambda: Peer(handler, set()), str(path))
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(HEAD.pack(0xFFFFFFFF, 7) + b"x" * 1000)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        server.close()

    asyncio.run(run())


HELLO = msgspec.msgpack.encode({"type": "Hello", "role": "edge"})


class Scene:
    """A server whose answers wait for `gate`; a Hello makes the connection one of our own processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.room = Room()
        self.gate = asyncio.Event()
        self.asked = 0
        self.peers: set[Peer] = set()

    async def handle(self, request: Request, peer: Peer) -> Answer:
        if isinstance(request, Hello):
            peer.role = request.role
            return Done()
        self.asked += 1
        await self.gate.wait()
        return Done()

    async def connect(self, role: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        if role:
            writer.write(HEAD.pack(len(HELLO), 1) + HELLO)
            await answer_of(reader)
        return reader, writer


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    length, _ = HEAD.unpack(await reader.readexactly(HEAD.size))
    return await reader.readexactly(length)


def play(path: Path, part: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        scene = Scene(path)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Peer(scene.handle, scene.peers, scene.room), str(path))
        async with asyncio.timeout(30):
            await part(scene)
        server.close()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def request(size: int) -> bytes:
    body = msgspec.msgpack.encode(Admin("x", {"text": "a" * size}))
    return HEAD.pack(len(body), 7) + body


def test_only_our_own_processes_may_send_large_frames(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        scene.gate.set()
        reader, writer = await scene.connect()
        writer.write(HEAD.pack(LONGEST_OF_STRANGERS + 1, 1))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await answer_of(reader)
        reader, writer = await scene.connect("edge")
        writer.write(request(4 * LONGEST_OF_STRANGERS))
        assert b"Done" in await answer_of(reader)
        writer.close()

    play(tmp_path / "s", part)


def test_what_strangers_send_in_part_is_bounded_in_sum(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        almost = request(LONGEST_OF_STRANGERS - 1000)[:-1]
        strangers = [await scene.connect() for _ in range(2 * MOST_OF_STRANGERS // LONGEST_OF_STRANGERS)]
        for _, writer in strangers:
            writer.write(almost)
        await until(lambda: len(scene.peers) <= MOST_OF_STRANGERS // LONGEST_OF_STRANGERS + 1)
        assert scene.room.held <= MOST_OF_STRANGERS
        scene.gate.set()
        reader, writer = await scene.connect("edge")
        writer.write(request(4 * LONGEST_OF_STRANGERS))
        assert b"Done" in await answer_of(reader)
        for _, each in strangers:
            each.close()
        await until(lambda: len(scene.peers) == 1)
        assert scene.room.held == 0
        writer.close()

    play(tmp_path / "s", part)


def test_of_one_stranger_few_calls_are_under_way_and_all_are_answered(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        reader, writer = await scene.connect()
        number = 50 * UNDER_WAY
        writer.write(request(5_000) * number)
        await until(lambda: scene.asked >= UNDER_WAY)
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert scene.asked < 4 * UNDER_WAY
        scene.gate.set()
        for _ in range(number):
            assert b"Done" in await answer_of(reader)
        assert scene.room.held == 0
        writer.close()

    play(tmp_path / "s", part)


def test_who_does_not_read_is_not_read_either(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        scene.gate.set()
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, str(scene.path))
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while sent < 64 << 20:
                    await asyncio.get_running_loop().sock_sendall(sock, request(10) * 1000)
                    sent += len(request(10)) * 1000
        assert sent < 32 << 20
        sock.close()

    play(tmp_path / "s", part)
