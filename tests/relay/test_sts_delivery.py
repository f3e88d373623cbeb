"""MTA-STS from end to end, a second table: policy x peer -> level, outcome and reason. The policies come by HTTPS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailgate.ipc.calls import Ended
from mailgate.model.outcome import State
from mailgate.transport.published import sts_policy
from tests.relay.harness import FakeNames, relay
from tests.relay.test_transport_table import HOST, WAITS, hop_of
from tests.support.certificates import Authority
from tests.support.scripted_hop import ScriptedHop
from tests.transport.test_https_fetch import Site

pytestmark = pytest.mark.component("root")
DOMAIN = "hop.example"
POLICY_HOST = f"mta-sts.{DOMAIN}"
ADDRESS = f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # port 443 is taken once for each of these

PEERS = ("modern", "static RSA", "no STARTTLS", "breaks the handshake", "expired", "wrong name", "unknown authority")
ALL_WAIT = (WAITS,) * len(PEERS)
UNVERIFIED = ("forward-secret", "encrypted", "plaintext", "plaintext", *("forward-secret",) * 3)
POLICIES = {
    "enforce": ("authenticated", *(WAITS,) * 6),
    "enforce for other hosts": ALL_WAIT,
    "testing": ("authenticated", *UNVERIFIED[1:]),
    "none": UNVERIFIED,
    "policy host unknown": UNVERIFIED,
    "policy host redirects": UNVERIFIED,
}
CELLS = [(policy, peer) for policy in POLICIES for peer in PEERS]


def answer(policy: str) -> bytes:
    mode = policy.partition(" ")[0] if policy in ("testing", "none") else "enforce"
    host = "mx.elsewhere.example" if policy == "enforce for other hosts" else HOST
    body = sts_policy([host], mode, 604_800).encode()
    status = "301 Moved\r\nLocation: /policy" if policy == "policy host redirects" else "200 OK"
    return f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def sites(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """A policy host that is trusted, and one that is not."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "Stranger")
    other = ADDRESS.replace("127.77.", "127.78.")
    made = {
        ADDRESS: Site(authority.issue(POLICY_HOST, label="policy"), (ADDRESS, 443)),
        other: Site(stranger.issue(POLICY_HOST), (other, 443)),
    }
    yield made
    for site in made.values():
        site.close()


def delivered(
    folder: Path, hop: ScriptedHop, sites: dict[str, Site], policy: str, floor: str = "plaintext", **mail: Any
) -> Ended:
    address = list(sites)[policy == "policy host unknown"]
    sites[address].answer = answer(policy)
    names = FakeNames()
    names.host(DOMAIN, HOST)
    names.put(f"_mta-sts.{DOMAIN}", "TXT", "v=STSv1; id=1")
    names.put(POLICY_HOST, "A", address)

    async def run() -> Ended:
        await hop.listen()
        async with hop, relay(folder, hop.port, {"transport": {"minimum": floor}}, names) as running:
            [ended] = await running.send(f"someone@{DOMAIN}", **mail)
            return ended

    return asyncio.run(run())


@pytest.mark.parametrize(("policy", "peer"), CELLS)
def test_cell(tmp_path: Path, trusted: Authority, sites: dict[str, Site], policy: str, peer: str) -> None:
    hop = hop_of(peer, trusted, Authority(tmp_path, "Stranger"))
    ended = delivered(tmp_path, hop, sites, policy)
    expected = POLICIES[policy][PEERS.index(peer)]
    if expected == WAITS:
        assert ended.outcome.state is State.QUEUED
        assert not any(line.startswith("MAIL") for line in hop.commands), "nothing leaves against the policy"
        assert "the MTA-STS policy of hop.example" in ended.outcome.text
        return
    assert (ended.outcome.state, ended.facts["level"]) == (State.RELAYED, expected), ended.outcome.text
    assert hop.transactions[0].was_encrypted is (expected != "plaintext")
    applied = policy if policy in ("enforce", "testing") else "none"
    assert ended.facts["mta_sts"] == applied
    assert ended.facts["floor_by"] == (["the MTA-STS policy of hop.example"] if policy == "enforce" else [])


@pytest.mark.parametrize(("floor", "state"), [("plaintext", State.RELAYED), ("encrypted", State.QUEUED)])
def test_tls_required_no_waives_the_policy_of_the_receiver_only(
    tmp_path: Path, trusted: Authority, sites: dict[str, Site], floor: str, state: State
) -> None:
    message = b"TLS-Required: No\r\nSubject: x\r\n\r\nx\r\n"
    hop = hop_of("no STARTTLS", trusted, trusted)
    assert delivered(tmp_path, hop, sites, "enforce", floor, message=message).outcome.state is state
