"""What does no harm is taken: names of machines, odd addresses, read receipts, bare line feeds of one's own devices."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from mailgate.ops import tls
from mailgate.policy.schema import TenantPolicy
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, play

FROM_OUTSIDE = b"From: a@b.example\r\n\r\nhello\r\n"
FROM_BOB = b"From: bob@acme.example\r\n\r\n"
ELSEWHERE = "someone@elsewhere.example"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["submission"]


def sending(**keys: object) -> dict[str, TenantPolicy]:
    return {"acme": TenantPolicy.model_validate({"sending": keys})}


@pytest.mark.parametrize(
    ("name", "in_received"),
    [
        (b"M\xc3\x9cLLER-PC", b"[127.0.0.1]"),
        (b"M\xdcLLER-PC", b"[127.0.0.1]"),
        (b"BRN001BA9 scanner", b"[127.0.0.1]"),
        (b"[IPv6:fe80::1%en0]", b"[127.0.0.1]"),
        (b"kochi's-imac", b"[127.0.0.1]"),
        (b"<script>alert(1)</script>", b"[127.0.0.1]"),
        (b"client.example", b"client.example"),
    ],
)
def test_any_name_of_a_machine_is_taken(name: bytes, in_received: bytes, tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.reply()
        answer = await client.ask(b"EHLO " + name, 250)
        assert f"greets {in_received.decode()}" in answer
        await client.mail(FROM_OUTSIDE, 250)
        (entry,) = on.store.kept
        assert b"Received: from " + in_received + b" ([127.0.0.1])" in entry.prefix
        assert entry.prefix.isascii()
        assert entry.events[0].facts["helo"] == name.decode("utf-8", "replace")

    play(part, tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        *("try..this@docomo.example", ".foo@docomo.example", "foo.@docomo.example", "jobs@a_b.sender.example"),
        "bounces+12345678-ab12-christopher.montgomery=verwaltung.stadt-musterhausen.example@em.sender.example",
        "someuser+caf_=website_8b506e99-b5c5-4e14-8294-f5ebd6083faa=mail.acme.example@sender.example",
    ],
)
def test_reverse_paths_of_the_field(path: str, tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.mail(FROM_OUTSIDE, 250, sender=path)
        assert on.store.kept[0].envelope.reverse_path == path

    play(part, tmp_path)


def test_a_path_is_bounded_by_its_length(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask(f"MAIL FROM:<{'a' * 242}@sender.example>", 501)
        await client.ask(f"MAIL FROM:<{'a' * 239}@sender.example>", 250)
        await client.ask("RCPT TO:<..@acme.example>", "550 5.1.1")

    play(part, tmp_path)


def test_users_write_to_whom_only_another_server_can_read(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.log_in()
        await client.ask("MAIL FROM:bob@acme.example", 250)
        paths = ["try..this@docomo.example", '"try..this"@docomo.example', "a%b@gateway.example", "jobs@a_b.example"]
        for path in paths:
            await client.ask(f"RCPT TO:<{path}>", 250)
        await client.ask("RCPT TO:x@elsewhere.example", 250)
        for path in ('"bob"@acme.example', "bob%elsewhere.example@acme.example", "elsewhere.example!bob@acme.example"):
            await client.ask(f"RCPT TO:<{path}>", "501 5.1.3")
        await client.ask("DATA", 354)
        await client.ask(FROM_BOB + b".", 250)
        kept = [recipient.forward_path for recipient in on.store.kept[0].envelope.recipients]
        assert kept == [*paths, "x@elsewhere.example"]

    play(part, tmp_path, name="submission", tls=context)


@pytest.mark.parametrize("path", ['"x"@elsewhere.example', "a%b@elsewhere.example", "a@elsewhere.example"])
def test_strangers_may_not(path: str, tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:a@b.example", 501)
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask(f"RCPT TO:<{path}>", "5")
        await client.ask("RCPT TO:bob@acme.example", 501)

    play(part, tmp_path)


def test_a_read_receipt_has_no_reverse_path(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.log_in()
        await client.mail(FROM_BOB, 250, sender="", to=ELSEWHERE)
        await client.mail(b"From: eve@acme.example\r\n\r\n", 550, sender="", to=ELSEWHERE)
        (entry,) = on.store.kept
        assert entry.envelope.reverse_path == ""
        assert entry.envelope.client.account

    play(part, tmp_path, name="submission", tls=context)


def test_bare_line_feeds_of_users_are_mended(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.log_in()
        await client.mail(FROM_BOB + b"a\nb\n.\n..c\r\n", 250, sender="bob@acme.example", to=ELSEWHERE)
        assert on.store.bodies == [FROM_BOB + b"a\r\nb\r\n\r\n.c\r\n"]
        await client.mail(FROM_BOB + b"a\rb\r\n", 554, sender="bob@acme.example", to=ELSEWHERE)

    play(part, tmp_path, name="submission", tls=context)


def test_bare_line_feeds_in_chunks_of_users_are_mended(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.log_in()
        await client.ask("MAIL FROM:<bob@acme.example>", 250)
        await client.ask(f"RCPT TO:<{ELSEWHERE}>", 250)
        for number, chunk in enumerate([FROM_BOB + b"a\r", b"\nb\nc\r\n"]):
            await client.send(f"BDAT {len(chunk)}{' LAST' if number else ''}\r\n".encode() + chunk)
            assert (await client.reply()).startswith("250")
        assert on.store.bodies == [FROM_BOB + b"a\r\nb\r\nc\r\n"]

    play(part, tmp_path, name="submission", tls=context)


def test_bare_line_feeds_of_ones_own_servers_are_mended(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.mail(FROM_BOB + b"a\nb\r\n", 250, sender="bob@acme.example", to=ELSEWHERE)
        assert on.store.bodies == [FROM_BOB + b"a\r\nb\r\n"]
        await client.mail(FROM_OUTSIDE + b"a\nb\r\n", 554)

    play(part, tmp_path, tenants=sending(networks="127.0.0.1"))


def test_a_device_that_knows_line_feeds_only(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        async def line(text: bytes, code: str) -> str:
            await client.send(text + b"\n")
            answer = await client.reply()
            assert answer.startswith(code), answer
            return answer

        await client.reply()
        assert "CHUNKING" not in await line(b"EHLO scanner", "250")
        await line(b"MAIL FROM:bob@acme.example", "250")
        await line(b"RCPT TO:<" + ELSEWHERE.encode() + b">", "250")
        await line(b"DATA", "354")
        await line(FROM_BOB.replace(b"\r\n", b"\n") + b"a\r\n..b\n.", "250")
        await client.send(b"QUIT\r")
        await client.send(b"\n")
        assert (await client.reply()).startswith("221")
        assert on.store.bodies == [FROM_BOB + b"a\r\n.b\r\n"]

    play(part, tmp_path, tenants=sending(networks="127.0.0.1", line_feed_networks="127.0.0.0/8"))


def test_a_device_that_knows_line_feeds_only_may_use_tls(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.start_tls()
        await client.send(b"EHLO scanner\n")
        assert (await client.reply()).startswith("250")

    play(part, tmp_path, tls=context, tenants=sending(line_feed_networks="127.0.0.1"))


def test_such_a_device_sends_no_chunks(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<bob@acme.example>", 250)
        await client.ask(f"RCPT TO:<{ELSEWHERE}>", 250)
        await client.send(b"BDAT 4 LAST\r\na\nb\n")
        assert (await client.reply()).startswith("502")
        assert await client.reply() == "closed"
        assert not on.store.kept

    play(part, tmp_path, tenants=sending(line_feed_networks="127.0.0.1", networks="127.0.0.1"))


def test_of_others_a_bare_line_feed_stays_a_fault(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.reply()
        await client.send(b"EHLO scanner\n")
        assert (await client.reply()).startswith("500")

    play(part, tmp_path, tenants=sending(line_feed_networks="192.0.2.0/24"))
