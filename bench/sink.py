"""A next hop that takes everything and keeps nothing, as fast as Python can: both relays of a benchmark meet the same.

    python -m bench.sink --cert CHAIN --key KEY [--plain] [--everywhere] [--hang PREFIX]

Prints its port, then for each line on standard input the number of messages taken so far."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from typing import cast

import uvloop

_EHLO = "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n{tls}250-CHUNKING\r\n250 DSN\r\n"


class Sink(asyncio.Protocol):
    """`taken` counts for all connections."""

    taken = 0
    hang = ""  # addresses of ours that begin so accept connections and say nothing, ever

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._buffer = bytearray()
        self._in_data = False
        self._chunk = 0
        self._is_encrypted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.hang and self._transport.get_extra_info("sockname")[0].startswith(self.hang):
            return
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers = bytearray()
        while self._step(answers):
            pass
        if answers:
            self._transport.write(bytes(answers))

    def _step(self, answers: bytearray) -> bool:
        if self._in_data:
            return self._end_of_data(answers)
        if self._chunk:
            return self._end_of_chunk(answers)
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._command(line, answers)
        return True

    def _end_of_data(self, answers: bytearray) -> bool:
        end = self._buffer.find(b"\r\n.\r\n")
        if end < 0:
            return False
        del self._buffer[: end + 5]
        self._in_data = False
        self._take(answers)
        return True

    def _end_of_chunk(self, answers: bytearray) -> bool:
        if len(self._buffer) < self._chunk:
            return False
        del self._buffer[: self._chunk]
        self._chunk = 0
        self._take(answers)
        return True

    def _take(self, answers: bytearray) -> None:
        Sink.taken += 1
        answers += b"250 2.0.0 taken\r\n"

    def _command(self, line: bytes, answers: bytearray) -> None:
        verb = line[:4].upper()
        if verb == b"EHLO":
            offers = "250-STARTTLS\r\n" if self._context is not None and not self._is_encrypted else ""
            answers += _EHLO.format(tls=offers).encode()
        elif verb == b"STAR":
            self._transport.write(b"220 2.0.0 go ahead\r\n")
            self._upgrade = asyncio.ensure_future(self._start_tls())
        elif verb == b"DATA":
            self._in_data = True
            answers += b"354 go on\r\n"
        elif verb == b"BDAT":
            self._chunk = int(line.split()[1])
        elif verb == b"QUIT":
            self._transport.write(bytes(answers) + b"221 2.0.0 bye\r\n")
            self._transport.close()
            answers.clear()
        else:
            answers += b"250 2.0.0 ok\r\n"

    async def _start_tls(self) -> None:
        assert self._context is not None
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self._transport, self, self._context, server_side=True)
        self._transport = cast(asyncio.Transport, transport)
        self._is_encrypted = True


async def serve(context: ssl.SSLContext | None, address: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(context), address, 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while await asked.readline():
        print(Sink.taken, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--plain", action="store_true", help="do not offer STARTTLS")
    parser.add_argument("--everywhere", action="store_true", help="on every address of the machine, not only 127.0.0.1")
    parser.add_argument("--hang", default="", help="say nothing on addresses that begin so")
    options = parser.parse_args()
    Sink.hang = options.hang
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    uvloop.run(serve(None if options.plain else context, "0.0.0.0" if options.everywhere else "127.0.0.1"))


if __name__ == "__main__":
    main()
