"""The local stack as README.md describes it: built, started, used and restarted. `make compose-test` runs it."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from functools import partial

import pytest

from compose.stack import Stack, found, is_ended
from tests.support.clock import eventually
from tests.support.messages import EICAR, clean, of_size, token, with_attachment, written_by
from tests.support.smtp import deliver, submission

BOB = "bob@acme.example"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    made, is_up = Stack(), False
    try:
        made.start()
        made.mailgate("tenant", "add", "acme", "--domain", "acme.example")
        made.mailgate("user", "add", "acme", BOB, "--password-stdin", stdin=f"{PASSWORD}\n")
        is_up = True
        yield made
    finally:
        if request.session.testsfailed or not is_up:
            # captured, it would be shown only where the last test failed
            with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                print(made.compose("logs", "--no-color", "--tail", "50"))
        made.remove()


@pytest.fixture
def bob(stack: Stack) -> Iterator[imaplib.IMAP4_SSL]:
    with stack.mailbox(BOB, PASSWORD) as client:
        yield client


def sink(stack: Stack, *words: str) -> str:
    return stack.compose("exec", "-T", "sink", "python", "sink.py", *words)


def test_a_clean_mail_is_read_by_imap(stack: Stack, bob: imaplib.IMAP4_SSL) -> None:
    name = token()
    message = clean(name)
    assert deliver(stack.address("MX_PORT"), message, BOB).code == 250
    arrived = eventually(lambda: found(bob, name), "the mail in the INBOX")
    assert arrived.endswith(message)
    assert arrived.startswith(b"Return-Path: <sender@sender.example>\r\n")


def test_an_infected_mail_is_refused(stack: Stack, bob: imaplib.IMAP4_SSL) -> None:
    name = token()
    answer = deliver(stack.address("MX_PORT"), with_attachment(name, EICAR, "invoice.com"), BOB)
    assert answer.code == 554, str(answer)
    assert not found(bob, name)


def test_mail_large_and_small_outlives_a_restart_of_the_gateway(stack: Stack) -> None:
    small, large = token(), token()
    messages = {small: clean(small), large: of_size(large, 1_000_000)}
    for message in messages.values():
        assert deliver(stack.address("MX_PORT"), message, BOB).code == 250
    stack.compose("restart", "gateway")
    eventually(
        lambda: stack.containers()["gateway"]["State"]["Health"]["Status"] == "healthy", "a gateway that is well"
    )
    with stack.mailbox(BOB, PASSWORD) as bob:
        for name, message in messages.items():
            arrived = eventually(partial(found, bob, name), "the mail from before the restart")
            assert arrived.endswith(message)


def test_an_outbound_mail_is_found_in_the_sink(stack: Stack) -> None:
    name = token()
    message = written_by(BOB, clean(name))
    with submission(stack.address("SUBMISSION_PORT"), BOB, PASSWORD) as client:
        answer = client.transfer(BOB, ["anna@elsewhere.example"], message)
    assert answer.code == 250, str(answer)

    def listed() -> list[str]:
        return [line for line in sink(stack, "list").splitlines() if name in line]

    [line] = eventually(listed, "the mail in the sink")
    number, sender, recipients, _ = line.split("\t")
    assert (sender, recipients) == (f"<{BOB}>", "anna@elsewhere.example")
    kept = sink(stack, "show", number)
    assert kept.endswith(message.decode().replace("\r\n", "\n"))
    assert "X-Sink-Connection: TLS_AES" in kept


def test_imap_takes_the_word_of_the_gateway_for_who_may_log_in(stack: Stack) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        stack.mailbox(BOB, "wrong")
    stack.mailgate("user", "disable", BOB)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        stack.mailbox(BOB, PASSWORD)
    stack.mailgate("user", "enable", BOB)
    stack.mailbox(BOB, PASSWORD).logout()


def test_a_shared_mailbox_is_there_while_it_is_assigned(stack: Stack) -> None:
    box, name = "team@acme.example", token()
    stack.mailgate("mailbox", "add", "acme", box, "--user", BOB)
    assert deliver(stack.address("MX_PORT"), clean(name), box).code == 250
    reader = stack.mailbox(BOB, PASSWORD)
    reader.select(f'"Shared/{box}"')
    eventually(lambda: found(reader, name), "the mail in the shared mailbox")
    stack.mailgate("mailbox", "unassign", box, BOB)
    eventually(lambda: is_ended(reader), "the session to end")
    reader.shutdown()
    with stack.mailbox(BOB, PASSWORD) as client:
        assert client.select(f'"Shared/{box}"')[0] == "NO"


def test_imap_takes_no_password_in_plaintext(stack: Stack) -> None:
    with imaplib.IMAP4(*stack.address("IMAP_PORT"), timeout=30) as client:
        assert "LOGINDISABLED" in client.capabilities
        assert "STARTTLS" in client.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            client.login(BOB, PASSWORD)


def test_every_container_is_well_and_holds_no_right_that_it_does_not_need(stack: Stack) -> None:
    containers = stack.containers()
    assert set(containers) == {"gateway", "clamav", "dovecot", "unbound", "sink"}
    for service, told in containers.items():
        host, user = told["HostConfig"], told["Config"]["User"]
        assert stack.is_well(service), service
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["Init"], service
        assert int(user.partition(":")[0]) >= 10_000, service
    assert containers["clamav"]["HostConfig"]["NetworkMode"] == "none"
