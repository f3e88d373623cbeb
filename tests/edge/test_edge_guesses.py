"""Who guesses addresses, and whose list is only old."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge import guesses as guesses_module
from mailgate.edge.guesses import TARPIT_MOST, ConnectionGuesses, Guesses
from mailgate.policy.schema import TenantPolicy
from tests.edge.dialogue import Client, Stage, play

BODY = b"From: a@b.example\r\nSubject: s\r\n\r\nhello\r\n"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def no_tarpit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses_module, "TARPIT_STEP", 0.0)


def test_replies_get_slower_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses_module, "TARPIT_STEP", 0.1)
    guesses = ConnectionGuesses()
    delays = []
    for _ in range(100):
        guesses.refused()
        delays.append(guesses.delay)
    assert delays[:5] == [0.0] * 5
    assert delays[5:] == sorted(delays[5:])
    assert delays[-1] == TARPIT_MOST


def test_good_addresses_count_once_each() -> None:
    guesses = ConnectionGuesses()
    for _ in range(30):
        guesses.refused()
        guesses.good("bob@acme.example")
    assert guesses.excess == 29


def test_an_address_and_its_network_are_over_and_it_fades() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    for last in range(4):
        for _ in range(10):
            assert not guesses.is_over(f"192.0.2.{last}", 10)
            guesses.refused(f"192.0.2.{last}", 10)
        assert guesses.is_over(f"192.0.2.{last}", 10)
    assert guesses.is_over("192.0.2.99", 10), "its neighbours are"
    assert not guesses.is_over("198.51.100.1", 10)
    clock.now += 1800
    assert not guesses.is_over("192.0.2.1", 10)
    for _ in range(5):
        guesses.refused("192.0.2.1", 10)
    assert guesses.is_over("192.0.2.1", 10), "the half of it is left"


def test_mail_that_was_kept_makes_up_for_refused_ones() -> None:
    guesses = Guesses(Clock())
    for _ in range(100):
        guesses.refused("192.0.2.1", 10)
        guesses.kept("192.0.2.1", 10, 10)
    assert not guesses.is_over("192.0.2.1", 10)
    assert not guesses._levels


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_memory_is_bounded(numbers: list[int]) -> None:
    guesses = Guesses(Clock(), remembered=10)
    for number in numbers:
        guesses.refused(str(ipaddress.ip_address(number)), 10)
    assert len(guesses._levels) <= 10


# On the wire


async def guess(client: Client, start: int, most: int, domain: str = "acme.example") -> list[str]:
    """Codes of RCPT until something else than 550 comes."""
    codes = []
    for number in range(start, start + most):
        await client.send(f"RCPT TO:<nobody{number}@{domain}>\r\n".encode())
        codes.append((await client.reply())[:9])
        if not codes[-1].startswith("550"):
            break
    return codes


@pytest.mark.parametrize("domain", ["acme.example", "elsewhere.example"])
def test_a_harvester_is_closed(tmp_path: Path, domain: str) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        codes = await guess(client, 0, 100, domain)
        assert [code[:3] for code in codes] == ["550"] * 20 + ["421"]
        assert await client.reply() == "closed"

    play(part, tmp_path)


def test_a_harvester_with_one_good_address_is_closed(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        codes: list[str] = []
        for number in range(100):
            await client.send(b"RSET\r\nMAIL FROM:<a@b.example>\r\n")
            await client.reply(), await client.reply()
            codes += await guess(client, number, 1)
            await client.send(b"RCPT TO:<bob@acme.example>\r\n")
            if (await client.reply()).startswith("421"):
                break
        assert len(codes) == 21

    play(part, tmp_path)


def test_a_list_with_dead_addresses_is_delivered(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("RCPT TO:<eve@acme.example>", 250)
        codes = await guess(client, 0, 15)
        assert {code[:3] for code in codes} == {"550"}
        await client.ask("DATA", 354)
        await client.ask(BODY + b".", 250)

    play(part, tmp_path)


def test_what_is_taken_already_is_delivered_to_them(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        codes = await guess(client, 0, 100)
        assert codes[-1] == "452 4.5.3"
        await client.ask("DATA", 354)
        await client.ask(BODY + b".", 250)
        assert len(on.store.kept) == 1
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<eve@acme.example>", 421)

    play(part, tmp_path)


def test_coming_again_does_not_help(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        asked = []
        resolve = on.store.resolve

        async def watched(address: object) -> object:
            asked.append(str(address))
            return await resolve(address)  # type: ignore[arg-type]

        on.store.resolve = watched  # type: ignore[method-assign, assignment]
        codes: list[str] = []
        for number in range(4):
            again = await on.connect()
            await again.hello()
            await again.ask("MAIL FROM:<a@b.example>", 250)
            codes += await guess(again, number * 100, 10)
        assert [code[:3] for code in codes].count("550") == 25
        assert codes[-1] == "450 4.7.1"
        asked.clear()
        await again.ask("RCPT TO:<bob@acme.example>", "450 4.7.1")
        assert not asked, "whether he is here must not be looked up"
        await again.ask("RCPT TO:<postmaster@acme.example>", 250)
        other = await on.connect("127.1.0.1")
        await other.hello()
        await other.mail(BODY, 250)

    play(part, tmp_path, unknown_recipients_per_hour=25)


def exempt(part: Callable[[Stage, Client], Awaitable[None]], folder: Path) -> None:
    acme = TenantPolicy.model_validate({"sending": {"networks": ["127.0.0.1"]}})
    play(part, folder, tenants={"acme": acme}, unknown_recipients=3, unknown_recipients_per_hour=5)


def test_a_tenants_own_server_may_name_whom_it_likes(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<bob@acme.example>", 250)
        codes = await guess(client, 0, 30)
        assert {code[:3] for code in codes} == {"550"}
        assert not on.edge.guesses._levels

    exempt(part, tmp_path)


def test_while_a_reply_waits_the_client_can_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses_module, "TARPIT_STEP", 5.0)

    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.send(b"".join(b"RCPT TO:<n%d@acme.example>\r\n" % number for number in range(10)))
        (session,) = on.edge.sessions
        async with asyncio.timeout(10):
            while not session._is_sitting_out:
                await asyncio.sleep(0.01)
        other = await on.connect("127.1.0.1")
        await other.hello()

    play(part, tmp_path, connections=1, submission_reserve=0)
