"""A server known by its client certificate: any is taken in the handshake, the policy says what it opens."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge import client_certificate
from mailgate.model.envelope import Direction
from mailgate.ops import tls
from mailgate.policy.schema import TenantPolicy
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, stage
from tests.support.certificates import Authority, Issued

BODY = b"From: joe@acme.example\r\nSubject: s\r\n\r\nhello\r\n"
OURS, FAR = "joe@acme.example", "someone@elsewhere.example"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["mx"]


@pytest.fixture
def asking(context: ssl.SSLContext) -> Iterator[ssl.SSLContext]:
    client_certificate.ask(context, True)
    yield context
    client_certificate.ask(context, False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "Nobody Knows Me")


@pytest.fixture(scope="module")
def shown(authority: Authority) -> Issued:
    return authority.issue("mail.acme.example")


@pytest.fixture(scope="module")
def expired(authority: Authority) -> Issued:
    return authority.issue("mail.acme.example", label="expired", is_expired=True)


def fingerprint(issued: Issued) -> str:
    return hashlib.sha256(issued.der).hexdigest()


def pin(issued: Issued, **more: Any) -> dict[str, Any]:
    return {"name": "main server", "sha256": fingerprint(issued), **more}


def play(
    part: Callable[[Stage, Client], Awaitable[None]],
    folder: Path,
    context: ssl.SSLContext,
    show: Issued | None,
    *pins: dict[str, Any],
    networks: tuple[str, ...] = (),
    other: tuple[dict[str, Any], ...] = (),
) -> None:
    """One dialogue inside TLS; `pins` stand in the policy of acme, `other` in that of another tenant."""
    tenants = {
        "acme": TenantPolicy.model_validate({"sending": {"certificates": pins, "networks": networks}}),
        "other": TenantPolicy.model_validate({"sending": {"certificates": other}}),
    }

    async def run() -> None:
        async with asyncio.timeout(30), stage(folder, tls=context, tenants=tenants) as on:
            client = await on.connect()
            await client.hello()
            await client.start_tls(show)
            await client.ask("EHLO mail.acme.example", 250)
            await part(on, client)

    asyncio.run(run())


async def is_let_in(on: Stage, client: Client, sender: str = OURS) -> bool:
    await client.ask(f"MAIL FROM:<{sender}>", 250)
    await client.send(f"RCPT TO:<{FAR}>\r\n".encode())
    answer = await client.reply()
    await client.ask("RSET", 250)
    assert answer.startswith(("250 ", "550 5.7.1"))
    return answer.startswith("250")


def test_a_pinned_certificate_opens_the_way_out(tmp_path: Path, asking: ssl.SSLContext, shown: Issued) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(BODY, 250, sender=OURS, to=FAR)
        (entry,) = on.store.kept
        assert (entry.envelope.tenant, entry.envelope.direction) == ("acme", Direction.OUTBOUND)
        assert entry.events[0].facts["let_in_by"] == f'certificate "main server" (sha256 {fingerprint(shown)})'

    play(part, tmp_path, asking, shown, pin(shown))


def test_a_pinned_key_outlives_the_certificate(tmp_path: Path, asking: ssl.SSLContext, shown: Issued) -> None:
    key = hashlib.sha256(shown.public_key).hexdigest()

    async def part(on: Stage, client: Client) -> None:
        assert await is_let_in(on, client)

    play(part, tmp_path, asking, shown, {"name": "by key", "public_key": key})


@pytest.mark.parametrize("sender", ["kim@other.example", "joe@elsewhere.example"])
def test_for_the_tenants_own_domains_only(tmp_path: Path, asking: ssl.SSLContext, shown: Issued, sender: str) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert not await is_let_in(on, client, sender)

    play(part, tmp_path, asking, shown, pin(shown))


@pytest.mark.parametrize(
    ("domain", "sender", "expected"),
    [
        ("acme.example", OURS, True),
        ("routed.acme.example", OURS, False),
        ("*.acme.example", "joe@routed.acme.example", True),
        ("routed.acme.example", "", True),
    ],
)
def test_or_for_some_of_them(
    tmp_path: Path, asking: ssl.SSLContext, shown: Issued, domain: str, sender: str, expected: bool
) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert await is_let_in(on, client, sender) is expected

    play(part, tmp_path, asking, shown, pin(shown, domain=domain))


def test_strangers_are_strangers_with_any_certificate(
    tmp_path: Path, asking: ssl.SSLContext, shown: Issued, authority: Authority
) -> None:
    """Nobody is turned away for a certificate: large providers show theirs to everybody."""

    async def part(on: Stage, client: Client) -> None:
        assert not await is_let_in(on, client)
        await client.mail(BODY, 250, sender="a@b.example")
        assert on.store.kept[0].envelope.direction is Direction.INBOUND
        assert "let_in_by" not in on.store.kept[0].events[0].facts

    for number, show in enumerate((None, authority.issue("mx.provider.example"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        play(part, folder, asking, show, pin(shown))


def test_an_expired_one_is_refused_in_words(tmp_path: Path, asking: ssl.SSLContext, expired: Issued) -> None:
    async def part(on: Stage, client: Client) -> None:
        answer = await client.ask(f"MAIL FROM:<{OURS}>", "554 5.7.8")
        assert "main server" in answer and "has expired on" in answer and "install a new one" in answer
        assert not await is_let_in(on, client, "a@b.example"), "as a stranger it may go on"

    play(part, tmp_path, asking, expired, pin(expired))


def test_an_expired_one_takes_nothing_away(tmp_path: Path, asking: ssl.SSLContext, expired: Issued) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert await is_let_in(on, client)

    play(part, tmp_path, asking, expired, pin(expired), networks=("127.0.0.1",))


def test_the_null_path_needs_a_server_of_one_tenant(tmp_path: Path, asking: ssl.SSLContext, shown: Issued) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert not await is_let_in(on, client, "")
        assert await is_let_in(on, client, OURS)
        assert await is_let_in(on, client, "kim@other.example")

    play(part, tmp_path, asking, shown, pin(shown), other=(pin(shown),))


def test_nobody_is_asked_where_no_policy_wants_it(tmp_path: Path, context: ssl.SSLContext, shown: Issued) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert not await is_let_in(on, client)

    play(part, tmp_path, context, shown, pin(shown))


def test_what_another_tenant_pins_opens_nothing(tmp_path: Path, asking: ssl.SSLContext, shown: Issued) -> None:
    async def part(on: Stage, client: Client) -> None:
        assert not await is_let_in(on, client)

    play(part, tmp_path, asking, shown, other=(pin(shown),))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate(data: bytes) -> None:
    assert client_certificate.parse(data) is None


def test_facts_of_a_certificate(shown: Issued) -> None:
    read = client_certificate.parse(shown.der)
    assert read is not None
    assert (read.sha256, read.public_key) == (fingerprint(shown), hashlib.sha256(shown.public_key).hexdigest())
    assert read.ends == shown.certificate.not_valid_after_utc.timestamp()
    assert client_certificate.day_of(0) == "1970-01-01"
