"""The dialogue, over a real socket, with the store and the inspectors played by the test."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from pathlib import Path

import pytest

from mailgate.edge.connection import close_all
from mailgate.edge.inspectors import BusyError, InspectionFailedError
from mailgate.edge.staging import INLINE_LIMIT
from mailgate.ipc.frames import StorageFullError
from mailgate.model.decision import Action
from mailgate.model.errors import UnavailableError
from mailgate.model.verdict import Unscanned, not_scanned
from mailgate.ops import tls
from mailgate.policy.schema import GatewayLimits, GatewayPolicy, Scanning
from mailgate.settings import Settings
from tests.edge.dialogue import Client, Stage, play

BODY = b"From: a@b.example\r\nSubject: s\r\n\r\nhello\r\n"
OWN = BODY.replace(b"a@b.example", b"bob@acme.example")


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"), hostname="mx.acme.example")
    return tls.ServerTls(settings).contexts["submission"]


def test_a_message_is_kept_with_trace_fields(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        answer = await client.mail(BODY, 250)
        (entry,) = on.store.kept
        assert entry.envelope.queue_id in answer
        assert on.store.bodies == [BODY]
        assert entry.prefix.startswith(b"Return-Path: <a@b.example>\r\nAuthentication-Results: mx.acme.example;")
        assert entry.envelope.recipients[0].mailboxes == ("m-bob",)
        assert entry.decision.action is Action.ACCEPT
        assert [event.kind for event in entry.events] == ["received", "decided"]
        await client.ask("QUIT", 221)
        assert await client.reply() == "closed"

    play(part, tmp_path)


def test_a_large_message_goes_by_file_and_leaves_none(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        body = BODY + b"x" * 70 + b"\r\n" + (b"y" * 76 + b"\r\n") * (2 * INLINE_LIMIT // 78)
        await client.mail(body, 250)
        assert on.store.bodies == [body]
        assert not list(tmp_path.iterdir())

    play(part, tmp_path)


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 1000])
def test_a_pipelined_transaction_cut_anywhere(tmp_path: Path, cut: int) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        text = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@acme.example>\r\nDATA\r\n" + BODY + b".\r\nQUIT\r\n"
        for start in range(0, len(text), cut):
            await client.send(text[start : start + cut])
            await asyncio.sleep(0)
        codes = [(await client.reply())[:3] for _ in range(5)]
        assert codes == ["250", "250", "354", "250", "221"]
        assert on.store.bodies == [BODY]

    play(part, tmp_path)


def test_infected_mail_is_refused_and_noted(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        assert "5.7.1" in await client.mail(BODY + b"EICAR-LIKE\r\n", 554)
        assert not on.store.kept
        (note,) = on.store.notes
        assert [event.kind for event in note.events] == ["received", "inspected", "decided", "refused"]
        await client.mail(BODY, 250)

    play(part, tmp_path)


@pytest.mark.parametrize("fault", [BusyError("full"), InspectionFailedError("died")])
def test_inspection_trouble_is_451(tmp_path: Path, fault: Exception) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.inspectors.fault = fault
        await client.hello()
        await client.mail(BODY, 451)
        assert not on.store.kept

    play(part, tmp_path)


@pytest.mark.parametrize("reason", [Unscanned.SCANNER_DOWN, Unscanned.SCANNER_ERROR])
def test_no_scanner_is_451(tmp_path: Path, reason: Unscanned) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.inspectors.answer = not_scanned(reason, 1)
        await client.hello()
        assert "4.7.1" in await client.mail(BODY, 451)

    play(part, tmp_path)


def test_what_was_not_scanned_is_quarantined(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.inspectors.answer = not_scanned(Unscanned.ENCRYPTED, 1)
        await client.hello()
        await client.mail(BODY, 250)
        assert on.store.kept[0].decision.action is Action.QUARANTINE

    play(part, tmp_path)


def test_a_submission_may_wait_for_the_scanner(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.inspectors.answer = not_scanned(Unscanned.SCANNER_DOWN, 1)
        await client.log_in()
        await client.mail(OWN, 250, sender="bob@acme.example", to="eve@acme.example")
        assert on.store.kept[0].decision.action is Action.HOLD

    policy = GatewayPolicy(scanning=Scanning(scanner_down=Action.HOLD))
    play(part, tmp_path, name="submission", tls=context, policy=policy)


@pytest.mark.parametrize(
    ("fault", "reply"), [(UnavailableError("gone"), "451 4.3.0"), (StorageFullError("full"), "452 4.3.1")]
)
def test_store_trouble_at_the_commit(tmp_path: Path, fault: Exception, reply: str) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("DATA", 354)
        on.store.fault = fault
        await client.ask(BODY + b".", reply)

    play(part, tmp_path)


def test_no_store_no_recipients(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.store.fault = UnavailableError("gone")
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 451)

    play(part, tmp_path)


def test_time_is_up(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.inspectors.gate = asyncio.Event()
        await client.hello()
        assert "too long" in await client.mail(BODY, 451)
        assert not on.store.kept

    play(part, tmp_path, reply_seconds=0.05)


def test_a_client_gone_before_the_commit_gets_none(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.inspectors.gate = asyncio.Event()
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("DATA", 354)
        await client.send(BODY + b".\r\n")
        client.writer.close()
        (session,) = on.edge.sessions
        while session.tx is None or not session.tx.presence.is_gone:
            await asyncio.sleep(0.001)
        on.inspectors.gate.set()
        while not on.store.notes:
            await asyncio.sleep(0.001)
        assert not on.store.kept

    play(part, tmp_path)


def test_a_client_gone_during_the_commit_does_not_cancel_it(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.store.commit_gate = asyncio.Event()
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("DATA", 354)
        await client.send(BODY + b".\r\n")
        (session,) = on.edge.sessions
        while session.tx is None or not session.tx.entries:
            await asyncio.sleep(0.001)
        client.writer.close()
        while not session.tx.presence.is_gone:
            await asyncio.sleep(0.001)
        on.store.commit_gate.set()
        while not on.store.kept:
            await asyncio.sleep(0.001)

    play(part, tmp_path)


def test_one_tenant_a_transaction_on_mx(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        assert "4.5.3" in await client.ask("RCPT TO:<kim@other.example>", 452)
        await client.ask("RCPT TO:<eve@acme.example>", 250)

    play(part, tmp_path)


def test_a_submission_to_another_tenant_is_an_entry_of_its_own(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.log_in()
        await client.ask("MAIL FROM:<bob@acme.example>", 250)
        await client.ask("RCPT TO:<kim@other.example>", 250)
        await client.ask("RCPT TO:<eve@acme.example>", 250)
        await client.ask("DATA", 354)
        await client.ask(OWN + b".", 250)
        own, other = on.store.kept
        assert (own.envelope.tenant, own.envelope.direction) == ("acme", "outbound")
        assert (other.envelope.tenant, other.envelope.direction) == ("other", "inbound")
        assert own.envelope.queue_id != other.envelope.queue_id

    play(part, tmp_path, name="submission", tls=context)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("NOOP", "250"),
        ("NOOP with words", "250"),
        ("HELP", "214"),
        ("VRFY bob@acme.example", "252"),
        ("VRFY", "501"),
        ("EXPN staff", "502"),
        ("RSET", "250"),
        ("RSET now", "501"),
        ("QUIT now", "501"),
        ("FOO", "500"),
        ("", "500"),
        ("NO\0OP", "500"),
        ("NO\rOP", "500"),
        ("XFORWARD ADDR=10.0.0.1", "500"),
        ("LHLO x.example", "500"),
        ("SEND FROM:<a@b.example>", "500"),
        ("EHLO", "501"),
        ("EHLO a\x1b[2J", "501"),
        ("EHLO " + "a" * 256, "501"),
        ("EHLO [999.1.1.1]", "501"),
        ("EHLO my_pc.example.", "250"),
        ("EHLO [IPv6:2001:db8::1]", "250"),
        ("DATA", "503"),
        ("RCPT TO:<bob@acme.example>", "503"),
        ("AUTH PLAIN", "502"),
        ("STARTTLS", "454"),
        ("STARTTLS now", "501"),
        ("BDAT 7 LAST\r\nabcde", "503"),
        ("MAIL FROM:<a@b.example> SIZE=99999999", "552"),
        ("NOOP " + "x" * 4000, "500"),
        ("GET / HTTP/1.1", "421"),
        ("BDAT abc", "501"),
        ("BDAT 99999999999999999999", "501"),
        ("BDAT +5", "501"),
    ],
)
def test_single_commands(tmp_path: Path, line: str, reply: str) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask(line, reply)
        await client.ask("NOOP", "closed" if reply == "421" or (line.startswith("BDAT ") and reply == "501") else "250")

    play(part, tmp_path)


def test_the_order_of_commands(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.reply()
        await client.ask("MAIL FROM:<a@b.example>", 503)
        await client.ask("HELO client.example", 250)
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("MAIL FROM:<a@b.example>", 503)
        await client.ask("DATA", 503)
        await client.ask("RCPT TO:<nobody@acme.example>", "550 5.1.1")
        await client.ask("RCPT TO:<x@foreign.example>", "550 5.7.1")
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("RCPT TO:<Postmaster>", 250)
        await client.ask("EHLO again.example", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 503)

    play(part, tmp_path)


def test_chunks(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.send(b"BDAT 6\r\nA: b\r\n")
        assert (await client.reply()).startswith("250 2.0.0 6 octets")
        await client.ask("DATA", 503)
        await client.ask("RCPT TO:<eve@acme.example>", 503)
        await client.send(b"BDAT 7 LAST\r\n\r\n.\r\nx\r")
        assert (await client.reply()).startswith("554")
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.send(b"BDAT 5\r\nA: b\rBDAT 3\r\n\n\r\nBDAT 0 LAST\r\n")
        assert [(await client.reply())[:3] for _ in range(3)] == ["250", "250", "250"]
        assert on.store.bodies == [b"A: b\r\n\r\n"]

    play(part, tmp_path)


def test_bad_bytes_and_loops_and_headers_are_refused(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        for body in (b"a\nb", b"a\rb", b"a\0b"):
            other = await on.connect()
            await other.hello()
            assert "5.6.0" in await other.mail(body, 554)
        await client.hello()
        assert "5.4.6" in await client.mail(b"Received: x\r\n" * 60 + b"\r\n", 554)
        await client.mail(b"X: y\r\n" * 1500 + b"\r\n", 552)
        await client.mail(b"x" * 300_000, 552)
        await client.mail(b"x" * 2_000_000, 552)
        assert not on.store.kept
        assert len(on.store.notes) == 7

    play(part, tmp_path)


def test_limits_of_a_session(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        for _ in range(3):
            await client.ask("FOO", 500)
        await client.ask("FOO", 421)
        assert await client.reply() == "closed"
        second, third = await on.connect(), await on.connect()
        await second.hello()
        assert (await third.reply()).startswith("421 4.7.0 Too many connections")
        for _ in range(4):
            await second.ask("NOOP", 250)
        await second.ask("NOOP", 421)

    play(part, tmp_path, errors=3, idle_commands=5, connections_per_address=1)


def test_limits_of_recipients_and_messages(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        await client.ask("RCPT TO:<eve@acme.example>", 452)
        await client.ask("RCPT TO:<bob@acme.example>", 452)
        await client.ask("RSET", 250)
        await client.ask("MAIL FROM:<a@b.example>", 421)

    play(part, tmp_path, policy=GatewayPolicy(limits=GatewayLimits(recipients=2)), messages=1)


def test_starttls_forgets_and_plaintext_ahead_ends_the_session(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.start_tls()
        await client.ask("RCPT TO:<bob@acme.example>", 503)
        answer = await client.ask("EHLO client.example", 250)
        assert "STARTTLS" not in answer
        await client.ask("STARTTLS", 503)
        await client.mail(BODY, 250)
        assert b"with ESMTPS id" in on.store.kept[0].prefix
        ahead = await on.connect()
        await ahead.hello()
        await ahead.send(b"STARTTLS\r\nRSET\r\n")
        assert not (await ahead.reply()).startswith("220")
        assert await ahead.reply() == "closed"

    play(part, tmp_path, tls=context)


def test_submission_wants_tls_then_a_login(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.ask("MAIL FROM:<bob@acme.example>", "530 5.7.0 Issue STARTTLS")
        await client.ask("AUTH PLAIN", 538)
        await client.start_tls()
        answer = await client.ask("EHLO client.example", 250)
        assert "AUTH PLAIN LOGIN" in answer
        await client.ask("MAIL FROM:<bob@acme.example>", "530 5.7.0 Authentication")
        await client.ask("AUTH FOO", 504)
        await client.ask("AUTH PLAIN a b c", 501)
        await client.ask("AUTH PLAIN =", 501)
        await client.ask("AUTH LOGIN", 334)
        await client.ask("*", 501)
        plain = base64.b64encode(b"\0bob@acme.example\0secret").decode()
        await client.ask(f"AUTH PLAIN {plain}", 235)
        await client.ask(f"AUTH PLAIN {plain}", 503)
        await client.ask("MAIL FROM:<kim@other.example>", "553 5.7.1")
        await client.ask("MAIL FROM:<Bob@acme.example>", 250)
        await client.ask("RCPT TO:<x@foreign.example>", 250)
        await client.ask("RCPT TO:<nobody@acme.example>", 550)

    play(part, tmp_path, name="submission", tls=context)


@pytest.mark.parametrize(
    "message", [b"\0bob@acme.example\0wrong", b"\0no@where.example\0secret", b"eve\0bob@acme.example\0secret"]
)
def test_failed_logins_look_alike_and_are_counted(tmp_path: Path, context: ssl.SSLContext, message: bytes) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.hello()
        await client.start_tls()
        await client.ask("EHLO client.example", 250)
        line = b"AUTH PLAIN " + base64.b64encode(message)
        answers = {await client.ask(line, "535 5.7.8") for _ in range(4)}
        assert len(answers) == 1
        await client.ask(line, 535)
        assert (await client.reply()).startswith("421")

    play(part, tmp_path, name="submission", tls=context)


def test_proxied_clients(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 5555 25\r\nEHLO client.example\r\n")
        assert (await client.reply()).startswith("220")
        assert (await client.reply()).startswith("250")
        await client.mail(BODY, 250)
        assert on.store.kept[0].envelope.client.address == "192.0.2.9"
        bare = await on.connect()
        await bare.send(b"EHLO client.example\r\n")
        assert await bare.reply() == "closed"

    play(part, tmp_path, proxies=(ipaddress.ip_network("127.0.0.0/8"),))


def test_draining(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        busy = await on.connect()
        await client.hello()
        await busy.hello()
        on.inspectors.gate = asyncio.Event()
        await busy.ask("MAIL FROM:<a@b.example>", 250)
        await busy.ask("RCPT TO:<bob@acme.example>", 250)
        await busy.ask("DATA", 354)
        await busy.send(BODY + b".\r\n")
        while not any(session.tx and session.tx.header for session in on.edge.sessions):
            await asyncio.sleep(0.001)
        on.edge.is_draining = True
        ending = asyncio.create_task(close_all(on.edge.sessions, 20))
        assert (await client.reply()).startswith("421 4.3.2")
        on.inspectors.gate.set()
        assert (await busy.reply()).startswith("250")
        assert (await busy.reply()).startswith("421 4.3.2")
        await ending

    play(part, tmp_path)


def test_an_exception_tells_the_peer_nothing(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        on.store.fault = KeyError("inner secret")
        await client.hello()
        await client.ask("MAIL FROM:<a@b.example>", 250)
        assert "secret" not in await client.ask("RCPT TO:<bob@acme.example>", 451)

    play(part, tmp_path)
