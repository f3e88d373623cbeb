"""Senders with knot and unbound: what is spoofed is refused, what leaves verifies, also through a rotation of the
keys."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dkim
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.conftest import Build
from tests.reports.samples import BEGIN, END, OLD, compressed, mailed, zipped
from tests.support import messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.dnssec import SIGNED, UNSIGNED, SignedNames
from tests.support.gateway import Gateway, short_folder
from tests.support.ports import free_port

pytestmark = [pytest.mark.component("clamd"), pytest.mark.component("knot", "unbound")]

SENDER = f"bob@{UNSIGNED}"
AUTHOR = f"boss@{SIGNED}"
SPOOF = f"From: Boss <{AUTHOR}>\r\nSubject: pay\r\nMessage-ID: <1@{SIGNED}>\r\n\r\nPlease pay.\r\n".encode()
ZONES = {
    SIGNED: '@ TXT "v=spf1 ip4:127.0.0.1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n',
    UNSIGNED: "",
}


@pytest.fixture
def names() -> Iterator[SignedNames]:
    with SignedNames(short_folder("mg-dns-"), ZONES) as made:
        yield made


class Sink:
    """A next hop that keeps what it gets, byte for byte."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.paths: list[tuple[str, str]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert envelope.original_content is not None
        self.paths.append((envelope.mail_from or "", envelope.rcpt_tos[0]))
        self.received.append(envelope.original_content)
        return "250 OK"


@pytest.fixture
def hop() -> Iterator[Controller]:
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def running(new_gateway: Build, clamd: Clamd, names: SignedNames, hop: Controller) -> Iterator[Gateway]:
    gateway = new_gateway(clamd.endpoint, RESOLVER=names.endpoint)
    route = f'\n[[routes]]\ndomain = ["elsewhere.example", "{SIGNED}"]\nsmarthost = "127.0.0.1:{hop.port}"\n'
    policy = gateway.policy_dir / "gateway.toml"
    policy.write_text(policy.read_text() + route)
    (gateway.policy_dir / "tenants").mkdir(exist_ok=True)
    reads = '[dmarc_reports]\naddress = "bob@acme.example"\n'
    (gateway.policy_dir / "tenants" / "acme.toml").write_text(reads)
    gateway.start()
    gateway.cli("tenant", "domain", "add", "acme", UNSIGNED)
    gateway.cli("alias", "add", "acme", SENDER, "bob@acme.example")
    yield gateway
    gateway.stop()


def test_a_spoofed_message_is_refused_and_an_aligned_one_passes(running: Gateway) -> None:
    refused = running.deliver(SPOOF, sender=f"x@{UNSIGNED}")
    assert (refused.code, f"{SIGNED} must pass DMARC" in str(refused)) == (550, True)
    name = messages.token()
    passed = running.deliver(SPOOF.replace(b"<1@", f"<{name}@".encode()), sender=AUTHOR)
    assert passed.code == 250
    top = running.delivered("bob@acme.example", name).replace(b"\r\n\t", b" ").replace(b"\n\t", b" ")
    assert f"dmarc=pass header.from={SIGNED}".encode() in top


def publish_keys(running: Gateway, names: SignedNames) -> None:
    for key in running.json("dkim", "list", UNSIGNED):
        text = key["record"]
        if text not in names.txt(key["name"]):
            names.publish(UNSIGNED, key["name"], *(text[at : at + 255] for at in range(0, len(text), 255)))


def test_what_leaves_verifies_through_a_rotation(running: Gateway, names: SignedNames, hop: Controller) -> None:
    def publish() -> None:
        publish_keys(running, names)

    def sent() -> bytes:
        received, before = hop.handler.received, len(hop.handler.received)
        raw = f"From: {SENDER}\r\n".encode() + messages.clean(messages.token()).replace(b"From: ", b"X-From: ")
        with running.submit() as client:
            answer = client.transfer(SENDER, ["eve@elsewhere.example"], raw)
            assert answer.code == 250
        eventually(lambda: len(received) > before, "the message at the next hop")
        return bytes(received[-1])

    def verifies(raw: bytes) -> bool:
        """The library's own verifier, with the resolver's answers."""
        return bool(dkim.verify(raw, dnsfunc=lambda name, timeout=5: "".join(names.txt(name.decode())).encode()))

    def selector(raw: bytes) -> bytes:
        return raw.partition(b" s=")[2].partition(b";")[0]

    assert b"DKIM-Signature" not in sent(), "there are no keys yet"
    running.cli("dkim", "create", UNSIGNED)
    assert running.run("dkim", "check", UNSIGNED).returncode == 1
    publish()
    first = sent()
    assert first.count(b"DKIM-Signature:") == 2 and verifies(first)
    running.cli("dkim", "rotate", UNSIGNED)
    between = sent()
    assert verifies(between) and selector(between) == selector(first), "the DNS does not show the new key yet"
    publish()
    assert running.run("dkim", "rotate", UNSIGNED, "--wait", "10").returncode == 0
    last = sent()
    assert verifies(last)
    assert selector(last) != selector(first), "another key signs now"


def test_reports_of_others_are_read_and_summed_up(running: Gateway) -> None:
    day = 86_400 * (int(time.time()) // 86_400 - 1)
    report = OLD.replace(str(BEGIN).encode(), str(day).encode()).replace(str(END).encode(), str(day + 86_399).encode())
    for attached, media_type in ((compressed(report), "application/gzip"), (zipped(report), "application/zip")):
        name = messages.token()
        assert running.deliver(mailed(attached, media_type, sender=AUTHOR, name=name), sender=AUTHOR).code == 250
        running.delivered("bob@acme.example", name)
    forged = mailed(compressed(report.replace(b"12345", b"54321")), sender=SENDER)
    assert running.deliver(forged, sender=f"x@{SIGNED}").code == 250
    found = running.json("dmarc", "summary", "acme.example")
    assert (found["reports"], found["messages"], found["failed"]) == (1, 15, 3), "twice the same counts once"
    assert found["reporters"] == {SIGNED: 1}
    table = running.cli("dmarc", "summary", "acme.example", "--since", "3d").splitlines()
    assert table == ["2001:db8::66\t3\t3\t0\t0\t3 reject", "192.0.2.1\t12\t0\t12\t0\t-"]
    assert running.json("dmarc", "summary", "acme.example", "--tenant", "globex")["reports"] == 0


def test_forwarded_mail_is_sealed_and_its_bounces_come_home(
    running: Gateway, names: SignedNames, hop: Controller
) -> None:
    sink, alias = hop.handler, f"info@{UNSIGNED}"
    running.cli("dkim", "create", UNSIGNED)
    publish_keys(running, names)
    running.cli("alias", "add", "acme", alias, "bob@acme.example", "--forward", "kim@elsewhere.example")
    name = messages.token()
    message = SPOOF.replace(b"<1@", f"<{name}@".encode())
    assert running.deliver(message, alias, sender=AUTHOR).code == 250
    running.delivered("bob@acme.example", name)
    eventually(lambda: sink.received, "the message at the next hop")
    (reverse_path, forward_path), raw = sink.paths[0], bytes(sink.received[0])
    assert forward_path == "kim@elsewhere.example"
    assert reverse_path.startswith("SRS0=") and reverse_path.endswith(f"=boss@{UNSIGNED}")
    assert raw.endswith(message)
    state, chain, reason = dkim.arc_verify(
        raw, dnsfunc=lambda name, timeout=5: "".join(names.txt(name.decode())).encode()
    )
    assert (state, len(chain)) == (b"pass", 1), reason
    assert f"dmarc=pass header.from={SIGNED}".encode() in chain[0]["aar-value"]

    looped = running.deliver(raw, alias, sender=AUTHOR)
    assert looped.code == 250, "Bob gets it; it is not forwarded again"
    bounce = f"From: mailer-daemon@{UNSIGNED}\r\nSubject: Undelivered\r\n\r\nSorry.\r\n".encode()
    assert running.deliver(bounce, reverse_path, sender="").code == 250
    eventually(lambda: len(sink.received) > 1, "the bounce")
    assert sink.paths[1:] == [("<>", AUTHOR)]
    with running.connect() as client:
        client.command("MAIL FROM:<>", 250)
        assert client.command(f"RCPT TO:<{reverse_path.replace('boss', 'cook')}>", 550).enhanced == "5.1.1"
    told = running.cli("trace", looped.queue_id)
    assert f"not again by {alias}" in told, told
