"""DANE from end to end: signed, unsigned and bogus zones of a real authority behind a real validating resolver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.ipc.calls import Ended
from mailgate.model.dns import Status
from mailgate.model.outcome import State
from mailgate.route.resolver import DnsResolver
from tests.relay.harness import relay
from tests.relay.test_transport_table import server, static_rsa
from tests.support.certificates import Authority, Issued
from tests.support.dnssec import BOGUS, SIGNED, UNSIGNED, SignedNames
from tests.support.gateway import short_folder
from tests.support.ports import free_port
from tests.support.scripted_hop import ScriptedHop

pytestmark = pytest.mark.component("knot", "unbound")
PORT = free_port()
OTHER = "3 1 1 " + "00" * 32


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Issued:
    return authority.issue("mx.dane.example", is_rsa=True)


def host(label: str, *tlsa: str) -> str:
    lines = [f"{label} MX 10 mx.{label}", f"mx.{label} A 127.0.0.1"]
    lines += [f"_{PORT}._tcp.mx.{label} TLSA {record}" for record in tlsa]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def resolver(leaf: Issued) -> Iterator[str]:
    good = leaf.tlsa()
    lines = {
        SIGNED: host("good", good)
        + host("wrong", OTHER)
        + host("either", OTHER, good)
        + host("unusable", "1 1 1 " + "00" * 32)
        + host("none")
        + f"alias MX 10 name.alias\nname.alias CNAME mx.good.{SIGNED}.\n",
        UNSIGNED: host("wrong", OTHER),
        BOGUS: host("good", good),
    }
    with SignedNames(short_folder("mg-dns-"), lines) as names:
        yield names.endpoint


def delivered(folder: Path, resolver: str, domain: str, hop: ScriptedHop) -> Ended:
    async def run() -> Ended:
        await hop.listen(port=PORT)
        names = DnsResolver(resolver, False, time.monotonic)
        async with hop, relay(folder, PORT, {}, names) as running:
            [ended] = await running.send(f"someone@{domain}")
            return ended

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("domain", "level", "standing"),
    [
        (f"good.{SIGNED}", "authenticated", "usable"),
        (f"either.{SIGNED}", "authenticated", "usable"),
        (f"alias.{SIGNED}", "authenticated", "usable"),
        (f"unusable.{SIGNED}", "forward-secret", "unusable"),
        (f"none.{SIGNED}", "forward-secret", "none"),
        (f"wrong.{UNSIGNED}", "forward-secret", "none"),
    ],
)
def test_mail_leaves(tmp_path: Path, resolver: str, leaf: Issued, domain: str, level: str, standing: str) -> None:
    ended = delivered(tmp_path, resolver, domain, ScriptedHop(tls=server(leaf)))
    assert ended.outcome.state is State.RELAYED, ended.outcome.text
    assert (ended.facts["level"], ended.facts["dane"]) == (level, standing)


def test_a_certificate_that_does_not_match_is_not_trusted(tmp_path: Path, resolver: str, leaf: Issued) -> None:
    hop = ScriptedHop(tls=server(leaf))
    ended = delivered(tmp_path, resolver, f"wrong.{SIGNED}", hop)
    assert ended.outcome.state is State.QUEUED
    assert "no TLSA record matches" in ended.outcome.text and "DANE" in ended.outcome.text
    assert hop.transactions == []


@pytest.mark.parametrize("domain", [f"good.{SIGNED}", f"unusable.{SIGNED}"])
def test_with_tlsa_records_nothing_leaves_in_plaintext(tmp_path: Path, resolver: str, domain: str) -> None:
    hop = ScriptedHop()
    ended = delivered(tmp_path, resolver, domain, hop)
    assert ended.outcome.state is State.QUEUED
    assert hop.transactions == []


def test_static_rsa_is_no_authenticated_connection(tmp_path: Path, resolver: str, leaf: Issued) -> None:
    ended = delivered(tmp_path, resolver, f"good.{SIGNED}", ScriptedHop(tls=static_rsa(leaf)))
    assert ended.outcome.state is State.QUEUED


def test_tls_required_no_waives_dane(tmp_path: Path, resolver: str, leaf: Issued) -> None:
    async def run() -> Ended:
        hop = await ScriptedHop(tls=server(leaf)).listen(port=PORT)
        names = DnsResolver(resolver, False, time.monotonic)
        async with hop, relay(tmp_path, PORT, {}, names) as running:
            message = b"TLS-Required: No\r\nSubject: x\r\n\r\nx\r\n"
            [ended] = await running.send(f"someone@wrong.{SIGNED}", message=message)
            return ended

    ended = asyncio.run(run())
    assert (ended.outcome.state, ended.facts["level"]) == (State.RELAYED, "forward-secret")


def test_a_bogus_zone_defers(tmp_path: Path, resolver: str, leaf: Issued) -> None:
    hop = ScriptedHop(tls=server(leaf))
    ended = delivered(tmp_path, resolver, f"good.{BOGUS}", hop)
    assert (ended.outcome.state, ended.outcome.enhanced) == (State.QUEUED, "4.4.3")
    assert "DNSSEC" in ended.outcome.text
    assert hop.connections == 0


def test_the_resolver_tells_the_zones_apart(resolver: str) -> None:
    async def run() -> list[tuple[Status, bool]]:
        names = DnsResolver(resolver, False, time.monotonic)
        answers = [await names.mx(name) for name in (f"good.{SIGNED}", f"wrong.{UNSIGNED}", f"good.{BOGUS}")]
        return [(answer.status, answer.is_secure) for answer in answers]

    assert asyncio.run(run()) == [(Status.FOUND, True), (Status.FOUND, False), (Status.BOGUS, False)]
