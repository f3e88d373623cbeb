"""What can't go on in the form that its way needs is refused in the dialogue, with words that its sender can act on."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

from mailgate.edge.data import ByteCheck
from mailgate.edge.replies import line_too_long
from mailgate.policy.schema import TenantPolicy
from tests.edge.dialogue import Client, Stage
from tests.edge.dialogue import play as play_alone
from tests.edge.test_edge_routed import PEOPLE_THERE, play
from tests.edge.test_edge_tolerance import context  # noqa: F401 - a fixture
from tests.support.scripted_hop import Fault, ScriptedHop

TEXT = "Grüße aus Köln\r\n".encode()
HEAD = b"From: bob@acme.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
PLAIN = HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT
SIGNED = HEAD + b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n%s\r\n--b--\r\n"
LARGE = PLAIN + TEXT * 20_000
LONG = b"y" * 5_000
ELSEWHERE = "someone@elsewhere.example"


@pytest.mark.parametrize(
    ("message", "extensions", "code"),
    [
        (PLAIN, ["PIPELINING"], "250"),
        (PLAIN, [], "250"),
        (SIGNED % TEXT, ["8BITMIME"], "250"),
        (SIGNED % TEXT, ["PIPELINING"], "554 5.6.3 .*8BITMIME.*can't be converted: it is signed"),
        (SIGNED % b"ascii", ["PIPELINING"], "250"),
        (LARGE, ["SIZE 100000000"], "250"),
        (LARGE, [f"SIZE {len(LARGE) + 50_000}"], "552 5.3.4"),
        (LARGE, ["8BITMIME", f"SIZE {len(LARGE) + 50_000}"], "250"),
    ],
)
def test_a_tenants_server_without_8bitmime(tmp_path: Path, message: bytes, extensions: list[str], code: str) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        answer = await client.mail(message, int(code[:3]), to=PEOPLE_THERE[0])
        assert re.match(code, answer)

    play(part, tmp_path, extensions=extensions)


def test_a_server_that_knows_helo_only(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.script = {"EHLO": "502 what?"}
        await client.mail(PLAIN, 250, to=PEOPLE_THERE[0])
        assert hop.commands[:2] == ["EHLO mx.acme.example", "HELO mx.acme.example"]
        await client.mail(SIGNED % TEXT, 554, to=PEOPLE_THERE[0])

    play(part, tmp_path)


def test_a_server_that_hangs_up_at_helo(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client, hop: ScriptedHop) -> None:
        hop.script = {"EHLO": "502 what?", "HELO": Fault.CUT}
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask(f"RCPT TO:<{PEOPLE_THERE[0]}>", "451 4.4.1")

    play(part, tmp_path)


@pytest.mark.parametrize(
    ("message", "to", "answer"),
    [
        (HEAD + b"\r\n" + LONG + b"\r\n", ELSEWHERE, "250"),
        (HEAD + b"X: " + b"a " * 700 + b"\r\n\r\nx\r\n", ELSEWHERE, "250"),
        (SIGNED % LONG, "bob@acme.example", "250"),
        (SIGNED % LONG, ELSEWHERE, "554 5.6.0 Line 8 of the message has more than 998 characters"),
        (HEAD + b"X: " + LONG + b"\r\n\r\nx\r\n", ELSEWHERE, "554 5.6.0 Line 4 of the message"),
        (SIGNED % (b"z\r\n" * 100_000 + LONG), ELSEWHERE, "554 5.6.0 Line 100008 of the message"),
    ],
)
@pytest.mark.parametrize("is_bdat", [False, True])
def test_long_lines_of_a_user(
    tmp_path: Path,
    context: ssl.SSLContext,  # noqa: F811
    message: bytes,
    to: str,
    answer: str,
    is_bdat: bool,
) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.log_in()
        await client.ask("MAIL FROM:<bob@acme.example>", 250)
        await client.ask(f"RCPT TO:<{to}>", 250)
        if is_bdat:
            await client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        else:
            await client.ask("DATA", 354)
            await client.send(message + b".\r\n")
        assert (await client.reply()).startswith(answer)
        if answer == "250":
            assert on.store.bodies[-1] == message, "kept as it came"

    play_alone(part, tmp_path, name="submission", tls=context)


def test_long_lines_of_strangers_are_taken(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.mail(SIGNED % LONG, 250)

    play_alone(part, tmp_path)


def test_long_lines_of_a_tenants_devices(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.mail(SIGNED % LONG, 554, sender="bob@acme.example", to=ELSEWHERE)

    acme = TenantPolicy.model_validate({"sending": {"networks": ["127.0.0.0/8"]}})
    play_alone(part, tmp_path, tenants={"acme": acme})


@pytest.mark.parametrize("size", [1, 7, 999, 1_000, 4_096])
@pytest.mark.parametrize(
    ("text", "is_long"),
    [
        (b"y" * 998 + b"\r\n", False),
        (b"y" * 999 + b"\r\n", True),
        (b"y" * 998, False),
        (b"y" * 999, True),
        (b"a\r\n" * 2_000 + b"y" * 998 + b"\r\n" + b"b\r\n", False),
        (b"a\r\n" * 2_000 + b"y" * 999 + b"\r\n" + b"b\r\n", True),
        (b"a\n" + b"y" * 998 + b"\n", False),
        (b"a\n" + b"y" * 999 + b"\n", True),
    ],
)
def test_lines_over_reads(text: bytes, is_long: bool, size: int) -> None:
    check = ByteCheck(is_own=True)
    for at in range(0, len(text), size):
        check.check(text[at : at + size])
    check.end()
    assert check.has_long_lines is is_long


def test_the_reason_stays_one_line() -> None:
    assert len(str(line_too_long(10**9, "x" * 1_000))) < 500
