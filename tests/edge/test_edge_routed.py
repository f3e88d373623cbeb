"""Mail for a tenant that has a server of its own: recipients are verified there; what the server sends is taken."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mailgate.model.envelope import Direction
from mailgate.policy.schema import TenantPolicy
from tests.edge.dialogue import Client, Stage, stage
from tests.support.scripted_hop import ALL, Fault, ScriptedHop

BODY = b"From: a@b.example\r\nSubject: s\r\n\r\nhello\r\n"
PEOPLE_THERE = ["joe@routed.acme.example", "ann@routed.acme.example"]
Part = Callable[[Stage, Client, ScriptedHop], Awaitable[None]]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def play(
    part: Part,
    folder: Path,
    clock: Clock | None = None,
    extensions: Sequence[str] = ALL,
    sends: bool = False,
    **route: Any,
) -> None:
    """One dialogue on MX. The hop is the server of acme, with `route` in its policy; `sends`: it is we who send."""

    async def run() -> None:
        hop = await ScriptedHop(extensions=extensions).listen()
        inbound = {"domain": "routed.acme.example", "server": f"127.0.0.1:{hop.port}", **route}
        sending = {"networks": ["127.0.0.0/8"] if sends else []}
        acme = TenantPolicy.model_validate({"inbound": [inbound], "sending": sending})
        around = stage(folder, tenants={"acme": acme}, clock=clock or Clock())
        async with asyncio.timeout(30), hop, around as on:
            client = await on.connect()
            await client.hello()
            await part(on, client, hop)

    asyncio.run(run())


async def ask(client: Client, recipient: str, code: str) -> None:
    await client.ask("MAIL FROM:<a@b.example>", 250)
    await client.ask(f"RCPT TO:<{recipient}>", code)
    await client.ask("RSET", 250)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_known_recipient_is_taken_for_the_relay(tmp_path: Path, protocol: str) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await client.mail(BODY, 250, to=PEOPLE_THERE[0])
        (entry,) = on.store.kept
        assert (entry.envelope.tenant, entry.envelope.direction) == ("acme", Direction.INBOUND)
        assert [(r.forward_path, r.mailboxes) for r in entry.envelope.recipients] == [(PEOPLE_THERE[0], ())]
        assert hop.commands[:3] == [
            f"{'LHLO' if protocol == 'lmtp' else 'EHLO'} mx.acme.example",
            "MAIL FROM:<>",
            f"RCPT TO:<{PEOPLE_THERE[0]}>",
        ]
        assert not hop.transactions

    play(part, tmp_path, protocol=protocol)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, "550 5.1.1"),
        ({"RCPT": "252 2.0.0 perhaps"}, "250"),
        ({"RCPT": "550 5.1.10 RESOLVER.ADR.RecipientNotFound"}, "550 5.1.1"),
        ({"RCPT": "550 5.2.1 disabled"}, "550 5.1.1"),
        ({"RCPT": "550 5.7.1 unable to relay"}, "451 4.4.1 The recipient's own server does not take mail from this"),
        ({"RCPT": "530 5.7.0 must issue STARTTLS first"}, "451 4.4.1 The recipient's own server does not take"),
        ({"RCPT": "530 log in first"}, "451 4.4.1 The recipient's own server does not take"),
        ({"RCPT": "554 5.7.1 client host blocked"}, "451 4.4.1 The recipient's own server does not take"),
        ({"RCPT": "503 5.5.1 bad sequence"}, "451 4.4.1 The recipient's own server does not take"),
        ({"RCPT": "550 relay not permitted"}, "451 4.4.1 The recipient's own server does not take"),
        ({"RCPT": "550 5.4.1 access denied"}, "451 4.4.1 The recipient's own server does not take"),
        ({"RCPT joe": "550 no such user"}, "550 5.1.1"),
        ({"RCPT joe": "550 5.4.1 recipient address rejected"}, "550 5.1.1"),
        ({"RCPT": "451 4.7.1 greylisted"}, "451 4.4.1 The recipient's own server takes no mail for this recipient now"),
        (
            {"RCPT": "553 5.1.8 domain of sender address does not exist"},
            "451 4.4.1 The recipient's own server does not take",
        ),
        ({"RCPT": "554 5.1.7 bad sender"}, "451 4.4.1 The recipient's own server does not take"),
        ({"MAIL FROM:<>": "554 5.1.0 Sender denied"}, "250"),
        ({"MAIL FROM:<>": "554 5.1.0 Sender denied", "RCPT": "550 5.1.1 no such user"}, "550 5.1.1"),
        ({"MAIL": "550 5.7.1 blocked"}, "451 4.4.1"),
        ({"MAIL": "451 4.7.0 later"}, "451 4.4.1"),
        ({"EHLO": "502 5.5.1 what?"}, "250"),
        ({"EHLO": "421 4.3.2 busy"}, "451 4.4.1"),
        ({"RCPT": "450 4.2.0 later"}, "451 4.4.1"),
        ({"RCPT": "552 5.2.2 full"}, "451 4.4.1"),
        ({"RCPT": Fault.CUT}, "451 4.4.1"),
        ({"RCPT": Fault.GARBAGE}, "451 4.4.1"),
        ({"MAIL": "550 5.7.1 no bounces here"}, "451 4.4.1"),
        ({"greeting": "554 5.3.2 closed"}, "451 4.4.1"),
        ({"greeting": Fault.CUT}, "451 4.4.1"),
        ({"RSET": Fault.CUT}, "250"),
    ],
)
def test_what_the_server_says_decides(tmp_path: Path, script: dict[str, Any], code: str) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.script = script
        await ask(client, PEOPLE_THERE[0], code)

    play(part, tmp_path)


def test_a_server_that_refuses_us_is_no_reason_to_call_recipients_unknown_later(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.script = {"RCPT": ["550 5.7.1 unable to relay"]}
        await ask(client, PEOPLE_THERE[0], "451 4.4.1")
        await ask(client, PEOPLE_THERE[0], "250")

    play(part, tmp_path)


@pytest.mark.parametrize("refusal", ["550 5.4.1 Recipient address rejected: Access denied", "550 Unknown user", "550"])
def test_a_server_without_postmaster_is_judged_by_a_recipient_that_it_took(tmp_path: Path, refusal: str) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.script = {f"RCPT TO:<{PEOPLE_THERE[0]}>": "250 ok", "RCPT": refusal}
        await ask(client, PEOPLE_THERE[1], "451 4.4.1")
        await ask(client, PEOPLE_THERE[0], "250")
        await ask(client, PEOPLE_THERE[1], "550 5.1.1")
        hop.script = {"RCPT": refusal}
        await ask(client, "sue@routed.acme.example", "451 4.4.1")

    play(part, tmp_path)


@pytest.mark.parametrize(
    ("script", "minimum", "code"),
    [
        ({"handshake": Fault.CUT}, "plaintext", "250"),
        ({"handshake": Fault.RESET}, "plaintext", "250"),
        ({"handshake": Fault.GARBAGE}, "plaintext", "250"),
        ({"STARTTLS": "454 4.7.0 TLS not available"}, "plaintext", "250"),
        ({"EHLO behind TLS": Fault.CUT}, "encrypted", "451 4.4.1"),
        ({"handshake": Fault.CUT}, "encrypted", "451 4.4.1"),
        ({"handshake": Fault.GARBAGE}, "encrypted", "451 4.4.1"),
        ({"STARTTLS": "454 4.7.0 TLS not available"}, "encrypted", "451 4.4.1"),
        ({"STARTTLS": "421 4.3.2 busy"}, "plaintext", "451 4.4.1"),
    ],
)
def test_a_server_that_fails_at_tls_is_asked_as_far_down_as_the_route_allows(
    tmp_path: Path, script: dict[str, Any], minimum: str, code: str
) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        hop.script = script
        await ask(client, PEOPLE_THERE[0], code)

    play(part, tmp_path, minimum=minimum)


SMALL = [*(each for each in ALL if not each.startswith("SIZE")), "SIZE 10000"]


def test_what_is_larger_than_the_server_takes_is_refused_in_the_dialogue(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await client.ask("MAIL FROM:<a@b.example> SIZE=10001", 250)
        await client.ask(f"RCPT TO:<{PEOPLE_THERE[0]}>", "552 5.3.4")
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("RSET", 250)
        await client.mail(BODY + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 138, 552, to=PEOPLE_THERE[0])
        await client.mail(BODY, 250, to=PEOPLE_THERE[0])
        assert len(on.store.kept) == 1

    play(part, tmp_path, extensions=SMALL)


def test_what_a_server_without_smtputf8_or_requiretls_cannot_take(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        for subject, code in (("Gr\u00fc\u00dfe", "554 5.6.7"), ("Hello", "250")):
            await client.ask("MAIL FROM:<a@b.example> SMTPUTF8", 250)
            await client.ask(f"RCPT TO:<{PEOPLE_THERE[0]}>", 250)
            await client.ask("DATA", 354)
            await client.ask(f"Subject: {subject}\r\n".encode() + BODY + b".", code)

    play(part, tmp_path, extensions=[each for each in ALL if each != "SMTPUTF8"])


def test_a_server_that_hangs_costs_a_time_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgate.edge.verify.WAIT_SECONDS", 0.05)
    clock = Clock()

    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.script = {"RCPT": [Fault.HANG]}
        for _ in range(3):
            await ask(client, PEOPLE_THERE[0], "451 4.4.1")
        assert hop.connections == 1
        clock.now += 11
        monkeypatch.setattr("mailgate.edge.verify.WAIT_SECONDS", 10)
        await ask(client, PEOPLE_THERE[0], "250")

    play(part, tmp_path, clock)


def test_no_server_is_451(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await hop.__aexit__(None, None, None)
        await ask(client, PEOPLE_THERE[0], "451 4.4.1")

    play(part, tmp_path)


def test_below_the_minimum_nobody_is_named(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await ask(client, PEOPLE_THERE[0], "451 4.4.1")
        assert not any("RCPT" in command for command in hop.commands)

    play(part, tmp_path, minimum="encrypted")


def test_answers_are_kept_and_so_is_the_connection(tmp_path: Path) -> None:
    clock = Clock()

    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.script = {"RCPT ann": "550 5.1.1 no such user"}

        def asked(name: str) -> int:
            return sum(f"RCPT TO:<{name}" in command for command in hop.commands)

        for after, joe, ann in [(0, 1, 1), (800, 1, 1), (200, 1, 2), (6_000, 1, 3), (300, 2, 3)]:
            clock.now += after
            await ask(client, PEOPLE_THERE[0], "250")
            await ask(client, PEOPLE_THERE[1], "550 5.1.1")
            assert (asked("joe"), asked("ann")) == (joe, ann), after
            if not after:
                assert hop.connections == 1

    play(part, tmp_path, clock)


def test_an_idle_connection_that_was_cut_is_no_answer(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await ask(client, PEOPLE_THERE[0], "250")
        hop.script = {"MAIL": [Fault.CUT]}
        await ask(client, PEOPLE_THERE[1], "250")
        assert hop.connections == 2

    play(part, tmp_path)


def test_without_verification_nobody_is_asked(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await ask(client, PEOPLE_THERE[0], "250")
        assert not hop.connections

    play(part, tmp_path, verify=False)


@pytest.mark.parametrize(("extensions", "code"), [(ALL, "250"), (["PIPELINING"], "550 5.1.1")])
def test_an_address_in_other_letters(tmp_path: Path, extensions: list[str], code: str) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await client.ask("MAIL FROM:<a@b.example> SMTPUTF8", 250)
        await client.ask("RCPT TO:<jörg@routed.acme.example>", code)

    play(part, tmp_path, extensions=extensions)


def test_a_route_that_the_policy_does_not_have_any_more(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await ask(client, "kim@routed.other.example", "451 4.3.0")

    play(part, tmp_path)


@pytest.mark.parametrize("sender", ["joe@routed.acme.example", "joe@acme.example", ""])
def test_the_tenants_server_sends_to_everybody(tmp_path: Path, sender: str) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await client.mail(BODY, 250, sender=sender, to="someone@elsewhere.example")
        (entry,) = on.store.kept
        assert (entry.envelope.tenant, entry.envelope.direction) == ("acme", Direction.OUTBOUND)

    play(part, tmp_path, sends=True)


@pytest.mark.parametrize("sender", ["kim@other.example", "joe@elsewhere.example"])
def test_but_under_its_own_domains_only(tmp_path: Path, sender: str) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await client.ask(f"MAIL FROM:<{sender}>", 250)
        await client.ask("RCPT TO:<someone@elsewhere.example>", "550 5.7.1")
        await client.ask("RCPT TO:<bob@acme.example>", 250)

    play(part, tmp_path, sends=True)


def test_others_do_not_send_under_the_tenants_domains(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        await client.ask("MAIL FROM:<joe@acme.example>", 250)
        await client.ask("RCPT TO:<someone@elsewhere.example>", "550 5.7.1")

    play(part, tmp_path)
