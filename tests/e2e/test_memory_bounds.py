"""The worst that strangers can send to each process: its peak of memory stays below what docs/operations.md says. What
a next hop can do to the relay is in tests/relay/test_reply_flood.py."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from mailgate.ipc.frames import HEAD, LONGEST_FRAME
from tests.conftest import Build
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.dns_server import DnsServer
from tests.support.gateway import Gateway
from tests.support.processes import by_role

BOB = "bob@acme.example"
_MIB = 1 << 20
_BODY = 6 * _MIB


def stated() -> dict[str, int]:
    """Bytes by process, from the table on the operations page."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    section = page.partition("## Memory\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (\d+) MiB \|", section, re.MULTILINE)
    return {name: int(number) * _MIB for name, number in rows}


def peaks(gateway: Gateway) -> dict[str, int]:
    """The highest VmHWM of each kind of process, in bytes."""
    pids = {"supervisor": [gateway.pid], **by_role(gateway.pid)}
    return {role: max(map(_peak, found)) for role, found in pids.items()}


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) << 10


def _bombs() -> Iterator[bytes]:
    head = b"From: <a@b.example>\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
    yield b"a:\r\n" * (_BODY // 4)
    yield b"x\r\n" * (_BODY // 3)
    yield b"a:\r\n" + b" \r\n" * (_BODY // 3)
    yield b"a: " + b"b" * 900 + b"\r\n" + b"c:\r\n" * 60_000 + b"\r\nbody"
    yield head + b"Content-Type: text/html\r\n\r\n" + b"data:" * (_BODY // 40) + b"\r\n"
    yield head + b'Content-Type: multipart/mixed; boundary="a"\r\n\r\n' + b"--a\r\n\r\n" * (_BODY // 40)
    yield head + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUFB\r\n" * (_BODY // 12)
    yield head + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=41= \t\r\n" * (_BODY // 32)


def _deliver(gateway: Gateway, message: bytes) -> None:
    with suppress(OSError, EOFError):
        gateway.deliver(message, BOB)


def _flood(path_or_address: str | tuple[str, int], block: bytes, total: int) -> None:
    """Sends `block` again and again, until it is cut off or `total` bytes are sent."""
    family = socket.AF_UNIX if isinstance(path_or_address, str) else socket.AF_INET
    with socket.socket(family) as sock, suppress(OSError):
        sock.settimeout(10)
        sock.connect(path_or_address)
        for _ in range(total // len(block)):
            sock.sendall(block)


@pytest.mark.component("clamd")
def test_the_worst_for_each_process_stays_below_what_is_stated(new_gateway: Build, clamd: Clamd) -> None:
    bounds = stated()
    assert set(bounds) == {"supervisor", "edge", "inspector", "store", "relay"}
    records: dict[tuple[str, str], list[str]] = {("b.example", "TXT"): ["v=spf1 include:" + "a" * 60_000 + "! -all"]}
    records |= {(f"n{n}.example", "TXT"): ["x" * 250] * 200 for n in range(5)}
    with DnsServer() as server:
        server.records |= {
            key: [_quoted(text) if key[1] == "TXT" else text for text in texts] for key, texts in records.items()
        }
        gateway = new_gateway(clamd.endpoint, RESOLVER=server.endpoint)
        gateway.start()
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda message: _deliver(gateway, message), _bombs()))
            for number in range(5):
                gateway.deliver(messages.clean(messages.token()), BOB, sender=f"x@n{number}.example")
        store, admin = str(gateway.data_dir / "run" / "store.sock"), str(gateway.data_dir / "run" / "admin.sock")
        for path in (store, admin):
            _flood(path, HEAD.pack(LONGEST_FRAME + 1, 1) + b"x" * 65_536, 100 * _MIB)
            _flood(path, HEAD.pack(70_000, 1) + b"\x91" * 70_000, 20 * _MIB)
        for block in (b"GET /" + b"a" * 60_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, b"\0" * 65_536):
            with ThreadPoolExecutor(40) as threads:
                list(threads.map(lambda _, block=block: _flood(gateway.metrics, block, 4 * _MIB), range(40)))
        found = peaks(gateway)
        print({role: f"{high >> 20} MiB" for role, high in found.items()})
        assert set(found) == set(bounds)
        assert {role: high for role, high in found.items() if high > bounds[role]} == {}
        gateway.assert_log_is_sane()


def _quoted(text: str) -> str:
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
