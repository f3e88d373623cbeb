"""A tenant with a mail server of its own: what comes in goes there, what it sends goes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import maildir, messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway
from tests.support.scripted_hop import ScriptedHop, Transaction, in_a_thread
from tests.support.smtp import SmtpClient

pytestmark = pytest.mark.component("clamd")
JOE, FULL, NOBODY = "joe@acme.example", "full@acme.example", "nobody@acme.example"
OUTSIDE = "someone@far.example"


@pytest.fixture
def server() -> Iterator[ScriptedHop]:
    """The tenant's LMTP server, and the smarthost for all that leaves."""
    hop = ScriptedHop()
    hop.script = {"RCPT nobody": "550 5.1.1 no such user", "end full": "552 5.2.2 mailbox full"}
    with in_a_thread(hop):
        yield hop


@pytest.fixture
def gateway(new_gateway: Callable[..., Gateway], clamd: Clamd, server: ScriptedHop) -> Iterator[Gateway]:
    made = new_gateway(clamd.endpoint)
    (made.policy_dir / "gateway.toml").write_text(f'[[routes]]\ndomain = "*"\nsmarthost = "127.0.0.1:{server.port}"\n')
    (made.policy_dir / "tenants").mkdir(exist_ok=True)
    (made.policy_dir / "tenants" / "acme.toml").write_text(
        f'[[inbound]]\ndomain = "acme.example"\nserver = "127.0.0.1:{server.port}"\nprotocol = "lmtp"\n'
        '[sending]\nnetworks = "127.0.0.1"\n'
    )
    made.start()
    yield made
    made.stop()


def arrived(server: ScriptedHop, name: str) -> Transaction:
    def find() -> Transaction | None:
        return next((each for each in server.transactions if name.encode() in (each.message or b"")), None)

    found = eventually(find, f"a message with {name} at the tenant's server")
    assert found is not None
    return found


def test_mail_from_outside_reaches_the_tenants_server(gateway: Gateway, server: ScriptedHop) -> None:
    name = messages.token()
    message = messages.clean(name)
    with gateway.connect() as client:
        client.command("MAIL FROM:<sender@sender.example>", 250)
        assert client.command(f"RCPT TO:<{NOBODY}>", 550).enhanced == "5.1.1"
        client.command(f"RCPT TO:<{JOE}>", 250)
        assert client.data(message).code == 250
    found = arrived(server, name)
    assert found.rcpt == [f"RCPT TO:<{JOE}>"]
    assert maildir.below_trace_headers(found.message or b"", message) == message


def test_what_the_server_refuses_after_all_is_never_bounced(gateway: Gateway, server: ScriptedHop) -> None:
    name = messages.token()
    kept = gateway.deliver(messages.clean(name), JOE, FULL)
    arrived(server, name)

    def waiting() -> dict[str, str]:
        rows = gateway.json("queue", "show", kept.queue_id)["recipients"]
        return {row["forward_path"]: row["state"] for row in rows}

    eventually(lambda: waiting() == {FULL: "quarantined"}, "one in quarantine, nobody else waiting")
    assert len(server.transactions) == 1


def test_the_tenants_server_sends_through_us(gateway: Gateway, server: ScriptedHop) -> None:
    name = messages.token()
    with SmtpClient(gateway.mx) as client:
        client.hello()
        assert client.transfer(JOE, [OUTSIDE], messages.clean(name)).code == 250
    assert arrived(server, name).rcpt == [f"RCPT TO:<{OUTSIDE}>"]


def test_a_bounce_comes_back_to_the_server(gateway: Gateway, server: ScriptedHop) -> None:
    server.script["RCPT someone"] = "550 5.1.1 no such user"
    name = messages.token()
    with SmtpClient(gateway.mx) as client:
        client.hello()
        assert client.transfer(JOE, [OUTSIDE], messages.clean(name)).code == 250
    notice = arrived(server, name)
    assert notice.mail.startswith("MAIL FROM:<>")
    assert notice.rcpt[0].startswith(f"RCPT TO:<{JOE}>")
