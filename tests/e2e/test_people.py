"""People as they meet the running gateway: app passwords, names with the tenant, sessions that end, held mail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support import maildir, messages
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import PASSWORD, Gateway
from tests.support.smtp import SmtpClient

pytestmark = [pytest.mark.component("clamd")]
BOB, ALICE = "bob@acme.example", "alice@acme.example"
LIMIT = "[submission]\nmessages_per_hour = 2\n"


@contextmanager
def client_of(gateway: Gateway) -> Iterator[SmtpClient]:
    with SmtpClient(gateway.submissions, tls=True) as client:
        client.hello()
        yield client


def test_people_from_the_first_login_to_the_last(new_gateway: Callable[..., Gateway], clamd: Clamd) -> None:
    """One gateway for all of it: starting one is what costs."""
    gateway = new_gateway(clamd.endpoint)
    (gateway.policy_dir / "gateway.toml").write_text(LIMIT)
    gateway.start()
    _app_passwords(gateway)
    _login_names(gateway)
    _held_mail(gateway)
    _leaving(gateway)


def _app_passwords(gateway: Gateway) -> None:
    smtp = gateway.json("apppassword", "add", BOB, "--name", "laptop", "--scope", "smtp", "--days", "3")
    imap = gateway.json("apppassword", "add", BOB, "--name", "phone", "--scope", "imap")
    with client_of(gateway) as client:
        assert client.auth_plain(BOB, imap["password"]).code == 535
        assert client.auth_plain(BOB, smtp["password"]).code == 235
        gateway.cli("apppassword", "revoke", BOB, smtp["id"])
        eventually(lambda: client.command("NOOP").code == 421, "the end of a session whose app password is gone")


def _login_names(gateway: Gateway) -> None:
    for login in ("acme/bob", "ACME/bob@acme.example", "BOB@acme.example"):
        with client_of(gateway) as client:
            assert client.auth_plain(login, PASSWORD).code == 235
            client.command(f"MAIL FROM:<{BOB}>", 250)
    with client_of(gateway) as client:
        assert client.auth_plain("globex/bob", PASSWORD).code == 535
    wanted = {("ok", "laptop"), ("ok", ""), ("app password expired, or not for this", "phone")}
    eventually(lambda: _history(gateway) == wanted, "the login history")


def _history(gateway: Gateway) -> set[tuple[str, str]]:
    return {(line["result"], line["app_password"]) for line in gateway.admin("user.logins", login=BOB)}


def _held_mail(gateway: Gateway) -> None:
    gateway.cli("user", "role", ALICE, "administrator")
    names = [messages.token() for _ in range(3)]
    with gateway.submit(BOB) as client:
        for name in names:
            assert client.transfer(BOB, [BOB], messages.written_by(BOB, messages.clean(name))).code == 250
    for name in names[:2]:
        gateway.delivered(BOB, name)
    maildir.wait_for(gateway.maildir(ALICE), f"Mail of {BOB} is held")
    (row,) = gateway.json("queue", "list", "--state", "held")
    assert row["reason"] == f"{BOB} sent unusually much: more than 2 messages in an hour"
    gateway.cli("user", "release", BOB)
    gateway.delivered(BOB, names[2])


def _leaving(gateway: Gateway) -> None:
    with gateway.submit(BOB) as client:
        client.envelope(BOB, [ALICE])
        gateway.cli("user", "leave", BOB, "--successor", ALICE)
        eventually(lambda: client.command("NOOP").code == 421, "the end of the session of somebody who left")
    with client_of(gateway) as client:
        assert client.auth_plain(BOB, PASSWORD).code == 535
    with gateway.submit(ALICE) as client:
        client.command(f"MAIL FROM:<{BOB}>", 250)
