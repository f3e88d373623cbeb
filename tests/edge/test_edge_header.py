from __future__ import annotations

import email
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge import header, trace_headers
from mailgate.model.envelope import Client, Direction, Envelope, MailboxId, QueueId, Recipient, TenantName

HEAD = (
    b"Received: from a\r\n\tby b\r\nMessage-Id:\r\n <one@a.example>\r\nDate: x\r\n"
    b"Authentication-Results: mx.example; spf=pass\r\n\tsmtp.mailfrom=a\r\nSubject: s\r\n\r\nDate: no header\r\n"
)


def test_what_is_read() -> None:
    found = header.read(HEAD, "mx.example")
    assert (found.received, found.message_id, found.has_date, found.fields) == (1, "<one@a.example>", True, 5)
    assert [HEAD[start:end] for start, end in found.cuts] == [
        b"Authentication-Results: mx.example; spf=pass\r\n\tsmtp.mailfrom=a\r\n"
    ]


@pytest.mark.parametrize(
    ("field", "is_forged"),
    [
        (b"Authentication-Results: mx.example; none", True),
        (b"authentication-results:mx.example", True),
        (b"Authentication-Results : MX.EXAMPLE 1; dkim=pass", True),
        (b"Authentication-Results: (comment) mx.example; none", True),
        (b'Authentication-Results: "mx.example"; none', True),
        (b"Authentication-Results:\r\n mx.example; none", True),
        (b"Authentication-Results: mx.example.; none", True),
        (b"Authentication-Results: (a (nested)) mx.example; none", True),
        (b"Authentication-Results: (a \\) b) mx.example; none", True),
        (b'Authentication-Results: "mx.exampl\\e"; none', True),
        (b"Authentication-Results: (never closed mx.example; dkim=pass", True),
        (b"Authentication-Results: (mx.example) other.example; none", False),
        (b"Authentication-Results: other.example; none", False),
        (b"Authentication-Results: mx.example.org; none", False),
        (b"X-Authentication-Results: mx.example; none", False),
    ],
)
def test_results_in_our_name(field: bytes, is_forged: bool) -> None:
    head = b"From: a@b.example\r\n" + field + b"\r\nTo: c\r\n\r\nbody"
    assert bool(header.read(head, "mx.example").cuts) == is_forged


@pytest.mark.parametrize("head", [b"", b"\r\nbody: x\r\n", b"\r\n"])
def test_no_header_at_all(head: bytes) -> None:
    found = header.read(head, "mx.example")
    assert (found.size, found.fields, found.cuts, found.message_id) == (0, 0, (), "")


def test_a_header_without_end() -> None:
    assert header.read(b"A: b\r\n" * 5, "mx.example").fields == 5


@given(st.binary(max_size=200))
def test_any_bytes_are_read(head: bytes) -> None:
    found = header.read(head, "mx.example")
    assert found.size <= len(head)
    assert all(0 <= start < end <= len(head) for start, end in found.cuts)


def envelope(**changes: object) -> Envelope:
    facts: dict[str, object] = {
        "queue_id": QueueId("q1"),
        "tenant": TenantName("acme"),
        "direction": Direction.INBOUND,
        "reverse_path": "a@b.example",
        "recipients": (Recipient("bob@acme.example", (MailboxId("m1"),)),),
        "client": Client("192.0.2.1", helo="client.example"),
        "received_at": time.time(),
    }
    return Envelope(**(facts | changes))  # type: ignore[arg-type]


def fields(of: Envelope, has_date: bool = True, has_message_id: bool = True) -> email.message.Message:
    data = trace_headers.prefix(of, "mx.example", has_date, has_message_id)
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    return email.message_from_bytes(data + b"\r\n")


def test_trace_of_inbound_mail() -> None:
    made = fields(envelope())
    assert made.keys() == ["Return-Path", "Authentication-Results", "Received"]
    assert made["Return-Path"] == "<a@b.example>"
    assert "from client.example ([192.0.2.1])" in made["Received"]
    assert "with ESMTP id q1" in made["Received"]
    assert "for <bob@acme.example>;" in made["Received"]


def test_a_message_that_begins_with_a_blank_adds_nothing_to_our_results() -> None:
    ours = trace_headers.prefix(envelope(), "mx.example", True, True)
    found = email.message_from_bytes(ours + b" ; dmarc=pass header.from=bank.example\r\nFrom: a@b.example\r\n\r\n")
    assert found["Authentication-Results"].strip() == "mx.example; none"


def test_recipients_are_not_told_of_each_other() -> None:
    two = (Recipient("bob@acme.example", (MailboxId("m1"),)), Recipient("eve@acme.example", (MailboxId("m2"),)))
    assert "acme.example" not in trace_headers.prefix(envelope(recipients=two), "mx.example", True, True).decode()


def test_mail_that_leaves_has_no_return_path() -> None:
    assert fields(envelope(recipients=(Recipient("x@y.example"),)))["Return-Path"] is None


def test_a_submission_is_completed() -> None:
    client = Client("2001:db8::1", helo="pc", tls_version="TLSv1.3", tls_cipher="X", account="bob@acme.example")
    made = fields(envelope(direction=Direction.OUTBOUND, client=client), has_date=False, has_message_id=False)
    assert made["Date"]
    assert made["Message-ID"].endswith("@mx.example>")
    assert "auth=pass smtp.auth=bob@acme.example" in made["Authentication-Results"]
    assert "[IPv6:2001:db8::1]" in made["Received"]
    assert "with ESMTPSA" in made["Received"]
    assert "version=TLSv1.3" in made["Received"]


@pytest.mark.parametrize(
    ("client", "smtputf8", "word"),
    [
        (Client("", esmtp=False), False, "SMTP"),
        (Client(""), False, "ESMTP"),
        (Client("", tls_version="x"), False, "ESMTPS"),
        (Client("", account="x"), False, "ESMTPA"),
        (Client("", tls_version="x", account="x"), True, "UTF8SMTPSA"),
    ],
)
def test_the_with_word(client: Client, smtputf8: bool, word: str) -> None:
    assert trace_headers.protocol(client, smtputf8) == word


@pytest.mark.parametrize(
    ("head", "is_taken"),
    [
        (b"a: b\r\n\r\n", True),
        (b"\r\n" + b"x" * 1000, True),
        (b"a: " + b"b" * 95 + b"\r\n\r\n", True),  # 100 bytes of header
        (b"a: " + b"b" * 96 + b"\r\n\r\n", False),
        (b"a:\r\n" * 10 + b"\r\n", True),
        (b"a:\r\n" * 11 + b"\r\n", False),
        (b"a:\r\n\tb\r\n" * 10 + b"\r\nbody", True),
        (b"a:\r\n b\r\n" * 10 + b"a:\r\n\r\n", False),
        (b"x\r\n" * 11 + b"\r\n", False),  # lines that are no fields cost as much
        (b"x" * 104, False),  # no end within the limit
        (b"a: b\r\n", True),  # a message that is header alone
        (b"a: b\r\n\r\n" + b"a:\r\n" * 1000, True),
    ],
)
def test_a_header_is_counted_before_it_is_read(head: bytes, is_taken: bool) -> None:
    assert header.is_within(head, 100, 10) is is_taken


@given(st.lists(st.sampled_from([b"a:", b"\r\n", b" ", b"\t", b"x", b"b: c\r\n", b"\r\n\r\n", b"\r"]), max_size=30))
def test_what_is_within_the_limits_is_within_them_once_it_is_read(pieces: list[bytes]) -> None:
    head = b"".join(pieces)
    found = header.read(head, "mx.example")
    if header.is_within(head, 20, 3):
        assert len(found.section.fields) <= 3 + (not head.endswith(b"\r\n"))
        assert found.size <= 22
