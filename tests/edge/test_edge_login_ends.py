"""Whoever loses the login loses it in open sessions, too: at the next command, and before a message is kept."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from mailgate.model.errors import UnavailableError
from mailgate.ops import tls
from mailgate.settings import Settings
from tests.edge.dialogue import stage

BOB = "bob@acme.example"
MESSAGE = b"From: bob@acme.example\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["submission"]


@pytest.mark.parametrize("command", ["MAIL FROM:<bob@acme.example>", "NOOP", "RSET"])
def test_at_the_next_command(tmp_path: Path, context: ssl.SSLContext, command: str) -> None:
    async def scenario() -> None:
        async with stage(tmp_path, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            await client.ask("NOOP", 250)
            on.store.ended.add(BOB)
            on.store.generation += 1
            assert "Your login has ended" in await client.ask(command, 421)
            assert await client.reply() == "closed"

    asyncio.run(scenario())


def test_a_message_that_was_under_way_is_not_kept(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with stage(tmp_path, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            await client.ask(f"MAIL FROM:<{BOB}>", 250)
            await client.ask(f"RCPT TO:<{BOB}>", 250)
            await client.ask("DATA", 354)
            on.store.ended.add(BOB)
            on.store.generation += 1
            await client.ask(MESSAGE + b".", 421)
            assert on.store.kept == []

    asyncio.run(scenario())


def test_a_change_that_does_not_concern_it_ends_nothing(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with stage(tmp_path, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            on.store.generation += 1
            await client.mail(MESSAGE, 250, sender=BOB)

    asyncio.run(scenario())


def test_while_the_store_is_away_the_question_waits(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with stage(tmp_path, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            on.store.generation += 1
            on.store.ended.add(BOB)
            on.store.fault = UnavailableError("away")
            await client.ask("NOOP", 250)
            on.store.fault = None
            await client.ask("NOOP", 421)

    asyncio.run(scenario())
