"""HTTPS for policies and reports: a real server on loopback, honest and otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.transport.https import HttpsAnswer, HttpsError, HttpsRequest, ask
from tests.support.certificates import Authority, Issued

HOST = "mta-sts.hop.example"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello"


class Site:
    """Answers every request with `answer`; None leaves the connection open without a word."""

    def __init__(self, issued: Issued, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.answer: bytes | None = GOOD
        self.requests: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(issued.chain, issued.key)
        self._listener = socket.create_server(address)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(raw,), daemon=True).start()

    def _answer(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(raw, server_side=True) as sock:
            self.requests.append(_request(sock))
            if self.answer is None:
                sock.recv(1)
                return
            sock.sendall(self.answer)


def _request(sock: ssl.SSLSocket) -> bytes:
    """With its body: who closes before all of it was read, takes the answer back."""
    with sock.makefile("rb") as file:
        head = b"".join(itertools.takewhile(lambda line: line != b"\r\n", file))
        length = re.search(rb"content-length: (\d+)", head, re.I)
        return head + b"\r\n" + file.read(int(length[1]) if length else 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def site(authority: Authority) -> Iterator[Site]:
    made = Site(authority.issue(HOST))
    yield made
    made.close()


def fetch(site: Site, authority: Authority, **more: object) -> HttpsAnswer:
    context = ssl.create_default_context(cafile=str(authority.path))
    wanted: dict[str, object] = {"limit": 100, "seconds": 5.0, "port": site.port, **more}
    request = HttpsRequest(HOST, ("127.0.0.1",), "/policy", **wanted)  # type: ignore[arg-type]
    return asyncio.run(ask(request, context))


def test_an_answer(site: Site, authority: Authority) -> None:
    assert fetch(site, authority) == HttpsAnswer(200, "text/plain", b"hello")
    [request] = site.requests
    assert request.startswith(b"GET /policy HTTP/1.1\r\n") and b"Host: mta-sts.hop.example" in request


def test_the_next_address_is_tried(site: Site, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.path))
    request = HttpsRequest(HOST, ("127.0.0.2", "127.0.0.1"), "/", 100, 5.0, port=site.port)
    assert asyncio.run(ask(request, context)).status == 200


def test_chunks(site: Site, authority: Authority) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    site.answer = head + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert fetch(site, authority).body == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"50\r\n"
        + b"x" * 80
        + b"\r\n"
        + b"50\r\n"
        + b"x" * 80,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nan end that TLS does not confirm",
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_answers_that_are_too_long_or_cut_off_or_none(site: Site, authority: Authority, answer: bytes) -> None:
    site.answer = answer
    with pytest.raises(HttpsError):
        fetch(site, authority)


@pytest.mark.parametrize("more", [b"\r\n", b"Content-Length: 9\r\n\r\ncut o"])
def test_what_is_handed_in_needs_only_the_status(site: Site, authority: Authority, more: bytes) -> None:
    site.answer = b"HTTP/1.1 201 Created\r\n" + more
    assert fetch(site, authority, method="POST", body=b"report").status == 201


def test_redirects_are_handed_out_and_not_followed(site: Site, authority: Authority) -> None:
    site.answer = b"HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
    assert fetch(site, authority).status == 301
    assert len(site.requests) == 1


def test_a_server_that_hangs_costs_the_given_time(site: Site, authority: Authority) -> None:
    site.answer = None
    with pytest.raises(HttpsError, match="no answer"):
        fetch(site, authority, seconds=0.3)


@pytest.mark.parametrize("fault", ["name", "expired", "unknown"])
def test_the_certificate_counts(authority: Authority, tmp_path: Path, fault: str) -> None:
    issued = {
        "name": lambda: authority.issue("elsewhere.example", label="wrong"),
        "expired": lambda: authority.issue(HOST, label="old", is_expired=True),
        "unknown": lambda: Authority(tmp_path, "Stranger").issue(HOST),
    }[fault]()
    site = Site(issued)
    with pytest.raises(HttpsError, match="certificate"):
        fetch(site, authority)
    site.close()


def test_nobody_there(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.path))
    with pytest.raises(HttpsError):
        asyncio.run(ask(HttpsRequest(HOST, ("127.0.0.1",), "/", 10, 1.0, port=9), context))
    with pytest.raises(HttpsError):
        asyncio.run(ask(HttpsRequest(HOST, (), "/", 10, 1.0), context))
