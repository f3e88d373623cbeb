"""A message comes in on MX and lies in its user's mailbox, by every way that SMTP has for it."""

from __future__ import annotations

import re

import pytest

from tests.support import maildir, messages
from tests.support.gateway import Gateway
from tests.support.smtp import SmtpClient, dot_stuffed

pytestmark = pytest.mark.component("clamd")
BOB = "bob@acme.example"


def assert_unchanged(gateway: Gateway, name: str, sent: bytes, address: str = BOB) -> None:
    stored = gateway.delivered(address, name)
    assert maildir.below_trace_headers(stored, sent) == sent


def test_a_message_with_an_attachment_is_delivered_byte_for_byte(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.with_attachment(name, messages.pdf())
    answer = gateway.deliver(message, BOB)
    assert (answer.code, answer.enhanced) == (250, "2.0.0")
    assert_unchanged(gateway, name, message)


def test_the_trace_headers_say_who_when_and_which_queue_id(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.clean(name)
    answer = gateway.deliver(message, BOB)
    headers = gateway.delivered(BOB, name).removesuffix(message).decode()
    assert headers.startswith("Return-Path: <sender@sender.example>")
    received = re.search(r"^Received: from client\.example.*?(?=^\S|\Z)", headers, re.M | re.S)
    assert received, headers
    assert "by mx.gateway.example" in received[0]
    assert answer.queue_id in received[0]


def test_the_file_is_named_so_that_imap_servers_read_its_size(gateway: Gateway) -> None:
    name = messages.token()
    gateway.deliver(messages.clean(name), BOB)
    stored = gateway.delivered(BOB, name)
    (path,) = maildir.holding(gateway.maildir(BOB), name)
    assert f",S={len(stored)}" in path.name
    assert path.parent.name == "new"


def test_leading_dots_survive(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.clean(name, ".one\r\n..two\r\n.\r\nend\r\n")
    assert gateway.deliver(message, BOB).code == 250
    assert_unchanged(gateway, name, message)


@pytest.mark.parametrize("size", [65_000, 66_000, 600_000, 5 << 20])
def test_messages_around_and_far_above_the_inline_limit(gateway: Gateway, size: int) -> None:
    name = messages.token()
    message = messages.of_size(name, size, seed=size)
    assert gateway.deliver(message, BOB).code == 250
    assert_unchanged(gateway, name, message)


def test_each_recipient_of_one_transaction_gets_a_copy(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.of_size(name, 200_000)
    assert gateway.deliver(message, BOB, "alice@acme.example").code == 250
    for address in (BOB, "alice@acme.example"):
        assert_unchanged(gateway, name, message, address)


def test_the_same_recipient_twice_gets_one_copy(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.clean(name)
    assert gateway.deliver(message, BOB, "BOB@ACME.example", "alice@acme.example").code == 250
    gateway.delivered("alice@acme.example", name)
    assert_unchanged(gateway, name, message)


def test_unknown_recipients_are_refused_in_the_dialogue(gateway: Gateway) -> None:
    with gateway.connect() as client:
        client.command("MAIL FROM:<a@sender.example>", 250)
        assert client.command("RCPT TO:<nobody@acme.example>", 550).enhanced == "5.1.1"
        assert client.command("RCPT TO:<someone@elsewhere.example>", 550).enhanced == "5.7.1"
        client.command("DATA", 503, 554)


def test_recipients_of_a_second_tenant_wait_for_the_next_transaction(gateway: Gateway) -> None:
    first, second = messages.token(), messages.token()
    with gateway.connect() as client:
        client.command("MAIL FROM:<a@sender.example>", 250)
        client.command(f"RCPT TO:<{BOB}>", 250)
        assert client.command("RCPT TO:<carol@globex.example>", 452).enhanced == "4.5.3"
        assert client.data(messages.clean(first)).code == 250
        answer = client.transfer("a@sender.example", ["carol@globex.example"], messages.clean(second))
        assert answer.code == 250
    gateway.delivered(BOB, first)
    gateway.delivered("carol@globex.example", second)
    assert not maildir.holding(gateway.maildir("carol@globex.example"), first)


def test_mail_to_postmaster_without_a_domain_is_taken(gateway: Gateway) -> None:
    assert gateway.deliver(messages.clean(messages.token()), "Postmaster").code == 250


def test_the_null_reverse_path_is_taken(gateway: Gateway) -> None:
    name = messages.token()
    assert gateway.deliver(messages.clean(name), BOB, sender="").code == 250
    assert gateway.delivered(BOB, name).startswith(b"Return-Path: <>\r\n")


def test_a_declared_size_over_the_limit_is_refused_at_mail(gateway: Gateway) -> None:
    with gateway.connect() as client:
        assert client.command("MAIL FROM:<a@sender.example> SIZE=60000000", 552).enhanced == "5.3.4"


@pytest.mark.component("root")
def test_a_message_over_the_limit_is_refused_after_it_came(new_gateway, clamd) -> None:  # type: ignore[no-untyped-def]
    gateway = new_gateway(clamd.endpoint, MESSAGE_SIZE_LIMIT="100000")
    gateway.start()
    too_big, fitting = messages.of_size(messages.token(), 200_000), messages.token()
    answer = gateway.deliver(too_big, BOB)
    assert (answer.code, answer.enhanced) == (552, "5.3.4")
    assert gateway.deliver(messages.clean(fitting), BOB).code == 250
    gateway.delivered(BOB, fitting)
    gateway.stop()


def test_pipelined_commands_are_answered_in_order(gateway: Gateway) -> None:
    name = messages.token()
    with gateway.connect() as client:
        client.send(
            f"MAIL FROM:<a@sender.example>\r\nRCPT TO:<nobody@acme.example>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode()
        )
        assert [client.answer().code for _ in range(4)] == [250, 550, 250, 354]
        message = messages.clean(name)
        client.send(dot_stuffed(message) + b"MAIL FROM:<a@sender.example>\r\nRSET\r\nQUIT\r\n")
        assert [answer.code for answer in client.drain()] == [250, 250, 250, 221]
    assert_unchanged(gateway, name, message)


@pytest.mark.parametrize("chunk", [700, 70_000])
def test_chunks_need_no_stuffing_and_are_joined(gateway: Gateway, chunk: int) -> None:
    name = messages.token()
    message = messages.of_size(name, 3 * chunk) + b"\r\n.\r\n.dots\r\n"
    pieces = [message[at : at + chunk] for at in range(0, len(message), chunk)]
    with gateway.connect() as client:
        client.envelope("a@sender.example", [BOB])
        assert client.bdat(*pieces).code == 250
    assert_unchanged(gateway, name, message)


def test_an_empty_last_chunk_ends_the_message(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.clean(name)
    with gateway.connect() as client:
        client.envelope("a@sender.example", [BOB], "BODY=8BITMIME")
        assert client.bdat(message, b"").code == 250
    assert_unchanged(gateway, name, message)


def test_binarymime_is_not_offered_and_not_taken(gateway: Gateway) -> None:
    with SmtpClient(gateway.mx) as client:
        assert "BINARYMIME" not in client.hello().lines
        client.command("MAIL FROM:<a@sender.example> BODY=BINARYMIME", 501, 504, 555)


def test_addresses_beyond_ascii_need_and_get_smtputf8(gateway: Gateway) -> None:
    name = messages.token()
    message = messages.clean(name, "Grüße\r\n")
    with gateway.connect() as client:
        client.command("MAIL FROM:<jürgen@bücher.example>", 550, 553, 501)
        answer = client.transfer("jürgen@bücher.example", [BOB], message, "SMTPUTF8 BODY=8BITMIME")
        assert answer.code == 250
    assert_unchanged(gateway, name, message)
    assert gateway.delivered(BOB, name).startswith("Return-Path: <jürgen@xn--bcher-kva.example>".encode())


@pytest.mark.parametrize("bad", [b"a\rb", b"a\nb", b"a\0b"])
def test_bare_line_ends_and_nul_are_refused_and_not_delivered(gateway: Gateway, bad: bytes) -> None:
    name, after = messages.token(), messages.token()
    with gateway.connect() as client:
        answer = client.transfer("a@sender.example", [BOB], messages.clean(name) + bad + b"\r\n")
        assert (answer.code, answer.enhanced) == (554, "5.6.0")
    assert gateway.deliver(messages.clean(after), BOB).code == 250
    gateway.delivered(BOB, after)
    assert not maildir.holding(gateway.maildir(BOB), name)


@pytest.mark.parametrize("size", [2_000, 300_000])
def test_a_client_that_is_gone_before_the_end_leaves_nothing(gateway: Gateway, size: int) -> None:
    name, after = messages.token(), messages.token()
    client = gateway.connect()
    client.envelope("a@sender.example", [BOB])
    client.command("DATA", 354)
    client.send(messages.of_size(name, size)[:-50])
    client.reset()
    assert gateway.deliver(messages.clean(after), BOB).code == 250
    gateway.delivered(BOB, after)
    assert not maildir.holding(gateway.maildir(BOB), name)
