"""Senders with a DNS server: what is spoofed is refused, what leaves verifies, also through a rotation of the keys."""

from __future__ import annotations

from collections.abc import Iterator

import dkim
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.conftest import Build
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.dns_server import DnsServer
from tests.support.gateway import Gateway
from tests.support.ports import free_port

pytestmark = pytest.mark.component("clamd")

SPOOF = b"From: Boss <boss@strict.example>\r\nSubject: pay\r\nMessage-ID: <1@strict.example>\r\n\r\nPlease pay.\r\n"
RECORDS = {
    ("strict.example", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"'],
    ("_dmarc.strict.example", "TXT"): ['"v=DMARC1; p=reject"'],
    ("1.0.0.127.in-addr.arpa", "PTR"): ["localhost.strict.example."],
    ("localhost.strict.example", "A"): ["127.0.0.1"],
}


@pytest.fixture
def names() -> Iterator[DnsServer]:
    with DnsServer(RECORDS) as server:
        server.ttl = 0
        yield server


class Sink:
    """A next hop that keeps what it gets, byte for byte."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert envelope.original_content is not None
        self.received.append(envelope.original_content)
        return "250 OK"


@pytest.fixture
def hop() -> Iterator[Controller]:
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def running(new_gateway: Build, clamd: Clamd, names: DnsServer, hop: Controller) -> Iterator[Gateway]:
    gateway = new_gateway(clamd.endpoint, RESOLVER=names.endpoint)
    route = f'\n[[routes]]\ndomain = "elsewhere.example"\nsmarthost = "127.0.0.1:{hop.port}"\n'
    policy = gateway.policy_dir / "gateway.toml"
    policy.write_text(policy.read_text() + route)
    gateway.start()
    yield gateway
    gateway.stop()


def test_a_spoofed_message_is_refused_and_an_aligned_one_passes(running: Gateway) -> None:
    refused = running.deliver(SPOOF, sender="x@evil.example")
    assert (refused.code, "strict.example must pass DMARC" in str(refused)) == (550, True)
    name = messages.token()
    passed = running.deliver(SPOOF.replace(b"<1@", f"<{name}@".encode()), sender="boss@strict.example")
    assert passed.code == 250
    top = running.delivered("bob@acme.example", name).replace(b"\r\n\t", b" ").replace(b"\n\t", b" ")
    assert b"dmarc=pass header.from=strict.example" in top and b"iprev=pass" in top


def test_what_leaves_verifies_through_a_rotation(running: Gateway, names: DnsServer, hop: Controller) -> None:
    def publish() -> None:
        for key in running.json("dkim", "list", "acme.example"):
            text = key["record"]
            strings = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
            names.records[key["name"], "TXT"] = [strings]

    def sent() -> bytes:
        received, before = hop.handler.received, len(hop.handler.received)
        raw = b"From: bob@acme.example\r\n" + messages.clean(messages.token()).replace(b"From: ", b"X-From: ")
        with running.submit() as client:
            answer = client.transfer("bob@acme.example", ["eve@elsewhere.example"], raw)
            assert answer.code == 250
        eventually(lambda: len(received) > before, "the message at the next hop")
        return received[-1]

    def rsa_passes(raw: bytes) -> bool:
        def txt(name: bytes, timeout: int = 5) -> bytes:
            found = names.records.get((name.decode().rstrip("."), "TXT"), [""])
            return found[0].replace('" "', "").strip('"').encode()

        return bool(dkim.verify(raw, dnsfunc=txt))

    def selector(raw: bytes) -> bytes:
        return raw.partition(b" s=")[2].partition(b";")[0]

    assert b"DKIM-Signature" not in sent(), "there are no keys yet"
    running.cli("dkim", "create", "acme.example")
    assert running.run("dkim", "check", "acme.example").returncode == 1
    publish()
    first = sent()
    assert first.count(b"DKIM-Signature:") == 2 and rsa_passes(first)
    running.cli("dkim", "rotate", "acme.example")
    publish()
    assert running.run("dkim", "rotate", "acme.example", "--wait", "10").returncode == 0
    last = sent()
    assert rsa_passes(last)
    assert selector(last) != selector(first), "another key signs now"
