"""A client that does nothing but renew the keys of TLS 1.3 (RFC 8446 section 4.6.3) is idle, and costs no memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from mailgate.edge import connection
from mailgate.ops import tls
from mailgate.settings import Settings
from tests.edge.dialogue import stage

FLOOD = """
import ctypes, socket, ssl, sys
library = ctypes.CDLL("libssl.so.3")
for function in (library.SSL_key_update, library.SSL_do_handshake):
    function.argtypes = [ctypes.c_void_p] + [ctypes.c_int] * (function is library.SSL_key_update)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = ssl.TLSVersion.TLSv1_3
plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
file = plain.makefile("rb")
def ask(line):
    plain.sendall(line)
    while file.readline()[3:4] == b"-":
        pass
file.readline()
ask(b"EHLO client.example\\r\\n")
ask(b"STARTTLS\\r\\n")
wrapped = context.wrap_socket(plain)
pointer = ctypes.c_void_p.from_address(id(wrapped._sslobj) + 24)  # PySSLSocket: object head, Socket, SSL *
print("begins", flush=True)
count = 0
while library.SSL_key_update(pointer, int(sys.argv[2])) == 1 and library.SSL_do_handshake(pointer) == 1:
    count += 1
print(count)
"""


def resident() -> int:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 >> 20


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.5)
    yield


@pytest.mark.parametrize("wants_answers", [0, 1])
def test_a_flood_of_key_updates_ends_as_idle(tmp_path: Path, quick: None, wants_answers: int) -> None:
    """Those that want one each never read it."""

    async def run() -> tuple[int, float, int]:
        context = tls.ServerTls(Settings(data_dir=tmp_path, hostname="mx.acme.example")).contexts["mx"]
        async with asyncio.timeout(60), stage(tmp_path, tls=context, idle_seconds=1.0) as on:
            other = await on.connect()
            await other.hello()
            port = other.writer.get_extra_info("peername")[1]
            flood = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", FLOOD, str(port), str(wants_answers)), stdout=subprocess.PIPE
            )
            assert flood.stdout is not None
            assert await flood.stdout.readline() == b"begins\n"
            before, began = resident(), time.process_time()
            await other.ask("MAIL FROM:<a@b.example>", 250)  # others are served meanwhile
            count = int(await flood.stdout.readline())
            await flood.wait()
            return count, time.process_time() - began, resident() - before

    count, seconds, grown = uvloop.run(run())
    assert count > 500
    assert seconds / count < 0.001
    assert grown < 16, "MiB"
