"""The checks of senders within sessions: what is refused, what is written, and that a slow DNS holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailgate.edge import sender
from mailgate.edge.lookups import SUSPICIOUS_FAILURES, WatchedResolver
from mailgate.edge.turns import Share
from mailgate.model.errors import UnavailableError
from mailgate.policy.schema import Authentication, DmarcReports, GatewayPolicy
from mailgate.senderauth.signing_key import new_rsa
from tests.edge.dialogue import Client, Stage, stage
from tests.senderauth.zones import Zone

KEY = new_rsa()
PEM = KEY.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
RECORDS = {
    "strict.example TXT": ["v=spf1 -all"],
    "_dmarc.strict.example TXT": ["v=DMARC1; p=reject"],
    "s._domainkey.strict.example TXT": [KEY.record],
    "_dmarc.careful.example TXT": ["v=DMARC1; p=quarantine"],
    "_dmarc.open.example TXT": ["v=DMARC1; p=none"],
    "1.0.0.127.in-addr.arpa PTR": ["localhost.example"],
    "localhost.example A": ["127.0.0.1"],
}
SPOOF = b"From: Boss <boss@strict.example>\r\nSubject: pay\r\n\r\nPlease pay.\r\n"


@asynccontextmanager
async def watched(zone: Zone) -> AsyncIterator[WatchedResolver]:
    resolver = WatchedResolver(zone, seconds=0.05)
    watcher = asyncio.create_task(resolver.watch())
    await resolver.is_probed.wait()
    try:
        yield resolver
    finally:
        watcher.cancel()


def run(
    folder: Path, zone: Zone, part: Callable[[Stage, Client], Awaitable[None]], policy: GatewayPolicy | None = None
) -> Stage:
    async def go() -> Stage:
        async with watched(zone) as resolver, stage(folder, resolver=resolver, policy=policy) as on:
            client = await on.connect()
            await client.hello()
            await part(on, client)
            return on

    return asyncio.run(asyncio.wait_for(go(), 30))


def results_of(on: Stage) -> str:
    header = on.store.kept[-1].prefix.decode().replace("\r\n\t", " ")
    (line,) = [line for line in header.splitlines() if line.startswith("Authentication-Results:")]
    return line


def test_a_spoofed_message_is_refused(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        answer = await client.mail(SPOOF, 550)
        assert answer.startswith("550 5.7.1 mail from strict.example must pass DMARC")

    on = run(tmp_path, Zone(RECORDS), part)
    assert not on.store.kept
    (note,) = on.store.notes
    facts = next(event.facts for event in note.events if event.kind == "authenticated")
    assert facts["spf"] == "none" and facts["dmarc"] == ["fail strict.example asks for reject"]


def test_a_signed_message_passes(tmp_path: Path) -> None:
    raw = dkim.sign(SPOOF, b"s", b"strict.example", PEM) + SPOOF

    async def part(on: Stage, client: Client) -> None:
        await client.mail(raw, 250)

    found = results_of(run(tmp_path, Zone(RECORDS), part))
    assert "dmarc=pass header.from=strict.example" in found
    assert "dkim=pass (2048-bit key) header.d=strict.example header.s=s" in found
    assert "iprev=pass (localhost.example) policy.iprev=127.0.0.1" in found


def test_a_large_signed_message_passes(tmp_path: Path) -> None:
    large = SPOOF + b"x  y \r\n" * 40_000 + b"\r\n" * 50_000
    raw = dkim.sign(large, b"s", b"strict.example", PEM) + large

    async def part(on: Stage, client: Client) -> None:
        await client.mail(raw, 250)

    assert "dmarc=pass" in results_of(run(tmp_path, Zone(RECORDS), part))


def test_quarantine_is_what_the_owner_may_ask_for_too(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(SPOOF.replace(b"strict", b"careful"), 250)

    on = run(tmp_path, Zone(RECORDS), part)
    assert on.store.kept[0].decision.action == "quarantine"


def test_forged_results_are_cut_and_recorded(tmp_path: Path) -> None:
    forged = b"Authentication-Results: mx.acme.example; dmarc=pass\r\n" + SPOOF.replace(b"strict", b"open")

    async def part(on: Stage, client: Client) -> None:
        await client.mail(forged, 250)

    on = run(tmp_path, Zone(RECORDS), part)
    entry = on.store.kept[0]
    assert [forged[start:end] for start, end in entry.cuts] == [forged[: forged.index(b"From:")]]
    assert "dmarc=fail (p=none) header.from=open.example" in results_of(on)
    assert any(event.facts.get("forged_results_removed") == 1 for event in entry.events)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"From: a@open.example\r\nFrom: b@strict.example\r\n\r\nx\r\n", 550),
        (b"From: <a@open.example> <b@strict.example>\r\n\r\nx\r\n", 550),
        (b"From: Moderator\r\n\r\nx\r\n", 250),
        (b"Subject: nobody\r\n\r\nx\r\n", 250),
        (b"From: boss@strict.example, a@open.example\r\n\r\nx\r\n", 550),
        (b"From: =?utf-8?q?a=40open=2Eexample?= <boss@strict.example>\r\n\r\nx\r\n", 550),
    ],
)
def test_who_the_author_is(tmp_path: Path, raw: bytes, code: int) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(raw, code)

    run(tmp_path, Zone(RECORDS), part)


def test_without_a_resolver_mail_flows_at_once(tmp_path: Path) -> None:
    zone = Zone(RECORDS, failing=frozenset({"mailgate-probe.invalid"}))

    async def part(on: Stage, client: Client) -> None:
        for _ in range(5):
            await client.mail(SPOOF, 250)

    found = results_of(run(tmp_path, zone, part))
    assert "dmarc=temperror" in found and "spf=temperror" in found
    assert set(zone.asked) == {"mailgate-probe.invalid TXT"}


def test_the_dns_may_be_waited_for_by_choice(tmp_path: Path) -> None:
    zone = Zone(RECORDS, failing=frozenset({"_dmarc.strict.example"}))

    async def part(on: Stage, client: Client) -> None:
        assert "can't be checked now" in await client.mail(SPOOF, 451)

    policy = GatewayPolicy(authentication=Authentication(dns_failure="defer"))
    assert not run(tmp_path, zone, part, policy).store.kept


def test_a_slow_dns_ends_as_temperror_and_blocks_no_other_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "WAIT_SECONDS", 0.5)
    zone = Zone(RECORDS, hanging=frozenset({"_dmarc.strict.example"}))

    async def part(on: Stage, client: Client) -> None:
        other = await on.connect()
        await other.hello()
        slow = asyncio.create_task(client.mail(SPOOF, 250))
        await other.mail(SPOOF.replace(b"strict", b"open"), 250)
        assert not slow.done()
        await slow

    assert "dmarc=temperror" in results_of(run(tmp_path, zone, part))


def test_switched_off_it_asks_nobody(tmp_path: Path) -> None:
    zone = Zone(RECORDS)

    async def part(on: Stage, client: Client) -> None:
        await client.mail(SPOOF, 250)

    on = run(tmp_path, zone, part, GatewayPolicy(authentication=Authentication(check=False)))
    assert results_of(on) == "Authentication-Results: mx.acme.example; none"
    assert zone.asked == ["mailgate-probe.invalid TXT"]


def test_a_transaction_that_is_given_up_leaves_no_task(tmp_path: Path) -> None:
    zone = Zone(RECORDS, hanging=frozenset({"b.example"}))

    async def part(on: Stage, client: Client) -> None:
        before = len(asyncio.all_tasks())
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RSET", 250)
        await client.ask("NOOP", 250)
        assert len(asyncio.all_tasks()) <= before

    run(tmp_path, zone, part)


def test_a_resolver_that_goes_away_is_noticed_and_so_is_its_return() -> None:
    async def go() -> None:
        zone = Zone(RECORDS)
        async with watched(zone) as resolver:
            names = resolver.of(Share())
            assert not resolver.is_away
            zone.failing = frozenset({"x.example", "mailgate-probe.invalid"})
            for _ in range(SUSPICIOUS_FAILURES):
                assert not (await names.a("x.example")).is_known
            while not resolver.is_away:
                await asyncio.sleep(0)
            asked = len(zone.asked)
            assert not (await names.txt("strict.example")).is_known
            assert len(zone.asked) == asked
            zone.failing = frozenset()
            while resolver.is_away:
                await asyncio.sleep(0.01)
            assert (await names.txt("strict.example")).is_known

    asyncio.run(asyncio.wait_for(go(), 10))


TELLING = GatewayPolicy(dmarc_reports=DmarcReports(send=True))
CURIOUS = RECORDS | {
    f"_dmarc.{domain}.example TXT": [f"v=DMARC1; p={policy}; rua=mailto:r@{domain}.example"]
    for domain, policy in (("strict", "reject"), ("careful", "quarantine"))
}


def test_what_the_authors_domain_will_be_told(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(SPOOF, 550)
        await client.mail(SPOOF.replace(b"strict", b"careful"), 250)
        await client.mail(SPOOF.replace(b"strict", b"open"), 250)

    on = run(tmp_path, Zone(CURIOUS), part, TELLING)
    (refused,) = on.store.notes[0].seen
    assert (refused.policy.domain, refused.source, refused.disposition) == ("strict.example", "127.0.0.1", "reject")
    (kept,) = on.store.kept[0].seen
    assert (kept.header_from, kept.disposition) == ("careful.example", "quarantine")
    assert on.store.kept[1].seen == (), "it wants no reports"


def test_mail_that_will_come_again_is_not_counted(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.ask("MAIL FROM:<a@b.example>", 250)
        await client.ask("RCPT TO:<bob@acme.example>", 250)
        on.store.fault = UnavailableError("away")
        await client.ask("DATA", 354)
        await client.ask(SPOOF.replace(b"strict", b"careful") + b".", 451)

    assert [note.seen for note in run(tmp_path, Zone(CURIOUS), part, TELLING).store.notes] == [()]


def test_nothing_is_counted_unless_the_tenant_sends_reports(tmp_path: Path) -> None:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(SPOOF, 550)

    assert run(tmp_path, Zone(CURIOUS), part).store.notes[0].seen == ()
