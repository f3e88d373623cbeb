"""One network does its worst, in all ways at once: others are served meanwhile.

What is awaited are events, not seconds: each of the others' steps must be done while the attacks are still under way.
`python -m bench.attacked` gives the figures."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest

from tests.conftest import Build
from tests.support import messages
from tests.support.attacks import BOMB, SPF_BOMB, Attackers, quoted
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.dns_server import DnsServer
from tests.support.gateway import PASSWORD, Gateway
from tests.support.smtp import SmtpClient, submission

pytestmark = pytest.mark.component("clamd")
FAR = "127.1.0.1"  # another network than the attackers' 127.0.0.0/24
BOB = "bob@acme.example"


@pytest.fixture
def attacked(new_gateway: Build, clamd: Clamd) -> Iterator[Gateway]:
    """With room for 300 connections, of which one network may hold 250."""
    with DnsServer({(BOMB, "TXT"): [quoted(SPF_BOMB)]}) as dns:
        gateway = new_gateway(clamd.endpoint, RESOLVER=dns.endpoint, INSPECTORS="4")
        policy = gateway.policy_dir / "gateway.toml"
        few = "connections = 300\nconnections_per_network = 250\nunknown_recipients_per_hour = 1000\n"
        policy.write_text(policy.read_text().replace("connections = 1000\n", few))
        gateway.start()
        yield gateway
        gateway.stop()


def shed(gateway: Gateway) -> dict[str, float]:
    """`mailgate_shed_total` by reason."""
    with urllib.request.urlopen(f"http://{gateway.metrics[0]}:{gateway.metrics[1]}/metrics", timeout=30) as answer:
        found = re.findall(r'mailgate_shed_total\{reason="(\w+)"\} ([\d.e+]+)', answer.read().decode())
    return {reason: float(number) for reason, number in found}


@pytest.mark.timeout(900)
def test_one_network_at_its_worst_leaves_the_others_served(attacked: Gateway) -> None:
    with Attackers(attacked) as attackers:
        for attack in ("idle", "hog", "guess_recipients", "guess_passwords", "never_read", "bomb_headers", "bomb_spf"):
            eventually(partial(attackers.has_begun, attack), f"the attack {attack}", 120)
        for number in range(3):
            name = messages.token()
            with SmtpClient(attacked.mx, source=FAR) as client:
                client.hello()
                assert client.transfer("a@sender.example", [BOB], messages.clean(name)).code == 250
            attacked.delivered(BOB, name)
            name = messages.token()
            message = messages.written_by(BOB, messages.clean(name))
            with submission(attacked.submission, BOB, PASSWORD, source=f"127.1.0.{number + 2}") as client:
                assert client.transfer(BOB, ["alice@acme.example"], message).code == 250
            attacked.delivered("alice@acme.example", name)
        assert attackers.hogs_under_way, "the inspectors had nothing to do meanwhile"
    found = shed(attacked)
    assert found.keys() & {"connections_per_network", "made_room"}, found
    assert 0 < attacked.log().count('"limited"') < 100
