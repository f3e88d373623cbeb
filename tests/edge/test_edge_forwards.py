"""Addresses that lead elsewhere, in the dialogue: apart from mailboxes, never twice, bounces only back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from mailgate.ipc.calls import Resolved
from mailgate.model.decision import Action
from mailgate.model.envelope import Direction, MailboxId, TenantName
from tests.edge.dialogue import Client, Stage, stage

BODY = b"From: a@b.example\r\nSubject: s\r\n\r\nhello\r\n"
ACME = TenantName("acme")
TEAM = Resolved("mailbox", ACME, (MailboxId("m-bob"),), forwards=("x@away.example", "y@away.example"))
ONLY = Resolved("mailbox", ACME, forwards=("x@away.example",))
BOUNCE = Resolved("bounce", ACME, forwards=("ann@sender.example",))
SRS = "SRS0=ABCDEF=AA=sender.example=ann@acme.example"


def play(folder: Path, part: Callable[[Stage, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), stage(folder) as on:
            on.store.forwards |= {"team@acme.example": TEAM, "only@acme.example": ONLY, SRS: BOUNCE}
            client = await on.connect()
            await client.hello()
            await part(on, client)

    asyncio.run(run())


def test_what_stays_and_what_goes_on_are_two_entries(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(BODY, 250, to="team@acme.example")
        stays, goes = on.store.kept
        assert [(each.forward_path, each.mailboxes) for each in stays.envelope.recipients] == [
            ("team@acme.example", ("m-bob",))
        ]
        assert [(each.forward_path, each.forwarder) for each in goes.envelope.recipients] == [
            ("x@away.example", "team@acme.example"),
            ("y@away.example", "team@acme.example"),
        ]
        assert (goes.envelope.tenant, goes.envelope.direction) == ("acme", Direction.INBOUND)
        assert stays.prefix.startswith(b"Return-Path: <a@b.example>")
        assert goes.prefix.startswith(b"Authentication-Results: "), "Return-Path is for the last host to write"

    play(tmp_path, part)


def test_nobody_gets_it_twice(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.ask("MAIL FROM:<a@b.example>", 250)
        for address in ("only@acme.example", "Team@acme.example", "team@acme.example", "only@acme.example"):
            await client.ask(f"RCPT TO:<{address}>", 250 if address[0] != "T" else 550)
        await client.ask("DATA", 354)
        await client.ask(BODY + b".", 250)
        paths = [each.forward_path for entry in on.store.kept for each in entry.envelope.recipients]
        assert sorted(paths) == ["team@acme.example", "x@away.example", "y@away.example"]

    play(tmp_path, part)


def test_what_is_not_clean_does_not_go_on(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(b"Subject: EICAR-LIKE\r\n\r\n\r\n", 554, to="team@acme.example")
        assert not on.store.kept

    play(tmp_path, part)


def test_an_address_forwards_a_message_once(tmp_path: Path) -> None:
    back = b"Delivered-To: Team@ACME.example\r\nDelivered-To: <only@acme.example>\r\n" + BODY

    async def part(on: Stage, client: Client) -> None:
        await client.mail(back, "554 5.4.6", to="only@acme.example")
        await client.mail(back, 250, to="team@acme.example")
        (entry,) = on.store.kept
        assert [each.mailboxes for each in entry.envelope.recipients] == [("m-bob",)]
        assert "not_forwarded" in [event.kind for event in entry.events]

    play(tmp_path, part)


def test_bounces_go_back_and_nothing_else_does(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask(f"RCPT TO:<{SRS}>", "550 5.7.1")
        await client.ask("RSET", 250)
        await client.mail(BODY, 250, sender="", to=SRS)
        (entry,) = on.store.kept
        (recipient,) = entry.envelope.recipients
        assert (recipient.forward_path, recipient.mailboxes) == ("ann@sender.example", ())
        assert (entry.envelope.reverse_path, entry.decision.action) == ("", Action.ACCEPT)

    play(tmp_path, part)
