"""A handshake that fails ends with an alert, so that the sender knows what to try next."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

import pytest

from mailgate.edge.handshake import alert_of
from mailgate.ops import tls
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, play

V = ssl.TLSVersion


def context(folder: Path, name: str = "mx", **settings: str) -> ssl.SSLContext:
    return tls.ServerTls(Settings(data_dir=folder, hostname="mx.acme.example", **settings)).contexts[name]


def hello(ciphers: str, lowest: V, highest: V) -> bytes:
    """The first flight of a client."""
    given = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    given.check_hostname, given.verify_mode = False, ssl.CERT_NONE
    given.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        given.minimum_version, given.maximum_version = lowest, highest
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        given.wrap_bio(arriving, leaving).do_handshake()
    return leaving.read()


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (lambda: hello("ALL", V.TLSv1, V.TLSv1), 70),
        (lambda: hello("ALL", V.TLSv1_1, V.TLSv1_1), 70),
        (lambda: hello("AES128-SHA", V.TLSv1_2, V.TLSv1_2), 40),
        (lambda: b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 40),
        (lambda: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 100, 40),
    ],
)
def test_the_client_hears_why(tmp_path: Path, first: object, code: int) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("STARTTLS", 220)
        await client.send(first())  # type: ignore[operator]
        answer = await client.reader.read()
        assert (answer[0], answer[-2:]) == (21, bytes((2, code)))

    play(part, tmp_path, tls=context(tmp_path, mx_tls_minimum="1.2"))


def test_who_went_away_hears_nothing() -> None:
    assert alert_of(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")) == b""
