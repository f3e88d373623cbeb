"""A raw SMTP client: sends exactly the bytes it is given and reads replies; knows STARTTLS, AUTH and BDAT."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Address = tuple[str, int]
_QUEUE_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{16}\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply as it came; code 0 stands for a closed connection, `lines` hold what follows the code."""

    code: int
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def enhanced(self) -> str:
        match = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", self.lines[0] if self.lines else "")
        return match[0] if match else ""

    @property
    def queue_id(self) -> str:
        match = _QUEUE_ID.search(self.text)
        assert match, f"no queue id in {self}"
        return match[0]

    def __str__(self) -> str:
        return f"{self.code} {self.text}" if self.code else "(closed)"


CLOSED = Answer(0)


def dot_stuffed(message: bytes) -> bytes:
    """RFC 5321 section 4.5.2, with the end of data."""
    body = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    stuffed = (b"." + body if body.startswith(b".") else body).replace(b"\r\n.", b"\r\n..")
    return stuffed + b".\r\n"


def _insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def plain_response(user: str, password: str, authzid: str = "") -> str:
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


class SmtpClient:
    """`timeout` in seconds bounds each reply. `tls`: the handshake comes first (port 465). `source`: the client's own
    address, for what is counted by it."""

    def __init__(self, address: Address, *, tls: bool = False, timeout: float = 60.0, source: str = "") -> None:
        own = (source, 0) if source else None
        self.socket: socket.socket = socket.create_connection(address, timeout=timeout, source_address=own)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        if tls:
            self.socket = _insecure().wrap_socket(self.socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def reset(self) -> None:
        """Ends the connection with RST, as a client that is gone does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        lines: list[str] = []
        while True:
            line = self._line()
            if line is None:
                return CLOSED
            assert re.match(rb"\d\d\d([ -]|$)", line), f"not a reply line: {line!r}"
            lines.append(line[4:].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return Answer(int(line[:3]), tuple(lines))

    def _line(self) -> bytes | None:
        while b"\r\n" not in self._buffer:
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def expect(self, *codes: int) -> Answer:
        answer = self.answer()
        assert answer.code in codes, f"expected {codes}, got {answer}"
        return answer

    def command(self, line: str, *codes: int) -> Answer:
        self.send(line.encode() + b"\r\n")
        return self.expect(*codes) if codes else self.answer()

    def drain(self) -> list[Answer]:
        """Every reply until the server closes."""
        answers = []
        while (answer := self.answer()) != CLOSED:
            answers.append(answer)
        return answers

    def hello(self, name: str = "client.example") -> Answer:
        """The greeting and EHLO."""
        self.expect(220)
        return self.command(f"EHLO {name}", 250)

    def starttls(self) -> None:
        self.command("STARTTLS", 220)
        assert not self._buffer, f"plaintext after the reply to STARTTLS: {self._buffer!r}"
        self.handshake()

    def handshake(self) -> None:
        self.socket = _insecure().wrap_socket(self.socket)

    def auth_plain(self, user: str, password: str) -> Answer:
        return self.command(f"AUTH PLAIN {plain_response(user, password)}")

    def auth_login(self, user: str, password: str) -> Answer:
        self.command("AUTH LOGIN", 334)
        self.command(base64.b64encode(user.encode()).decode(), 334)
        return self.command(base64.b64encode(password.encode()).decode())

    def envelope(self, sender: str, recipients: Sequence[str], parameters: str = "") -> None:
        self.command(f"MAIL FROM:<{sender}>{' ' if parameters else ''}{parameters}", 250)
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", 250)

    def data(self, message: bytes) -> Answer:
        self.command("DATA", 354)
        self.send(dot_stuffed(message))
        return self.answer()

    def attempt(self, sender: str, recipient: str, message: bytes) -> Answer:
        """One transaction that may be refused at any step: the answer that ended it."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
            answer = self.command(line)
            if answer.code not in (250, 354):
                return answer
        with contextlib.suppress(ConnectionError):
            self.send(dot_stuffed(message))
        return self.answer()

    def bdat(self, *chunks: bytes) -> Answer:
        """All chunks, the last one marked LAST (RFC 3030); the answer to the last or to the first refused."""
        for chunk in chunks[:-1]:
            self.send(f"BDAT {len(chunk)}\r\n".encode() + chunk)
            answer = self.answer()
            if answer.code != 250:
                return answer
        self.send(f"BDAT {len(chunks[-1])} LAST\r\n".encode() + chunks[-1])
        return self.answer()

    def transfer(self, sender: str, recipients: Sequence[str], message: bytes, parameters: str = "") -> Answer:
        self.envelope(sender, recipients, parameters)
        return self.data(message)


def deliver(address: Address, message: bytes, *recipients: str, sender: str = "sender@sender.example") -> Answer:
    """One message on a connection of its own; the answer to the end of data."""
    with SmtpClient(address) as client:
        client.hello()
        answer = client.transfer(sender, recipients, message)
        client.send(b"QUIT\r\n")
        return answer


def submission(address: Address, user: str, password: str, *, tls: bool = False, source: str = "") -> SmtpClient:
    """A client after STARTTLS (or TLS from the start) and AUTH."""
    client = SmtpClient(address, tls=tls, source=source)
    client.hello()
    if not tls:
        client.starttls()
        client.command("EHLO client.example", 250)
    answer = client.auth_plain(user, password)
    assert answer.code == 235, str(answer)
    return client
