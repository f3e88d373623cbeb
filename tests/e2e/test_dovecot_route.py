"""A tenant whose mailboxes are a Dovecot of its own, by LMTP: real recipients, real refusals, on a port or a socket."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import Build
from tests.support import maildir, messages
from tests.support.certificates import Authority
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.dovecot_lmtp import DovecotLmtp
from tests.support.gateway import Gateway, short_folder

pytestmark = pytest.mark.component("clamd", "dovecot", "root")
JOE, ANN, FULL, NOBODY = "joe@acme.example", "ann@acme.example", "full@acme.example", "nobody@acme.example"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[DovecotLmtp]:
    folder = short_folder("mg-ca-")
    server = DovecotLmtp(short_folder("mg-dove-"), Authority(folder).issue("lmtp.acme.example"), JOE, ANN, FULL)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["port", "socket"])
def gateway(
    request: pytest.FixtureRequest, new_gateway: Build, clamd: Clamd, dovecot: DovecotLmtp
) -> Iterator[Gateway]:
    made = new_gateway(clamd.endpoint)
    server = f"unix:{dovecot.socket}" if request.param == "socket" else f"127.0.0.1:{dovecot.port}"
    (made.policy_dir / "tenants").mkdir(exist_ok=True)
    (made.policy_dir / "tenants" / "acme.toml").write_text(
        f'[[inbound]]\ndomain = "acme.example"\nserver = "{server}"\nprotocol = "lmtp"\n'
    )
    made.start()
    yield made
    made.stop()


def test_each_recipient_has_a_status_of_its_own(gateway: Gateway, dovecot: DovecotLmtp) -> None:
    name = messages.token()
    message = messages.with_attachment(name, messages.pdf())
    with gateway.connect() as client:
        client.command("MAIL FROM:<sender@sender.example>", 250)
        assert client.command(f"RCPT TO:<{NOBODY}>", 550).enhanced == "5.1.1"
        for known in (JOE, FULL, ANN):
            client.command(f"RCPT TO:<{known}>", 250)
        kept = client.data(message)
        assert kept.code == 250
    for user in (JOE, ANN):
        stored = dovecot.received(user, name).replace(b"\n", b"\r\n")
        assert maildir.below_trace_headers(stored, message) == message
        assert stored.count(b"Return-Path: <sender@sender.example>") == 1

    def states() -> dict[str, str]:
        rows = gateway.json("queue", "show", kept.queue_id)["recipients"]
        return {row["forward_path"]: row["state"] for row in rows}

    # accepted mail is never bounced to a sender from outside: what the server refuses after all waits for a person
    eventually(lambda: states().get(FULL) == "quarantined", f"quarantine for {FULL}, {states()}")
    told = gateway.cli("trace", kept.queue_id)
    assert "Quota exceeded" in told
    assert told.count("Saved") == 2, told
