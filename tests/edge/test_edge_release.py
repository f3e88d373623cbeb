"""Messages to release addresses: an order of a logged-in user, for everybody else no address at all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mailgate.model.envelope import queue_id
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.model.release_address import Claim, release_address
from mailgate.ops import tls
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, stage

BOB = "bob@acme.example"
BODY = b"From: bob@acme.example\r\nSubject: Re: Held for you\r\n\r\nplease\r\n"
ADDRESS = release_address(Claim(queue_id(1.0, 1), 0), "acme.example", b"key")
FOREIGN = ADDRESS.replace("acme", "other")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["submission"]


def submit(folder: Path, context: ssl.SSLContext, part: Callable[[Stage, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), stage(folder, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            await part(on, client)

    asyncio.run(run())


def test_the_store_is_asked_and_nothing_is_kept(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        answer = await client.mail(BODY, 250, sender=BOB, to=ADDRESS)
        assert "released" in answer
        assert on.store.released == [(BOB, ADDRESS.partition("@")[0])]
        assert on.store.kept == []
        await client.mail(BODY, 250, sender=BOB, to=BOB)  # the session goes on
        assert len(on.store.kept) == 1

    submit(tmp_path, context, part)


@pytest.mark.parametrize(
    ("fault", "code"),
    [(NotFoundError("gone"), 550), (ConflictError("only your administrator"), 550), (UnavailableError("away"), 451)],
)
def test_what_goes_wrong_is_said_at_once(tmp_path: Path, context: ssl.SSLContext, fault: Exception, code: int) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.ask(f"MAIL FROM:<{BOB}>", 250)
        await client.ask(f"RCPT TO:<{ADDRESS}>", 250)
        await client.ask("DATA", 354)
        on.store.fault = fault
        answer = await client.ask(BODY + b".", code)
        assert ("administrator" in answer) == isinstance(fault, ConflictError)

    submit(tmp_path, context, part)


@pytest.mark.parametrize(("first", "second"), [(ADDRESS, BOB), (BOB, ADDRESS), (ADDRESS, ADDRESS)])
def test_an_order_stands_alone(tmp_path: Path, context: ssl.SSLContext, first: str, second: str) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.ask(f"MAIL FROM:<{BOB}>", 250)
        await client.ask(f"RCPT TO:<{first}>", 250)
        await client.ask(f"RCPT TO:<{second}>", 452)

    submit(tmp_path, context, part)


def test_another_tenants_domain_has_no_such_address(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.ask(f"MAIL FROM:<{BOB}>", 250)
        await client.ask(f"RCPT TO:<{FOREIGN}>", 550)

    submit(tmp_path, context, part)


def test_without_a_login_it_is_no_address(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), stage(tmp_path) as on:
            client = await on.connect()
            await client.hello()
            await client.ask(f"MAIL FROM:<{BOB}>", 250)
            await client.ask(f"RCPT TO:<{ADDRESS}>", 550)
            assert on.store.released == []

    asyncio.run(run())
