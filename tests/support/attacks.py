"""Attacks on the gateway by one network, each in threads of its own: what a test or a bench lets others wait for."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from tests.support.gateway import Gateway
from tests.support.smtp import SmtpClient

BOMB = "evil.example"  # whose SPF record costs
SPF_BOMB = "v=spf1 " + "include:" + "a" * 20_000 + "! -all"
VICTIM = "bob@acme.example"
HOG = b"From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
HOG += (b"data:" * 15 + b"\r\n") * (4 * 1024 * 1024 // 77)  # what the inspection takes longest for
HEADER_BOMB = b"a:\r\n" * (2 << 20) + b"\r\n"


class Attackers:
    """All from `network`, e.g. `127.0.0`, until the `with` ends. `seen` counts what each attack was answered."""

    def __init__(self, gateway: Gateway, network: str = "127.0.0") -> None:
        self._gateway = gateway
        self._network = network
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._numbers = itertools.count(2)
        self.seen: Counter[tuple[str, int]] = Counter()

    def __enter__(self) -> Self:
        for attack, times in (
            *((self.idle, 6), (self.guess_recipients, 2), (self.guess_passwords, 3), (self.stall, 3), (self.hog, 6)),
            *((self.never_read, 2), (self.bomb_headers, 1), (self.bomb_spf, 2)),
        ):
            for _ in range(times):
                thread = threading.Thread(target=self._again, args=(attack,), daemon=True)
                self._threads.append(thread)
                thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        while any(thread.is_alive() for thread in self._threads):
            with self._lock:
                for each in self._open:
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join(0.05)

    def _again(self, attack: Callable[[], None]) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError, AssertionError, ValueError):
                attack()
            self._stop.wait(0.5)

    @contextlib.contextmanager
    def _client(self, *, submission: bool = False) -> Iterator[SmtpClient]:
        source = f"{self._network}.{next(self._numbers) % 60 + 2}"
        address = self._gateway.submission if submission else self._gateway.mx
        client = SmtpClient(address, source=source)
        raw = client.socket
        with self._lock:
            self._open.add(raw)
        try:
            yield client
        finally:
            with self._lock:
                self._open.discard(raw)
            client.close()

    def _saw(self, attack: str, code: int) -> None:
        with self._lock:
            self.seen[attack, code] += 1

    def has_begun(self, attack: str) -> bool:
        with self._lock:
            return any(name == attack for name, _ in self.seen)

    @property
    def hogs_under_way(self) -> int:
        """Messages handed over whose inspection has not ended."""
        with self._lock:
            hogs = {code: times for (name, code), times in self.seen.items() if name == "hog"}
        return hogs.pop(354, 0) - sum(hogs.values())

    def idle(self) -> None:
        """Sixty connections that say nothing, for as long as they are left alone."""
        with contextlib.ExitStack() as held:
            clients = [held.enter_context(self._client()) for _ in range(60)]
            for client in clients:
                self._saw("idle", client.answer().code)
            self._stop.wait(5)

    def guess_recipients(self) -> None:
        with self._client() as client:
            client.hello()
            client.command("MAIL FROM:<a@b.example>", 250)
            for number in range(100):
                answer = client.command(f"RCPT TO:<user{number}@acme.example>")
                self._saw("guess_recipients", answer.code)
                if answer.code in (0, 421):
                    return

    def guess_passwords(self) -> None:
        with self._client(submission=True) as client:
            client.hello()
            client.starttls()
            client.command("EHLO client.example", 250)
            for number in range(10):
                answer = client.auth_plain(f"nobody{number}@acme.example", "wrong")
                self._saw("guess_passwords", answer.code)
                if answer.code in (0, 421):
                    return

    def stall(self) -> None:
        """A message of 3 MB, then silence."""
        with self._client() as client:
            client.hello()
            client.envelope("a@b.example", [VICTIM])
            client.command("DATA", 354)
            client.send(b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 40_000)
            self._saw("stall", client.answer().code)

    def hog(self) -> None:
        with self._client() as client:
            client.hello()
            client.envelope("a@b.example", [VICTIM])
            client.command("DATA", 354)
            client.send(HOG + b"%d\r\n.\r\n" % next(self._numbers))
            self._saw("hog", 354)
            self._saw("hog", client.answer().code)

    def never_read(self) -> None:
        with self._client() as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.hello()
            client.command("MAIL FROM:<a@b.example>", 250)
            for _ in range(90):
                client.send(b"RCPT TO:<bob@acme.example>\r\n" * 100)
            self._saw("never_read", 250)
            self._stop.wait(5)

    def bomb_headers(self) -> None:
        with self._client() as client:
            client.hello()
            client.envelope("a@b.example", [VICTIM])
            client.command("DATA", 354)
            client.send(HEADER_BOMB + b".\r\n")
            self._saw("bomb_headers", client.answer().code)

    def bomb_spf(self) -> None:
        with self._client() as client:
            client.hello()
            self._saw("bomb_spf", client.command(f"MAIL FROM:<x@{BOMB}>").code)
            client.command("RSET")


def quoted(record: str) -> str:
    """A TXT record as a zone file has it: strings of 255 octets at most."""
    return " ".join(f'"{record[at : at + 250]}"' for at in range(0, len(record), 250))
