"""Whom a submission may name as its author and sender."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge.send_as import SendAs
from mailgate.model.address import Address
from mailgate.model.errors import Refusal
from mailgate.ops import tls
from mailgate.policy.schema import Addresses, GatewayPolicy, Submission
from mailgate.senderauth import header
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, stage

BOB = SendAs(frozenset({"bob@acme.example", "jürgen@acme.example", "bob@xn--bcher-kva.example"}))
FROM_BOB = b"From: Bob <bob@acme.example>\r\n"


def refusal(fields: str | bytes, who: SendAs = BOB) -> str:
    """What the client reads; empty where the message may go."""
    try:
        head = (fields if isinstance(fields, bytes) else fields.encode()) + b"\r\n\r\nFrom: eve@evil.example\r\n"
        who.check(header.read(head))
    except Refusal as found:
        return str(found.reply)
    return ""


@pytest.mark.parametrize(
    "fields",
    [
        "From: bob@acme.example",
        "from : BOB@Acme.Example",
        "From: Bob <bob+shop@acme.example>",
        'From: "Eve <eve@evil.example>" <bob@acme.example>',
        "From: =?utf-8?q?eve=40evil=2Eexample?= <bob@acme.example>",
        "From: (eve@evil.example) bob@acme.example",
        "From: Us: bob@acme.example, Bob <Bob@acme.example>;\r\nSender: bob@acme.example",
        "From: Ju\u0308rgen <JU\u0308RGEN@acme.example>",
        "From: bob@b\u00fccher.example",
        "From: bob@xn--bcher-kva.example",
        "From:\r\n bob\r\n @acme.example",
        "From: bob@acme.example <bob@acme.example>",
        "From: Builder, Bob <bob@acme.example>",
        "From: bob@acme.example\r\nFrom: Bob <bob@acme.example>",
        "Resent-From: bob@acme.example\r\nFrom: bob@acme.example\r\nReply-To: anybody@else.example",
    ],
)
def test_own_addresses(fields: str) -> None:
    assert refusal(fields) == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("From: eve@acme.example", "may not send as eve@acme.example, which the From field names"),
        ("From: bob@acme.example, eve@acme.example\r\nSender: bob@acme.example", "eve@acme.example"),
        ("From: team: bob@acme.example, eve@acme.example;", "eve@acme.example"),
        ("From: bob@acme.example <eve@acme.example>", "eve@acme.example"),
        ("From: bob@acme.example <bob@evil.example>", "does not say clearly"),
        ("From: eve.(x) bob@acme.example <", "does not say clearly"),
        ("From: =?utf-8?q?bob=40acme=2Eexample?= <eve@acme.example>", "eve@acme.example"),
        ("From: =?utf-8?q?bob?=@acme.example", "=?utf-8?q?bob?=@acme.example"),
        ('From: "bob"@acme.example', '"bob"@acme.example'),
        ("From: bob@acme.example\r\nFrom: bob@evil.example", "2 From fields"),
        ("From: bob@acme.example\r\nFROM\t: eve@acme.example", "eve@acme.example"),
        ("From: bob@acme.example\r\nSender: eve@acme.example", "the Sender field names"),
        ("From: bob@acme.example\r\nSender: ", "the Sender field holds no address"),
        ("From: bob@acme.example\r\nSender: bob@acme.example\r\nSender: eve@acme.example", "the Sender field names"),
        ("From: bob@acme.example\r\nResent-From: eve@acme.example", "the Resent-From field names"),
        ("From: bob@acme.example\r\nResent-Sender: eve@acme.example", "the Resent-Sender field names"),
        ("From: bob@\u0430cme.example", "may not send as bob@xn--"),
        ("From: b\u043eb@acme.example", "may not send as b?b@acme.example"),
        ("From: undisclosed:;", "no address in From"),
        ("Subject: nobody", "no address in From"),
        ("Subject: s\r\n\r\nFrom: bob@acme.example", "no address in From"),
        (b"From: bob\xff@acme.example", "not UTF-8"),
    ],
)
def test_what_is_not_ones_own_is_refused(fields: str | bytes, words: str) -> None:
    told = refusal(fields)
    assert told.startswith("550 5.7.1 ") and words in told


def test_labels_are_another_matter_where_they_mean_nothing() -> None:
    bob = SendAs(frozenset({"bob@acme.example"}), has_labels=False)
    assert bob.covers(Address("BOB", "acme.example"))
    assert not bob.covers(Address("bob+shop", "acme.example"))


@given(st.binary(max_size=200))
def test_whatever_is_in_the_header_is_judged(head: bytes) -> None:
    told = refusal(head)
    assert told == "" or (told.startswith("550 5.7.1 ") and told.isascii() and "\n" not in told)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_display_name_changes_whose_address_it_is(before: str, comment: str) -> None:
    """Either it can't be read, or the address in angle brackets decides."""
    told = refusal(f"From: {before.replace(chr(13), '').replace(chr(10), '')} <eve@acme.example> ({comment!a})")
    assert told.startswith("550 5.7.1 ")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["submission"]


async def submit(client: Client, message: bytes, code: int | str, sender: str = "bob@acme.example") -> str:
    await client.ask(f"MAIL FROM:<{sender}>", 250)
    await client.ask("RCPT TO:<someone@elsewhere.example>", 250)
    await client.ask("DATA", 354)
    return await client.ask(message + b".", code)


def test_a_session_of_submissions(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), stage(tmp_path, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            await client.ask("MAIL FROM:<eve@acme.example>", "553 5.7.1")
            await client.ask(
                "MAIL FROM:<>", "250"
            )  # a read receipt has it (RFC 8098 section 3); From is judged all the same
            await client.ask("RSET", 250)
            await submit(client, b"From: eve@acme.example\r\n\r\nhello\r\n", "550 5.7.1")
            await submit(client, FROM_BOB + b"\r\nhello\r\n", 250, sender="Bob+news@ACME.example")
            assert [event.kind for event in on.store.notes[0].events] == ["received", "refused"]
            assert len(on.store.kept) == 1

    asyncio.run(run())


def test_blind_copies_stay_blind(tmp_path: Path, context: ssl.SSLContext) -> None:
    blind = b"Bcc: kim@secret.example,\r\n lee@secret.example\r\n"
    again = b"resent-bcc : lou@secret.example\r\n"
    message = blind + FROM_BOB + again + b"Subject: s\r\n\r\nBcc: in the body\r\n"

    async def run() -> None:
        async with asyncio.timeout(30), stage(tmp_path, name="submission", tls=context) as on:
            client = await on.connect()
            await client.log_in()
            await submit(client, message, 250)
            (entry,) = on.store.kept
            kept = message
            for start, end in reversed(entry.cuts):
                kept = kept[:start] + kept[end:]
            assert kept == FROM_BOB + b"Subject: s\r\n\r\nBcc: in the body\r\n"
            assert "authenticated" not in [event.kind for event in entry.events], "nothing was forged"

    asyncio.run(run())


@pytest.mark.parametrize("is_hidden", [True, False])
def test_the_client_is_not_shown_to_recipients(tmp_path: Path, context: ssl.SSLContext, is_hidden: bool) -> None:
    async def trace(on: Stage) -> tuple[bytes, str]:
        client = await on.connect()
        await client.log_in()
        await submit(client, FROM_BOB + b"\r\nhello\r\n", 250)
        (entry,) = on.store.kept
        return entry.prefix, str(entry.events[0].facts["client"])

    async def run() -> None:
        policy = GatewayPolicy() if is_hidden else GatewayPolicy(submission=Submission(hide_client=False))
        async with asyncio.timeout(30), stage(tmp_path, name="submission", tls=context, policy=policy) as on:
            prefix, recorded = await trace(on)
            for personal in (b"127.0.0.1", b"client.example", b"smtp.auth=bob@acme.example"):
                assert (personal in prefix) is not is_hidden
            source = b"mx.acme.example (" if is_hidden else b"client.example ("
            assert b"\r\nReceived: from " + source in prefix
            assert b"auth=pass" in prefix
            assert recorded == "127.0.0.1", "the timeline knows"

    asyncio.run(run())


def test_a_tenant_without_labels(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def run() -> None:
        policy = GatewayPolicy(addresses=Addresses(labels=False))
        async with asyncio.timeout(30), stage(tmp_path, name="submission", tls=context, policy=policy) as on:
            client = await on.connect()
            await client.log_in()
            await client.ask("MAIL FROM:<bob+news@acme.example>", "553 5.7.1")

    asyncio.run(run())
