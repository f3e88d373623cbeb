"""REQUIRETLS and `TLS-Required: No` on the way out (RFC 8689)."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from mailgate.ipc.calls import Ended
from mailgate.model.dns import Mx
from mailgate.model.outcome import State
from tests.relay.harness import FakeNames, relay
from tests.relay.test_transport_table import HOST, server, static_rsa
from tests.support.certificates import Authority, Issued
from tests.support.scripted_hop import ALL, ScriptedHop

PROMISES = (*ALL, "REQUIRETLS")
WAIVED = b"TLS-Required: No\r\nSubject: x\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue(HOST, label="requiretls")


async def sent(folder: Path, hop: ScriptedHop, policy: dict[str, Any] | None = None, **mail: Any) -> Ended:
    names = FakeNames()
    names.host("hop.example", HOST)
    await hop.listen()
    async with hop, relay(folder, hop.port, policy, names) as running:
        [ended] = await running.send("someone@hop.example", **{"requiretls": True, **mail})
    return ended


def hop_of(context: ssl.SSLContext | None, extensions: tuple[str, ...] = PROMISES) -> ScriptedHop:
    return ScriptedHop(tls=context, extensions=extensions)


def test_it_goes_on_authenticated_and_with_the_demand(tmp_path: Path, trusted: Authority, issued: Issued) -> None:
    hop = hop_of(server(issued))
    ended = asyncio.run(sent(tmp_path, hop))
    assert (ended.outcome.state, ended.facts["level"]) == (State.RELAYED, "authenticated"), ended.outcome.text
    assert ended.facts["floor_by"] == ["REQUIRETLS, asked for by the sender"]
    assert hop.transactions[0].mail.endswith(" REQUIRETLS")


@pytest.mark.parametrize(
    ("peer", "enhanced"),
    [("no promise", "5.7.30"), ("no TLS", "5.7.10"), ("static RSA", "5.7.10"), ("wrong name", "5.7.10")],
)
def test_else_it_bounces_at_once(tmp_path: Path, trusted: Authority, issued: Issued, peer: str, enhanced: str) -> None:
    hops = {
        "no promise": lambda: hop_of(server(issued), ALL),
        "no TLS": lambda: hop_of(None),
        "static RSA": lambda: hop_of(static_rsa(trusted.issue(HOST, label="req-rsa", is_rsa=True))),
        "wrong name": lambda: hop_of(server(trusted.issue("mx.elsewhere.example", label="req-wrong"))),
    }
    hop = hops[peer]()
    ended = asyncio.run(sent(tmp_path, hop))
    assert (ended.outcome.state, ended.outcome.enhanced) == (State.BOUNCED, enhanced), ended.outcome.text
    assert "REQUIRETLS" in ended.outcome.text
    assert not any(line.startswith("MAIL") for line in hop.commands)


def test_a_host_that_nothing_can_prove_is_no_host(tmp_path: Path, trusted: Authority, issued: Issued) -> None:
    async def run() -> Ended:
        names = FakeNames()
        names.host("hop.example", "mx.elsewhere.example")
        hop = await hop_of(server(issued)).listen()
        async with hop, relay(tmp_path, hop.port, {}, names) as running:
            [ended] = await running.send("someone@hop.example", requiretls=True)
        assert hop.connections == 0
        return ended

    ended = asyncio.run(run())
    assert (ended.outcome.state, ended.outcome.enhanced) == (State.BOUNCED, "5.7.10")


def test_the_next_host_may_promise_it(tmp_path: Path, trusted: Authority) -> None:
    async def run() -> None:
        first, second = "mx1.hop.example", "mx2.hop.example"
        both = trusted.issue(first, second, label="both")
        names = FakeNames()
        names.put("hop.example", "MX", Mx(1, first), Mx(2, second))
        names.put(first, "A", "127.0.0.1")
        names.put(second, "A", "127.0.0.2")
        lacking = await hop_of(server(both), ALL).listen()
        async with lacking:
            promising = await hop_of(server(both)).listen("127.0.0.2", lacking.port)
            async with promising, relay(tmp_path, lacking.port, {}, names) as running:
                [ended] = await running.send("someone@hop.example", requiretls=True)
        assert ended.outcome.state is State.RELAYED, ended.outcome.text
        assert ended.facts["host"] == second
        assert not lacking.transactions and len(promising.transactions) == 1

    asyncio.run(run())


def test_a_host_that_can_not_be_reached_is_waited_for(tmp_path: Path, trusted: Authority, issued: Issued) -> None:
    hop = hop_of(server(issued))
    hop.script["greeting"] = "421 4.3.2 come again"
    ended = asyncio.run(sent(tmp_path, hop))
    assert ended.outcome.state is State.QUEUED


@pytest.mark.parametrize("extensions", [ALL, PROMISES])
def test_a_notice_about_such_mail_needs_no_promise(
    tmp_path: Path, trusted: Authority, issued: Issued, extensions: tuple[str, ...]
) -> None:
    hop = hop_of(server(issued), extensions)
    ended = asyncio.run(sent(tmp_path, hop, reverse_path=""))
    assert ended.outcome.state is State.RELAYED, ended.outcome.text
    assert hop.transactions[0].mail.endswith(" REQUIRETLS") is ("REQUIRETLS" in extensions)


def test_but_it_does_not_leave_in_plaintext(tmp_path: Path) -> None:
    hop = hop_of(None)
    ended = asyncio.run(sent(tmp_path, hop, reverse_path=""))
    assert ended.outcome.state is State.QUEUED
    assert not hop.transactions


@pytest.mark.parametrize(
    ("policy", "level"),
    [
        ({}, "plaintext"),
        ({"transport": {"minimum": "encrypted"}}, ""),
        ({"transport": {"classes": {"hop.example": "authenticated"}}}, ""),
    ],
)
def test_tls_required_no_never_lowers_our_own_floor(tmp_path: Path, policy: dict[str, Any], level: str) -> None:
    hop = hop_of(None)
    ended = asyncio.run(sent(tmp_path, hop, policy, requiretls=False, message=WAIVED))
    assert ended.outcome.state is (State.RELAYED if level else State.QUEUED)
    assert [each.was_encrypted for each in hop.transactions] == ([False] if level else [])


def test_where_both_stand_requiretls_counts(tmp_path: Path) -> None:
    hop = hop_of(None)
    ended = asyncio.run(sent(tmp_path, hop, message=WAIVED))
    assert (ended.outcome.state, ended.outcome.enhanced) == (State.BOUNCED, "5.7.10")
