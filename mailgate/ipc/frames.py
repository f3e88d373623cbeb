"""Framing: 4 bytes length, 4 bytes call number (both big-endian), then msgpack. Number 0 is a push: no answer."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from mailgate.ipc import keys
from mailgate.ipc.calls import Answer, Failed, Push, Request, ShowKey
from mailgate.model.errors import ConflictError, MailgateError, NotFoundError, UnavailableError, UserError

HEAD = struct.Struct("!II")
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
LONGEST_FRAME = 64 << 20  # of our own processes, and of who has the key of the command line
LONGEST_OF_STRANGERS = 1 << 20
MOST_OF_STRANGERS = 16 << 20  # bytes that all of them together have sent, in part or to be answered
UNDER_WAY = 64  # calls of one stranger; it is read on when there are fewer

_encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode
_decode_push = msgspec.msgpack.Decoder(Push).decode

Handler = Callable[[Request, "Peer"], Awaitable[Answer]]


def frame(number: int, message: msgspec.Struct) -> bytes:
    body = _encode(message)
    return HEAD.pack(len(body), number) + body


class FrameBuffer:
    """Pure: cuts a byte stream into (number, body). A frame that is too long raises ValueError."""

    def __init__(self) -> None:
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def feed(self, data: bytes, longest: int = LONGEST_FRAME) -> list[tuple[int, bytes]]:
        held = self._held
        held += data
        frames, at = [], 0
        while len(held) - at >= HEAD.size:
            length, number = HEAD.unpack_from(held, at)
            if length > longest:
                raise ValueError(f"frame of {length} bytes")
            end = at + HEAD.size + length
            if len(held) < end:
                break
            frames.append((number, bytes(held[at + HEAD.size : end])))
            at = end
        if at:
            del held[:at]
        return frames


@dataclass(slots=True)
class Room:
    """`held`: bytes of what strangers have sent. A stranger is who has shown no key."""

    held: int = 0


class Peer(asyncio.Protocol):
    """Server side of one connection: every request runs as a task of its own, answers may overtake each other. `room`
    is shared by all connections of a process."""

    def __init__(self, handler: Handler, peers: set[Peer], room: Room | None = None) -> None:
        self._handler = handler
        self._peers = peers
        self._room = room or Room()
        self._under_way = self._counted = 0  # bytes
        self._is_not_reading = False  # the other end
        self._is_paused = False
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.role = ""
        self.uid: int | None = None  # the account on the other end, as the kernel tells it
        self.has_key = False  # it has shown the key of the command line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.uid = _uid_behind(transport)
        self._peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.discard(self)
        self._transport = None
        self._buffer = FrameBuffer()
        self._count()

    def pause_writing(self) -> None:
        self._is_not_reading = True
        self._pace()

    def resume_writing(self) -> None:
        self._is_not_reading = False
        self._pace()

    @property
    def _is_stranger(self) -> bool:
        return not self.role and not self.has_key

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._buffer.feed(data, LONGEST_OF_STRANGERS if self._is_stranger else LONGEST_FRAME)
        except ValueError:
            self._abort()
            return
        self._under_way += sum(len(body) for _, body in frames)
        self._count()
        if self._counted and self._room.held > MOST_OF_STRANGERS:
            self._under_way -= sum(len(body) for _, body in frames)
            self._abort()
            return
        for number, body in frames:
            task = asyncio.ensure_future(self._serve(number, body))
            self._tasks.add(task)
            task.add_done_callback(partial(self._served, len(body)))
        self._pace()

    def _served(self, size: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._under_way -= size
        self._count()
        self._pace()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _count(self) -> None:
        holds = len(self._buffer) + self._under_way if self._is_stranger else 0
        self._room.held += holds - self._counted
        self._counted = holds

    def _pace(self) -> None:
        """Who asks for more than it reads, and a stranger who asks for much at once, waits."""
        must_wait = self._is_not_reading or (self._is_stranger and len(self._tasks) >= UNDER_WAY)
        if must_wait is self._is_paused or self._transport is None or self._transport.is_closing():
            return
        self._is_paused = must_wait
        if must_wait:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def _serve(self, number: int, body: bytes) -> None:
        answer: Answer
        try:
            answer = await self._handler(decode_request(body), self)
        except UserError as error:
            answer = Failed("user", str(error))
        except NotFoundError as error:
            answer = Failed("not-found", str(error))
        except ConflictError as error:
            answer = Failed("conflict", str(error))
        except (UnavailableError, msgspec.DecodeError, RecursionError) as error:
            answer = Failed("unavailable", str(error))
        if self._transport is not None:
            self._transport.write(frame(number, answer))

    def push(self, message: Push) -> None:
        if self._transport is not None:
            self._transport.write(frame(0, message))


def _uid_behind(transport: asyncio.BaseTransport) -> int | None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid


class Calls(asyncio.Protocol):
    """Client side: `await call(request)`; many may be under way at once. A lost connection fails them all with
    UnavailableError; `on_push` receives what the server pushes, `on_lost` runs once when the connection ends."""

    def __init__(self, on_push: Callable[[Push], None], on_lost: Callable[[], None]) -> None:
        self._on_push = on_push
        self._on_lost = on_lost
        self._buffer = FrameBuffer()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(UnavailableError("the store process went away"))
        self._waiting.clear()
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        for number, body in self._buffer.feed(data):
            if number == 0:
                self._on_push(_decode_push(body))
                continue
            future = self._waiting.pop(number, None)
            if future is not None and not future.done():
                future.set_result(_decode_answer(body))

    async def call(self, request: Request) -> Answer:
        """The answer, or the error that a Failed answer stands for."""
        if self._transport is None:
            raise UnavailableError("the store process can't be reached")
        number = next(self._numbers) & 0xFFFFFFFF or next(self._numbers)
        framed = frame(number, request)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._transport.write(framed)
        try:
            answer = await future
        finally:
            self._waiting.pop(number, None)
        if isinstance(answer, Failed):
            raise error_of(answer)
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class StorageFullError(MailgateError):
    """The store has no room for this message: 452 4.3.1."""


def error_of(answer: Failed) -> MailgateError:
    kinds: dict[str, type[MailgateError]] = {
        "user": UserError,
        "not-found": NotFoundError,
        "conflict": ConflictError,
        "unavailable": UnavailableError,
        "full": StorageFullError,
    }
    return kinds.get(answer.kind, UnavailableError)(answer.text)


async def connect(path: Path, on_push: Callable[[Push], None], on_lost: Callable[[], None]) -> Calls:
    """Raises UnavailableError where nobody listens at `path`."""
    loop = asyncio.get_running_loop()
    try:
        _, calls = await loop.create_unix_connection(lambda: Calls(on_push, on_lost), str(path))
    except OSError as error:
        raise UnavailableError(f"{path}: {error.strerror or error}") from error
    return calls


def call_once(path: Path, request: Request) -> Answer:
    """Blocking: one call on a connection of its own."""
    return converse(path, lambda calls: calls.call(request))


def converse(
    path: Path, talk: Callable[[Calls], Coroutine[None, None, Answer]], patience: float | None = None
) -> Answer:
    """Blocking: some calls, one after the other, on a connection of their own (for the command line). The key beside
    the socket is shown first, where there is one that we may read. UnavailableError after `patience` seconds."""

    async def run() -> Answer:
        calls = await connect(path, lambda push: None, lambda: None)
        try:
            async with asyncio.timeout(patience):
                if key := keys.read_file(path):
                    await calls.call(ShowKey(key))
                return await talk(calls)
        except TimeoutError:
            raise UnavailableError(f"no answer on {path} in time") from None
        finally:
            calls.close()

    return asyncio.run(run())
