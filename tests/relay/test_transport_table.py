"""The one table: peer x floor -> level, outcome and reason. Every cell, with a peer that tells what it saw."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailgate.ipc.calls import Ended
from mailgate.model.outcome import State
from tests.relay.harness import FakeNames, relay
from tests.support.certificates import Authority, Issued
from tests.support.scripted_hop import Fault, ScriptedHop

HOST = "mx.hop.example"
FLOORS = ("plaintext", "encrypted", "forward-secret", "authenticated")
WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Peer:
    """`levels` in the order of FLOORS; `reason` is a word of the text where mail waits, or of the steps down."""

    levels: tuple[str, str, str, str]
    reason: str


PEERS = {
    "modern": Peer(("forward-secret", "forward-secret", "forward-secret", "authenticated"), ""),
    "only TLS 1.2": Peer(("forward-secret", "forward-secret", "forward-secret", "authenticated"), ""),
    "static RSA": Peer(("encrypted", "encrypted", WAITS, WAITS), "handshake failed"),
    "TLS 1.0": Peer(("encrypted", "encrypted", WAITS, WAITS), "handshake failed"),
    "no STARTTLS": Peer(("plaintext", WAITS, WAITS, WAITS), "does not offer STARTTLS"),
    "STARTTLS refused": Peer(("plaintext", WAITS, WAITS, WAITS), "refuses STARTTLS"),
    "breaks the handshake": Peer(("plaintext", WAITS, WAITS, WAITS), "handshake failed"),
    "cuts the handshake": Peer((WAITS, WAITS, WAITS, WAITS), "STARTTLS"),
    "cuts behind the handshake": Peer((WAITS, WAITS, WAITS, WAITS), "EHLO"),
    "wants our certificate in the handshake": Peer((WAITS, WAITS, WAITS, WAITS), "EHLO"),
    "hangs in the handshake": Peer((WAITS, WAITS, WAITS, WAITS), "STARTTLS"),
    "expired": Peer(("forward-secret", "forward-secret", "forward-secret", WAITS), "expired"),
    "wrong name": Peer(("forward-secret", "forward-secret", "forward-secret", WAITS), "mismatch"),
    "unknown authority": Peer(("forward-secret", "forward-secret", "forward-secret", WAITS), "certificate"),
}
CELLS = [(peer, floor) for peer in PEERS for floor in FLOORS]


def server(issued: Issued) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.chain, issued.key)
    return context


def static_rsa(issued: Issued) -> ssl.SSLContext:
    context = server(issued)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256")
    return context


def only_1_2(issued: Issued) -> ssl.SSLContext:
    context = server(issued)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def old(issued: Issued) -> ssl.SSLContext:
    context = server(issued)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


def wanting_a_certificate(issued: Issued) -> ssl.SSLContext:
    context = server(issued)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def hop_of(peer: str, authority: Authority, stranger: Authority) -> ScriptedHop:
    right = authority.issue(HOST, label="right")
    contexts: dict[str, Callable[[], ssl.SSLContext | None]] = {
        "only TLS 1.2": lambda: only_1_2(right),
        "static RSA": lambda: static_rsa(authority.issue(HOST, label="rsa", is_rsa=True)),
        "TLS 1.0": lambda: old(authority.issue(HOST, label="old", is_rsa=True)),
        "no STARTTLS": lambda: None,
        "wants our certificate in the handshake": lambda: wanting_a_certificate(right),
        "expired": lambda: server(authority.issue(HOST, label="expired", is_expired=True)),
        "wrong name": lambda: server(authority.issue("mx.elsewhere.example", label="wrong")),
        "unknown authority": lambda: server(stranger.issue(HOST, label="stranger")),
    }
    hop = ScriptedHop(tls=contexts.get(peer, lambda: server(right))())
    faults = {
        "breaks the handshake": Fault.GARBAGE,
        "cuts the handshake": Fault.CUT,
        "hangs in the handshake": Fault.HANG,
    }
    if peer in faults:
        hop.script["handshake"] = faults[peer]
    if peer == "cuts behind the handshake":
        hop.script["EHLO behind TLS"] = Fault.CUT
    if peer == "STARTTLS refused":
        hop.script["STARTTLS"] = "454 4.7.0 TLS not available"
    return hop


async def delivered(folder: Path, hop: ScriptedHop, floor: str, attempt: int = 1) -> Ended:
    names = FakeNames()
    names.host("hop.example", HOST)
    await hop.listen()
    async with hop, relay(folder, hop.port, {"transport": {"minimum": floor}}, names) as running:
        [ended] = await running.send("someone@hop.example", attempt=attempt)
    return ended


@pytest.mark.parametrize(("peer", "floor"), CELLS)
def test_cell(tmp_path: Path, trusted: Authority, peer: str, floor: str) -> None:
    hop = hop_of(peer, trusted, Authority(tmp_path, "Stranger"))
    ended = asyncio.run(delivered(tmp_path, hop, floor))
    expected = PEERS[peer].levels[FLOORS.index(floor)]
    if expected == WAITS:
        assert ended.outcome.state is State.QUEUED
        assert hop.transactions == []
        assert not any(line.startswith("MAIL") for line in hop.commands), "nothing leaves below the floor"
        assert PEERS[peer].reason in ended.outcome.text
        is_about_the_floor = "handshake" not in peer or peer.startswith("breaks")
        assert (floor in ended.outcome.text) is is_about_the_floor, ended.outcome.text
        return
    assert ended.outcome.state is State.RELAYED, ended.outcome.text
    assert ended.facts["level"] == expected
    assert hop.transactions[0].was_encrypted is (expected != "plaintext")
    steps = "; ".join(ended.facts["steps_down"])
    is_best = expected in ("forward-secret", "authenticated")
    assert not steps if is_best else PEERS[peer].reason in steps
    assert ended.facts["floor"] == floor


AGAIN = {
    "cuts the handshake": Peer(("plaintext", WAITS, WAITS, WAITS), "the host cuts the handshake"),
    "hangs in the handshake": Peer(("plaintext", WAITS, WAITS, WAITS), "the host cuts the handshake"),
    "wants our certificate in the handshake": Peer(("plaintext", WAITS, WAITS, WAITS), "the host cuts the handshake"),
    "cuts behind the handshake": Peer(("plaintext", WAITS, WAITS, WAITS), "the host cuts the handshake"),
}


@pytest.mark.parametrize(("peer", "floor"), [(peer, floor) for peer in AGAIN for floor in FLOORS])
def test_from_the_second_attempt_on_a_cut_handshake_is_a_failed_one(
    tmp_path: Path, trusted: Authority, peer: str, floor: str
) -> None:
    """Who can cut it can take STARTTLS away as well; floors stay."""
    hop = hop_of(peer, trusted, trusted)
    ended = asyncio.run(delivered(tmp_path, hop, floor, attempt=2))
    level = AGAIN[peer].levels[FLOORS.index(floor)]
    if level == WAITS:
        assert ended.outcome.state is State.QUEUED
        assert hop.transactions == []
        return
    assert ended.outcome.state is State.RELAYED, ended.outcome.text
    assert ended.facts["level"] == level
    assert AGAIN[peer].reason in ended.facts["steps_down"][0]


def test_another_host_goes_before_less_privacy(tmp_path: Path, trusted: Authority) -> None:
    async def scenario() -> None:
        names = FakeNames()
        cutting, modern = hop_of("cuts the handshake", trusted, trusted), hop_of("modern", trusted, trusted)
        await cutting.listen()
        await modern.listen("127.0.0.2", cutting.port)
        names.host("hop.example", "a.hop.example", HOST)
        names.put(HOST, "A", "127.0.0.2")
        async with cutting, modern, relay(tmp_path, cutting.port, {}, names) as running:
            [ended] = await running.send("someone@hop.example", attempt=3)
        assert ended.facts["level"] == "forward-secret"
        assert not cutting.transactions

    asyncio.run(scenario())


def test_what_was_learned_is_remembered(tmp_path: Path, trusted: Authority) -> None:
    async def scenario() -> None:
        names = FakeNames()
        names.host("hop.example", HOST)
        hop = hop_of("static RSA", trusted, trusted)
        hop.script["MAIL"] = ["250 ok", "421 4.3.2 come again"]
        await hop.listen()
        async with hop, relay(tmp_path, hop.port, {}, names) as running:
            [first] = await running.send("someone@hop.example")
            await running.send("someone@hop.example")
            connections = hop.connections
            [third] = await running.send("someone@hop.example")
        assert hop.connections == connections + 1, "the new session begins at the step that fits"
        assert first.facts["cipher"] == third.facts["cipher"] == "AES128-GCM-SHA256"
        assert first.facts["key_exchange"] == "RSA" and first.facts["forward_secret"] is False
        assert "learned before" in third.facts["steps_down"][0]

    asyncio.run(scenario())


def test_the_record_of_an_attempt(tmp_path: Path, trusted: Authority) -> None:
    ended = asyncio.run(delivered(tmp_path, hop_of("modern", trusted, trusted), "authenticated"))
    facts = ended.facts
    assert facts["host"] == HOST
    assert facts["address"] == "127.0.0.1"
    assert facts["ehlo"] == "gateway.example"
    assert facts["starttls_offered"] is True
    assert (facts["tls"], facts["key_exchange"], facts["forward_secret"]) == ("TLSv1.3", "(EC)DHE", True)
    assert facts["certificate"]["names"] == [HOST]
    assert facts["certificate"]["issuer"] == "Test Authority"
    assert "WebPKI" in facts["verification"]
    assert facts["floor_by"] == ["the transport minimum of the policy"]
    assert facts["took"] >= 0 and facts["began"] > 0
