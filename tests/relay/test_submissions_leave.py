"""Submissions leave for a real Postfix and a real Exim: byte for byte, by the best TLS they have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.dns_server import DnsServer
from tests.support.exim_hop import EximHop
from tests.support.gateway import Gateway
from tests.support.next_hop import PostfixHop

pytestmark = pytest.mark.component("clamd", "root")
Build = Callable[..., Gateway]


def submit(gateway: Gateway, recipient: str, message: bytes) -> str:
    with gateway.submit() as client:
        answer = client.transfer("bob@acme.example", [recipient], message)
        assert answer.code == 250, str(answer)
        return answer.queue_id


def final(gateway: Gateway, queue_id: str, kind: str) -> dict[str, object]:
    """The facts of the line of this kind in the timeline, awaited."""

    def find() -> dict[str, object] | None:
        timeline = gateway.json("trace", queue_id)
        lines = timeline["events"] if isinstance(timeline, dict) else timeline[0]["events"]
        return next((line["facts"] for line in lines if line["kind"] == kind), None)

    found = eventually(find, f"{kind} in the timeline of {queue_id}\n{gateway.log()[-3000:]}")
    assert found is not None
    return found


def is_as_it_was_sent(stored: bytes, message: bytes) -> None:
    """Byte for byte, with our trace header on top and the next hop's above it."""
    arrived = stored.replace(b"\n", b"\r\n")
    above = arrived.removesuffix(message)
    assert len(above) == len(arrived) - len(message), "the message was changed on its way"
    assert above.lower().count(b"return-path: <bob@acme.example>") == 1, "the last server's; ours must not be there"
    theirs, ours = above.split(b"\r\nReceived: ")[-2:]
    assert b"mx.gateway.example" in theirs
    assert b"by mx.gateway.example" in ours


@pytest.mark.component("exim")
def test_a_submission_reaches_exim_by_tls_1_3(
    new_gateway: Build, clamd: Clamd, dns: DnsServer, exim_hop: EximHop
) -> None:
    dns.host("hop.example", "mx.exim.example", "127.0.0.1")
    gateway = new_gateway(clamd.endpoint, RELAY_PORT=str(exim_hop.offered), RESOLVER=dns.endpoint)
    gateway.start()
    name = messages.token()
    message = messages.written_by("bob@acme.example", messages.with_attachment(name, messages.pdf()))
    queue_id = submit(gateway, "someone@hop.example", message)
    stored = exim_hop.received(name)
    is_as_it_was_sent(stored, message)
    assert b"(TLS1.3)" in stored
    facts = final(gateway, queue_id, "relayed")
    assert (facts["tls"], facts["level"], facts["steps_down"]) == ("TLSv1.3", "forward-secret", [])
    told = gateway.cli("trace", queue_id)
    for word in ("clean", "committed", "mx.exim.example", "forward-secret, TLSv1.3", "OK id="):
        assert word in told, told
    gateway.stop()


@pytest.mark.component("postfix")
@pytest.mark.parametrize("workers", ["1", "0"])
def test_a_submission_arrives_by_tls_1_3(
    new_gateway: Build, clamd: Clamd, dns: DnsServer, postfix_hop: PostfixHop, workers: str
) -> None:
    dns.host("hop.example", "mx.hop.example", "127.0.0.1")
    gateway = new_gateway(clamd.endpoint, RELAY_PORT=str(postfix_hop.offered), RESOLVER=dns.endpoint, WORKERS=workers)
    gateway.start()
    name = messages.token()
    message = messages.written_by("bob@acme.example", messages.with_attachment(name, messages.pdf()))
    queue_id = submit(gateway, "someone@hop.example", message)
    is_as_it_was_sent(postfix_hop.received(name), message)
    facts = final(gateway, queue_id, "relayed")
    assert facts["tls"] == "TLSv1.3"
    assert facts["level"] == "forward-secret"
    assert facts["steps_down"] == []
    assert "TLSv1.3" in postfix_hop.log()
    assert "forward-secret, TLSv1.3" in gateway.cli("trace", queue_id)
    report = gateway.json("transport", "report", "--tenant", "acme", "--since", "1h")
    assert report["levels"]["forward-secret"] == {"messages": 1, "share": 1.0}
    assert gateway.json("transport", "report", "--tenant", "globex")["relayed"] == 0
    [host] = gateway.json("transport", "probe", "hop.example")["hosts"]
    assert (host["host"], host["facts"]["level"]) == ("mx.hop.example", "forward-secret")
    assert "forward-secret" in gateway.cli("transport", "probe", "hop.example")
    assert gateway.run("transport", "probe", "nowhere.example").returncode == 1
    assert "_mta-sts.acme.example" in gateway.cli("dns", "records", "acme.example")
    gateway.stop()
