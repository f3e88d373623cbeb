"""Witnesses from outside: tcpdump sees what went over the wire, and the peers' own logs say what they agreed to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailgate.ipc.calls import Ended
from mailgate.model.outcome import State
from tests.relay.harness import FakeNames, relay
from tests.relay.test_transport_table import FLOORS, HOST, server
from tests.support import messages
from tests.support.capture import Capture
from tests.support.certificates import Authority
from tests.support.next_hop import PostfixHop
from tests.support.ports import free_port
from tests.support.scripted_hop import Fault, ScriptedHop
from tests.support.stunnel_hop import StunnelHop

TLS_1_3 = {"1301", "1302", "1303"}
STATIC_RSA = {"009c"}  # TLS_RSA_WITH_AES_128_GCM_SHA256


async def each(folder: Path, port: int, floors: Sequence[str]) -> dict[str, tuple[str, Ended]]:
    """One message under each floor: the marker of its body, and how it ended."""
    names = FakeNames()
    names.host("hop.example", "mx.hop.example")
    found = {}
    for floor in floors:
        marker = messages.token()
        async with relay(folder, port, {"transport": {"minimum": floor}}, names) as running:
            [ended] = await running.send("someone@hop.example", message=messages.clean(messages.token(), marker))
        found[floor] = (marker, ended)
    return found


def sent(folder: Path, port: int, floors: Sequence[str]) -> dict[str, tuple[str, Ended]]:
    return asyncio.run(each(folder, port, floors))


@pytest.mark.component("postfix", "tcpdump", "root")
def test_nothing_leaves_in_plaintext_above_the_lowest_floor(tmp_path: Path, postfix_hop: PostfixHop) -> None:
    with Capture(tmp_path, postfix_hop.none) as capture:
        found = sent(tmp_path, postfix_hop.none, FLOORS)
    for floor, (marker, ended) in found.items():
        is_plain = floor == "plaintext"
        assert (marker.encode() in capture.content) is is_plain, floor
        assert ended.outcome.state is (State.RELAYED if is_plain else State.QUEUED)


@pytest.mark.component("postfix", "tcpdump", "root")
def test_a_modern_peer_gets_forward_secrecy(tmp_path: Path, postfix_hop: PostfixHop) -> None:
    with Capture(tmp_path, postfix_hop.offered) as capture:
        found = sent(tmp_path, postfix_hop.offered, FLOORS[:3])
    assert capture.suites and capture.suites <= TLS_1_3
    for marker, ended in found.values():
        assert ended.outcome.state is State.RELAYED, ended.outcome.text
        assert not ended.facts["steps_down"]
        assert marker.encode() in postfix_hop.received(marker)
        assert marker.encode() not in capture.content
    assert "TLSv1.3 with cipher TLS_" in postfix_hop.log()


@pytest.mark.component("postfix", "stunnel", "tcpdump", "root")
def test_an_old_peer_gets_static_rsa_and_the_record_says_why(tmp_path: Path, old_peer: StunnelHop) -> None:
    with Capture(tmp_path, old_peer.port) as capture:
        found = sent(tmp_path, old_peer.port, FLOORS)
    assert capture.suites == STATIC_RSA
    assert "AES128-GCM-SHA256" in old_peer.log()
    for floor, (marker, ended) in found.items():
        assert marker.encode() not in capture.content, floor
        is_enough = floor in ("plaintext", "encrypted")
        assert ended.outcome.state is (State.RELAYED if is_enough else State.QUEUED)
        if is_enough:
            assert (ended.facts["level"], ended.facts["key_exchange"]) == ("encrypted", "RSA")
            assert ended.facts["steps_down"][0].startswith("forward-secret: TLS handshake failed")


@pytest.mark.component("tcpdump", "root")
@pytest.mark.parametrize(("fault", "seen"), [(Fault.GARBAGE, {"plaintext"}), (Fault.CUT, set()), (Fault.RESET, set())])
def test_a_broken_handshake(tmp_path: Path, authority: Authority, fault: Fault, seen: set[str]) -> None:
    """Garbage means that TLS can't be agreed; who cuts the line may be an attacker, and gets nothing to see."""
    port = free_port()

    async def run() -> dict[str, tuple[str, Ended]]:
        hop = ScriptedHop(tls=server(authority.issue(HOST, label="witness")))
        hop.script["handshake"] = fault
        async with await hop.listen(port=port):
            return await each(tmp_path, port, FLOORS)

    with Capture(tmp_path, port) as capture:
        found = asyncio.run(run())
    assert {floor for floor, (marker, _) in found.items() if marker.encode() in capture.content} == seen
    assert {floor for floor, (_, ended) in found.items() if ended.outcome.state is State.RELAYED} == seen
