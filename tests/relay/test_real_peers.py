"""Real servers as next hops: Postfix and Exim in four ways each; stunnel before smtp-sink with static RSA only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailgate.ipc.calls import Ended
from mailgate.model.outcome import State
from tests.relay.harness import FakeNames, relay
from tests.relay.test_transport_table import FLOORS, WAITS
from tests.support import messages
from tests.support.exim_hop import EximHop
from tests.support.next_hop import PostfixHop
from tests.support.stunnel_hop import StunnelHop


def delivered(folder: Path, port: int, floor: str, message: bytes) -> Ended:
    async def run() -> Ended:
        names = FakeNames()
        names.host("hop.example", "mx.hop.example")
        async with relay(folder, port, {"transport": {"minimum": floor}}, names) as running:
            [ended] = await running.send("someone@hop.example", message=message)
            return ended

    return asyncio.run(run())


FOUR_WAYS = {
    "offered": ("forward-secret", "forward-secret", "forward-secret", WAITS),
    "required": ("forward-secret", "forward-secret", "forward-secret", WAITS),
    "none": ("plaintext", WAITS, WAITS, WAITS),
    "deferring": (WAITS, WAITS, WAITS, WAITS),
}


def check_cell(folder: Path, hop: PostfixHop | EximHop, way: str, floor: str) -> None:
    name = messages.token()
    ended = delivered(folder, getattr(hop, way), floor, messages.clean(name))
    expected = FOUR_WAYS[way][FLOORS.index(floor)]
    if expected == WAITS:
        assert ended.outcome.state is State.QUEUED
        if way == "deferring" and floor != "authenticated":
            assert ended.outcome.code in (450, 451)
        return
    assert (ended.outcome.state, ended.facts["level"]) == (State.RELAYED, expected), ended.outcome.text
    assert names_tls_1_3(hop.received(name)) is (expected != "plaintext")


def names_tls_1_3(arrived: bytes) -> bool:
    """What the server says in its trace header: Postfix `using TLSv1.3`, Exim `(TLS1.3)`."""
    return b"using TLSv1.3" in arrived or b"(TLS1.3)" in arrived


@pytest.mark.component("postfix", "root")
@pytest.mark.parametrize("way", list(FOUR_WAYS))
@pytest.mark.parametrize("floor", FLOORS)
def test_postfix(tmp_path: Path, postfix_hop: PostfixHop, way: str, floor: str) -> None:
    check_cell(tmp_path, postfix_hop, way, floor)


@pytest.mark.component("exim", "root")
@pytest.mark.parametrize("way", list(FOUR_WAYS))
@pytest.mark.parametrize("floor", FLOORS)
def test_exim(tmp_path: Path, exim_hop: EximHop, way: str, floor: str) -> None:
    check_cell(tmp_path, exim_hop, way, floor)


@pytest.mark.component("postfix", "stunnel", "root")
@pytest.mark.parametrize("floor", FLOORS)
def test_static_rsa_only(tmp_path: Path, old_peer: StunnelHop, floor: str) -> None:
    ended = delivered(tmp_path, old_peer.port, floor, messages.clean(messages.token()))
    if floor in ("plaintext", "encrypted"):
        assert (ended.outcome.state, ended.facts["level"]) == (State.RELAYED, "encrypted"), ended.outcome.text
        assert ended.facts["cipher"] == "AES128-GCM-SHA256"
        assert "handshake failed" in ended.facts["steps_down"][0]
        assert "AES128-GCM-SHA256" in old_peer.log()
        return
    assert ended.outcome.state is State.QUEUED
    assert floor in ended.outcome.text
