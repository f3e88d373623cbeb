"""A next hop that does what a test tells it: replies, faults and TLS chosen for each step of the dialogue."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import re
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self


class Fault(enum.Enum):
    """HANG never answers, CUT closes the connection, RESET sends RST, GARBAGE says what is no reply."""

    HANG = "hang"
    CUT = "cut"
    RESET = "reset"
    GARBAGE = "garbage"


@dataclass(slots=True)
class Transaction:
    """One as it arrived: command lines and the message, dot-stuffing removed."""

    mail: str
    rcpt: list[str] = field(default_factory=list)
    message: bytes | None = None
    was_encrypted: bool = False


ALL = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES")
_DEFAULTS = {
    "greeting": "220 hop.example ESMTP",
    "STARTTLS": "220 2.0.0 go ahead",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "end": "250 2.0.0 taken",
    "RSET": "250 2.0.0 forgotten",
    "QUIT": "221 2.0.0 bye",
}


class ScriptedHop:
    """`script` maps a step (`greeting`, a verb, `end`) to a reply, a Fault, or a list that is used up from its front.
    A key such as `RCPT bob` counts for recipients that hold the word,
    `end bob` for their replies to the message in LMTP, `EHLO behind TLS` for the second one. `tls` makes it offer
    STARTTLS. While `gate` is not set, whole messages wait for their replies."""

    def __init__(self, tls: ssl.SSLContext | None = None, extensions: Sequence[str] = ALL) -> None:
        self.script: dict[str, str | Fault | list[str | Fault]] = {}
        self.tls = tls
        self.extensions = list(extensions)
        self.transactions: list[Transaction] = []
        self.gate: asyncio.Event | None = None
        self.reached_gate = asyncio.Event()
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.commands: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, address: str = "127.0.0.1", port: int = 0) -> Self:
        self._server = await asyncio.start_server(self._serve, address, port)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def listen_at(self, path: Path) -> Self:
        """On a Unix socket."""
        self._server = await asyncio.start_unix_server(self._serve, path)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Closes every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with contextlib.suppress(ConnectionError, ssl.SSLError, _Ended):
                await _Session(self, _Wire(reader, writer)).run()
        except asyncio.CancelledError:
            pass
        finally:
            self.open -= 1
            writer.close()
            self._tasks.discard(task)

    def reply(self, step: str, argument: str = "") -> str | Fault:
        keys = [key for key in self.script if key.startswith(f"{step} ") and key.split(" ", 1)[1] in argument]
        chosen = self.script.get(keys[0] if keys else step, _DEFAULTS.get(step, "250 ok"))
        if isinstance(chosen, list):
            return chosen.pop(0) if chosen else _DEFAULTS.get(step, "250 ok")
        return chosen


@contextlib.contextmanager
def in_a_thread(hop: ScriptedHop) -> Iterator[ScriptedHop]:
    """`hop` on a port of 127.0.0.1, beside a test that has no event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(hop.listen(), loop).result(10)
    try:
        yield hop
    finally:
        asyncio.run_coroutine_threadsafe(hop.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _Ended(Exception):
    pass


class _Wire:
    """The bytes of a connection, in TLS after `handshake`. A handshake that fails sends its alert, as real servers do
    and the streams of asyncio do not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._buffer = bytearray()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    async def handshake(self, context: ssl.SSLContext) -> None:
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await self.receive())
            except ssl.SSLError:
                await self._flush()
                raise
        await self._flush()
        self._tls = tls

    async def receive(self) -> bytes:
        """What comes next, as it is on the wire."""
        data = await self._reader.read(1 << 16)
        if not data:
            raise _Ended
        return data

    async def line(self) -> bytes:
        while b"\n" not in self._buffer:
            await self._fill()
        return self._cut(self._buffer.index(b"\n") + 1)

    async def exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._fill()
        return self._cut(size)

    async def write(self, data: bytes) -> None:
        if self._tls is None:
            self.writer.write(data)
            await self.writer.drain()
            return
        self._tls.write(data)
        await self._flush()

    async def _fill(self) -> None:
        if self._tls is None:
            self._buffer += await self.receive()
            return
        try:
            data = self._tls.read(1 << 16)
            if not data:
                raise _Ended
            self._buffer += data
        except ssl.SSLWantReadError:
            self._incoming.write(await self.receive())
        except ssl.SSLZeroReturnError:
            raise _Ended from None

    def _cut(self, end: int) -> bytes:
        taken = bytes(self._buffer[:end])
        del self._buffer[:end]
        return taken

    async def _flush(self) -> None:
        self.writer.write(self._outgoing.read())
        await self.writer.drain()


class _Session:
    def __init__(self, hop: ScriptedHop, wire: _Wire) -> None:
        self._hop = hop
        self._wire = wire
        self._is_encrypted = False
        self._transaction: Transaction | None = None
        self._has_recipient = False
        self._is_lmtp = False
        self._taken: list[str] = []

    async def run(self) -> None:
        await self._say("greeting")
        while True:
            await self._command((await self._wire.line()).decode("utf-8").rstrip("\r\n"))

    async def _command(self, line: str) -> None:
        self._hop.commands.append(line)
        verb = re.split(r"[ :]", line, maxsplit=1)[0].upper()
        match verb:
            case "EHLO" | "LHLO":
                await self._hello(verb)
            case "STARTTLS":
                await self._start_tls()
            case "MAIL":
                self._transaction = Transaction(line, was_encrypted=self._is_encrypted)
                self._has_recipient = False
                self._taken = []
                await self._say("MAIL", line)
            case "RCPT":
                assert self._transaction is not None
                self._transaction.rcpt.append(line)
                if (await self._say("RCPT", line)).startswith("2"):
                    self._has_recipient = True
                    self._taken.append(line)
            case "DATA":
                if (await self._say("DATA")).startswith("354"):
                    await self._message(await self._dotted())
            case "BDAT":
                await self._message(await self._wire.exactly(int(line.split()[1])))
            case _:
                await self._say(verb, line)
                if verb == "QUIT":
                    raise _Ended

    async def _hello(self, verb: str) -> None:
        self._is_lmtp = verb == "LHLO"
        place = "behind TLS" if self._is_encrypted else ""
        chosen = self._hop.reply("EHLO", place)
        if chosen != "250 ok":
            await self._say("EHLO", place)
            return
        listed = list(self._hop.extensions)
        if self._hop.tls is not None and not self._is_encrypted:
            listed.append("STARTTLS")
        lines = ["hop.example", *listed]
        text = "".join(f"250{' ' if at == len(lines) else '-'}{line}\r\n" for at, line in enumerate(lines, 1))
        await self._wire.write(text.encode())

    async def _start_tls(self) -> None:
        said = await self._say("STARTTLS")
        if not said.startswith("220"):
            return
        fault = self._hop.reply("handshake")
        if isinstance(fault, Fault):
            await self._wire.receive()
            await self._fail(fault)
        assert self._hop.tls is not None
        await self._wire.handshake(self._hop.tls)
        self._is_encrypted = True

    async def _dotted(self) -> bytes:
        lines = []
        while (line := await self._wire.line()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    async def _message(self, message: bytes) -> None:
        transaction = self._transaction
        if transaction is None or not self._has_recipient:
            await self._wire.write(b"554 5.5.1 no valid recipients\r\n")
            return
        transaction.message = message
        self._hop.transactions.append(transaction)
        self._transaction = None
        if self._hop.gate is not None:
            self._hop.reached_gate.set()
            await self._hop.gate.wait()
        for recipient in self._taken if self._is_lmtp else [""]:
            await self._say("end", recipient)

    async def _say(self, step: str, argument: str = "") -> str:
        chosen = self._hop.reply(step, argument)
        if isinstance(chosen, Fault):
            await self._fail(chosen)
            raise _Ended
        await self._wire.write(f"{chosen}\r\n".encode())
        return chosen

    async def _fail(self, fault: Fault) -> None:
        match fault:
            case Fault.HANG:
                await asyncio.Event().wait()
            case Fault.GARBAGE:
                await self._wire.write(b"I am a teapot, short and stout\r\n")
                await self._wire.receive()
            case Fault.RESET:
                sock = self._wire.writer.get_extra_info("socket")
                sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: RST instead of FIN
        raise _Ended
