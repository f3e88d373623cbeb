"""Who is refused before a message was kept leaves a line and a record, within bounds."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge import replies
from mailgate.edge.reasons import REASONS
from mailgate.edge.shedding import LinesAMinute
from mailgate.edge.turning_away import LONGEST, OF_NETWORK, TurningAway, path_in, printable
from mailgate.model.errors import UnavailableError
from mailgate.model.turned_away import TurnedAway
from mailgate.policy.schema import GatewayPolicy
from tests.edge.dialogue import Client, Stage, play
from tests.edge.test_edge_handshake import V, context, hello
from tests.support.clock import ManualClock

STRANGER = "MAIL FROM:<a@b.example>"


async def told(on: Stage) -> list[TurnedAway]:
    await on.edge.turning_away.flush()
    return on.store.turned_away


@pytest.mark.parametrize(
    ("lines", "sender", "recipients", "reply", "reason"),
    [
        ([STRANGER, "RCPT TO:<nobody@acme.example>"], "a@b.example", ("nobody@acme.example",), "550 5.1.1", "mailbox"),
        ([STRANGER, "RCPT TO:<x@far.example>"], "a@b.example", ("x@far.example",), "550 5.7.1", "not hosted here"),
        (["MAIL FROM:<>", "RCPT TO:<x@far.example>"], "<>", ("x@far.example",), "550 5.7.1", "not hosted here"),
        ([STRANGER, "RCPT TO:<b b@acme.example>"], "a@b.example", ("b b@acme.example",), "501 5.1.3", ""),
        ([STRANGER, 'RCPT TO:<"bob"@acme.example>'], "a@b.example", ('"bob"@acme.example',), "501 5.1.3", ""),
        (["MAIL FROM:<a@b.example> SIZE=99999999"], "a@b.example", (), "552 5.3.4", "limits.message_size"),
        (["MAIL FROM:<a@b.example> BOGUS=1"], "a@b.example", (), "555 5.5.4", ""),
        (["MAIL FROM:<a@@b>"], "a@@b", (), "501 5.1.7", ""),
        (["MAIL FROM:a@b.example"], "a@b.example", (), "501 5.1.7", ""),
        ([STRANGER, "DATA"], "a@b.example", (), "503 5.5.1", "refused before"),
        (["BOGUS secret words"], "", (), "500 5.5.1", ""),
        (["GET / HTTP/1.1"], "", (), "421 4.7.0", "HTTP"),
        (["STARTTLS now"], "", (), "501 5.5.4", ""),
    ],
)
def test_each_refusal_is_told(
    tmp_path: Path, lines: list[str], sender: str, recipients: tuple[str, ...], reply: str, reason: str
) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        for line in lines[:-1]:
            await client.ask(line, 250)
        answer = await client.ask(lines[-1], reply[:3])
        (found,) = await told(on)
        assert (found.client, found.network, found.helo) == ("127.0.0.1", "127.0.0.0/24", "client.example")
        assert (found.sender, found.recipients) == (sender, recipients)
        assert answer.startswith(found.reply) and found.reply.startswith(reply)
        assert reason in found.reason
        assert "secret" not in str(found)

    play(part, tmp_path)


def test_what_is_taken_is_not_told(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.mail(b"Subject: x\r\n\r\nhi\r\n", 250)
        await client.ask("NOOP", 250)
        await client.ask("QUIT", 221)
        assert await told(on) == []

    play(part, tmp_path)


def test_a_bad_name_is_told_as_it_came(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.reply()
        await client.ask(b"EHLO evil\x1b[31mname", 501)
        (found,) = await told(on)
        assert (found.command, found.helo, found.reply[:3]) == ("EHLO", r"evil\x1b[31mname", "501")

    play(part, tmp_path)


def test_a_message_refused_at_its_end_leads_to_its_timeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.mail(b"Subject: x\r\n\r\nEICAR-LIKE\r\n", 554)
        (found,) = await told(on)
        assert found.recipients == ("bob@acme.example",)
        assert (found.queue_id, found.reply[:3]) == (on.store.notes[0].envelope.queue_id, "554")

    play(part, tmp_path)
    assert "turned away" not in capsys.readouterr().out, "it has its line: not taken"


def test_a_failed_handshake_is_told_with_the_reason(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("STARTTLS", 220)
        await client.send(hello("ALL", V.TLSv1, V.TLSv1))
        await client.reader.read()
        while not await told(on):
            await asyncio.sleep(0.01)
        (found,) = on.store.turned_away
        assert (found.command, found.reply) == ("handshake", "")
        assert "no TLS version in common" in found.reason

    play(part, tmp_path, tls=context(tmp_path, mx_tls_minimum="1.2"))


def test_implicit_tls_that_is_none(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.send(b"EHLO client.example\r\n")
        await client.reader.read()
        while not await told(on):
            await asyncio.sleep(0.01)
        (found,) = on.store.turned_away
        assert (found.listener, found.command) == ("submissions", "handshake")
        assert "the TLS handshake failed" in found.reason

    play(part, tmp_path, name="submissions", tls=context(tmp_path, "submissions"))


def test_a_refused_login_is_told_without_what_was_typed(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.start_tls()
        await client.ask("EHLO client.example", 250)
        await client.ask("AUTH PLAIN " + base64.b64encode(b"\0eve@acme.example\0wrong").decode(), 535)
        (found,) = await told(on)
        assert (found.command, found.reply[:3], found.tls) == ("AUTH", "535", "TLSv1.3")
        assert "wrong" not in str(found).replace("login or password is wrong", "") and "eve" not in str(found)

    play(part, tmp_path, name="submission", tls=context(tmp_path, "submission"))


def test_one_connection_too_many(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        second = await on.connect()
        assert (await second.reply()).startswith("421")
        (found,) = await told(on)
        assert (found.command, found.reply[:3]) == ("connect", "421")
        assert "a limit of connections" in found.reason

    play(part, tmp_path, connections_per_address=1, connections_per_network=1)


def test_too_many_recipients(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask(STRANGER, 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("RCPT TO:<eve@acme.example>", 452)
        (found,) = await told(on)
        assert (found.recipients, found.reply[:9]) == (("eve@acme.example",), "452 4.5.3")

    play(part, tmp_path, policy=GatewayPolicy.model_validate({"limits": {"recipients": 1}}))


def test_the_reply_does_not_wait_for_the_store(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask(STRANGER, 250)
        await client.ask("RCPT TO:<nobody@acme.example>", 550)
        on.store.fault = UnavailableError("away")
        assert await told(on) == []
        on.store.fault = None
        assert [found.recipients for found in await told(on)] == [("nobody@acme.example",)], "it was kept until now"

    play(part, tmp_path)


def away(number: int = 0, network: str = "192.0.2.0/24") -> TurnedAway:
    return TurnedAway(0.0, "mx", "192.0.2.1", network, "", "", "RCPT", f"{number}@b.example", (), "550 no", "")


def test_a_flood_fills_neither_log_nor_store(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        kept: list[TurnedAway] = []
        clock = ManualClock(0.0)

        async def keep(batch: tuple[TurnedAway, ...]) -> None:
            kept.extend(batch)

        turning = TurningAway(keep, clock)
        for number in range(10_000):
            turning.tell(away(number))
        turning.tell(away(network="198.51.100.0/24"))
        await turning.flush()
        assert len(kept) == OF_NETWORK + 1, "the other network has its record"
        clock.advance(61)
        turning.tell(away())
        assert "times=9980" in capsys.readouterr().out.replace("'", "")

    asyncio.run(run())


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 20))))
def test_lines_are_bounded_and_nothing_is_uncounted(arrivals: list[tuple[int, float]]) -> None:
    clock, summed = ManualClock(0.0), [0]
    lines: LinesAMinute[int] = LinesAMinute(3, 20, lambda kind, times: summed.append(times), summed.append, clock)
    allowed = 0
    for kind, pause in arrivals:
        clock.advance(pause)
        allowed += lines.allow(kind)
    clock.advance(61)
    allowed += lines.allow(99)
    assert allowed + sum(summed) == len(arrivals) + 1


@given(st.binary(max_size=2000))
def test_what_strangers_gave_is_printable_and_short(given_: bytes) -> None:
    for text in (printable(given_), path_in(b"FROM:" + given_)):
        assert text.isprintable() and len(text) <= LONGEST


def test_every_reason_is_for_a_reply_that_is_given() -> None:
    known = [value for value in vars(replies).values() if isinstance(value, replies.Reply)]
    assert set(REASONS) <= set(known)
    assert all(reply.code >= 400 for reply in REASONS)
