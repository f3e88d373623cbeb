"""Users of a tenant hand in mail: by STARTTLS or TLS from the start, authenticated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import maildir, messages
from tests.support.gateway import PASSWORD, Gateway
from tests.support.smtp import Answer, SmtpClient

pytestmark = pytest.mark.component("clamd")
BOB, ALICE, CAROL = "bob@acme.example", "alice@acme.example", "carol@globex.example"


def by_bob() -> bytes:
    return messages.written_by(BOB, messages.clean(messages.token()))


def encrypted(gateway: Gateway, tls: bool) -> SmtpClient:
    client = SmtpClient(gateway.submissions if tls else gateway.submission, tls=tls)
    client.hello()
    if not tls:
        client.starttls()
        client.command("EHLO client.example", 250)
    return client


@pytest.mark.parametrize("tls", [False, True], ids=["starttls", "tls"])
@pytest.mark.parametrize("login", [SmtpClient.auth_plain, SmtpClient.auth_login], ids=["plain", "login"])
def test_a_user_sends_to_a_colleague(
    gateway: Gateway, tls: bool, login: Callable[[SmtpClient, str, str], Answer]
) -> None:
    name = messages.token()
    message = messages.written_by(BOB, messages.with_attachment(name, messages.pdf()))
    with encrypted(gateway, tls) as client:
        assert login(client, BOB, PASSWORD).code == 235
        assert client.transfer(BOB, [ALICE], message).code == 250
    assert maildir.below_trace_headers(gateway.delivered(ALICE, name), message) == message


def test_nothing_is_taken_without_authentication(gateway: Gateway) -> None:
    with encrypted(gateway, tls=False) as client:
        assert client.command(f"MAIL FROM:<{BOB}>", 530).enhanced == "5.7.0"


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(gateway: Gateway) -> None:
    with encrypted(gateway, tls=True) as client:
        wrong = client.auth_plain("alice@acme.example", "wrong")
        unknown = client.auth_plain("nobody@acme.example", "wrong")
    assert (wrong.code, wrong.enhanced) == (535, "5.7.8")
    assert wrong == unknown


def test_a_user_sends_under_no_other_address(gateway: Gateway) -> None:
    with gateway.submit(BOB) as client:
        assert client.command(f"MAIL FROM:<{CAROL}>", 550, 553).enhanced == "5.7.1"
        assert client.command("MAIL FROM:<bob@elsewhere.example>", 550, 553).enhanced == "5.7.1"


def test_outside_recipients_are_taken_for_the_relay(gateway: Gateway) -> None:
    with gateway.submit(BOB) as client:
        answer = client.transfer(BOB, ["someone@elsewhere.example"], by_bob())
        assert answer.code == 250
    waiting = gateway.json("queue", "show", answer.queue_id)
    assert "someone@elsewhere.example" in str(waiting)


def test_another_tenant_hosted_here_gets_its_own_copy(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.written_by(BOB, messages.clean(name))
    with gateway.submit(BOB) as client:
        assert client.transfer(BOB, [ALICE, CAROL], message).code == 250
    for address in (ALICE, CAROL):
        assert maildir.below_trace_headers(gateway.delivered(address, name), message) == message


def test_infected_submissions_are_refused(gateway: Gateway) -> None:
    with gateway.submit(BOB, tls=True) as client:
        answer = client.transfer(BOB, [ALICE], messages.written_by(BOB, messages.infected(messages.token())))
        assert (answer.code, answer.enhanced) == (554, "5.7.1")
