"""REQUIRETLS where mail comes in: offered inside TLS only, kept in the envelope (RFC 8689 sections 2 and 4.1)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mailgate.ops import tls
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, stage

BODY = b"From: a@b.example\r\nSubject: s\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["mx"]


def play(part: Callable[[Stage, Client], Awaitable[None]], folder: Path, context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), stage(folder, tls=context) as on:
            client = await on.connect()
            await client.hello()
            await part(on, client)

    asyncio.run(run())


async def secured(client: Client) -> str:
    await client.start_tls()
    return await client.ask("EHLO client.example", 250)


@pytest.mark.parametrize("is_asked", [True, False])
def test_it_is_kept_in_the_envelope(tmp_path: Path, context: ssl.SSLContext, is_asked: bool) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert "REQUIRETLS" in await secured(client)
        await client.ask("MAIL FROM:<a@b.example>" + (" REQUIRETLS" if is_asked else ""), 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("DATA", 354)
        await client.ask(BODY + b".", 250)
        (entry,) = on.store.kept
        assert entry.envelope.requiretls is is_asked
        assert entry.events[0].facts.get("requiretls", False) is is_asked

    play(part, tmp_path, context)


def test_without_tls_it_is_not_offered(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert "REQUIRETLS" not in await client.ask("EHLO client.example", 250)
        await client.ask("MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4")

    play(part, tmp_path, context)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [("REQUIRETLS=yes", "501 5.5.4"), ("REQUIRETLS REQUIRETLS", "501 5.5.4"), ("requiretls", "250 2.1.0")],
)
def test_it_takes_no_value_and_stands_once(tmp_path: Path, context: ssl.SSLContext, parameters: str, code: str) -> None:
    async def part(on: Stage, client: Client) -> None:
        await secured(client)
        await client.ask(f"MAIL FROM:<a@b.example> {parameters}", code)

    play(part, tmp_path, context)


def test_helo_knows_no_parameters(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.start_tls()
        await client.ask("HELO client.example", 250)
        await client.ask("MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4")

    play(part, tmp_path, context)
