"""Frames between processes: limits before anything is held, and an answer to whatever comes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from mailgate.ipc.calls import Answer, Done, Failed, Request
from mailgate.ipc.frames import HEAD, LONGEST_FRAME, FrameBuffer, Peer


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
