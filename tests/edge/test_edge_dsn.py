"""What a sender asks for by DSN parameters reaches the envelope; only senders who have logged in may ask."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from mailgate.ops import tls
from mailgate.settings import Settings
from tests.edge.dialogue import stage

BODY = b"From: bob@acme.example\r\nSubject: s\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["submission"]


def test_a_submission_says_what_it_wants_to_know(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), stage(tmp_path, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            assert "DSN\r\n" in await client.ask("EHLO client.example", 250)
            await client.ask("MAIL FROM:<bob@acme.example> RET=HDRS ENVID=order+2B7", 250)
            await client.ask("RCPT TO:<eve@acme.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Eve@acme.example", 250)
            await client.ask("RCPT TO:<eve@acme.example> NOTIFY=NEVER", 250)
            await client.ask("RCPT TO:<bob@acme.example> NOTIFY=SOMETIMES", 501)
            await client.ask("RCPT TO:<bob@acme.example>", 250)
            await client.ask("DATA", 354)
            await client.ask(BODY + b".", 250)
            (entry,) = on.store.kept
            envelope = entry.envelope
            assert (envelope.ret, envelope.envid) == ("HDRS", "order+2B7")
            assert [(each.forward_path, each.notify, each.orcpt) for each in envelope.recipients] == [
                ("eve@acme.example", ("SUCCESS", "FAILURE"), "rfc822;Eve@acme.example"),
                ("bob@acme.example", (), ""),
            ]

    asyncio.run(run())


def test_strangers_are_not_offered_dsn(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), stage(tmp_path) as on:
            client = await on.connect()
            await client.reply()
            assert "DSN" not in await client.ask("EHLO client.example", 250)
            await client.ask("MAIL FROM:<a@b.example> RET=FULL", "555 5.5.4")
            await client.ask("MAIL FROM:<a@b.example>", 250)
            await client.ask("RCPT TO:<bob@acme.example> NOTIFY=SUCCESS", "555 5.5.4")

    asyncio.run(run())
