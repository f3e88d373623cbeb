"""What forwarded mail gets on its way: a reverse-path, a seal that others verify, and a mark."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import dkim
import pytest

from mailgate.ipc.calls import Answer, GetReturnPath, GetSigningKeys, Request, ReturnPath, SigningKey, SigningKeysFound
from mailgate.ipc.line import StoreLine
from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName
from mailgate.relay.forwarding import Forwarding, chain_state, our_results
from mailgate.relay.mail import Mail
from mailgate.relay.signing import Signer
from mailgate.senderauth import header, signing_key
from mailgate.senderauth.outcome import Outcome
from tests.relay.harness import FakeNames

KEY = signing_key.new_rsa()
NAME = "s1._domainkey.acme.example"
GATEWAY = "mx.gateway.example"
RESULTS = b"Authentication-Results: mx.gateway.example; spf=pass\r\n\tsmtp.mailfrom=ann@sender.example; dmarc=pass\r\n"
MESSAGE = b"Received: from x\r\n" + RESULTS + b"From: ann@sender.example\r\nSubject: hello\r\n\r\nHello.\r\n"


class Store:
    async def call(self, request: Request) -> Answer:
        match request:
            case GetSigningKeys(domain="acme.example"):
                return SigningKeysFound((SigningKey("s1", KEY.encode(), KEY.record),))
            case GetReturnPath(forwarder=forwarder, reverse_path=path):
                return ReturnPath(f"SRS0=x={path.replace('@', '=')}@{forwarder.partition('@')[2]}")
        raise AssertionError(request)


def mail(
    message: bytes = MESSAGE, direction: Direction = Direction.INBOUND, sender: str = "ann@sender.example"
) -> Mail:
    recipient = Recipient("bob@away.example", forwarder="bob@acme.example")
    envelope = Envelope(
        QueueId("q"), TenantName("acme"), direction, sender, (recipient,), Client("192.0.2.1"), 1_000_000.0
    )
    return Mail(envelope, (recipient,), len(message), message)


def prepared(given: Mail, is_shown: bool = True) -> Mail:
    names = FakeNames()
    if is_shown:
        names.put(NAME, "TXT", KEY.record)
    store = cast(StoreLine, Store())
    forwarding = Forwarding(store, Signer(store, names, lambda: 1_000_000.0), GATEWAY, lambda: 1_000_000.0)
    return asyncio.run(forwarding.prepare(given))


def verified(raw: bytes) -> tuple[bytes, Sequence[Any], str]:
    """By the library's own verifier."""
    records = {f"{NAME}.".encode(): KEY.record.encode()}
    return cast(
        tuple[bytes, Sequence[Any], str], dkim.arc_verify(raw, dnsfunc=lambda name, timeout=5: records.get(name))
    )


def test_a_reverse_path_of_ours_a_seal_and_a_mark() -> None:
    out = prepared(mail())
    raw = b"".join(out.chunks())
    assert out.size == len(raw)
    assert out.envelope.reverse_path == "SRS0=x=ann=sender.example@acme.example"
    assert raw.startswith(b"Delivered-To: bob@acme.example\r\nARC-Seal: ")
    assert raw.endswith(MESSAGE), "not a byte of it is changed"
    assert out.facts["sealed"] == "yes"
    state, chain, reason = verified(raw)
    assert state == b"pass", reason
    assert chain[0]["instance"] == 1 and chain[0]["as-domain"] == b"acme.example"
    assert b"i=1;\r\n mx.gateway.example;\r\n spf=pass smtp.mailfrom=ann@sender.example;\r\n dmarc=pass" in raw


def test_the_next_seal_goes_on_the_chain() -> None:
    first = b"".join(prepared(mail()).chunks())
    with_result = RESULTS.replace(b"dmarc=pass", b"arc=pass; dmarc=pass") + first
    raw = b"".join(prepared(mail(with_result)).chunks())
    state, chain, reason = verified(raw)
    assert (state, len(chain)) == (b"pass", 2), reason
    assert b"cv=pass" in raw


@pytest.mark.parametrize(
    ("message", "is_shown"),
    [
        (MESSAGE, False),
        (MESSAGE.replace(RESULTS, b""), True),
        (MESSAGE.replace(b"mx.gateway.example", b"mx.evil.example"), True),
        (MESSAGE.replace(b"dmarc=pass", b"arc=temperror"), True),
    ],
    ids=["no key in the DNS", "nobody looked", "another's results", "not known"],
)
def test_nothing_is_sealed_that_is_not_known(message: bytes, is_shown: bool) -> None:
    out = prepared(mail(message), is_shown)
    assert b"".join(out.chunks()) == b"Delivered-To: bob@acme.example\r\n" + message
    assert out.facts["sealed"] == "no"
    assert out.envelope.reverse_path.startswith("SRS0="), "it goes on all the same"


def test_a_chain_that_nobody_checked_is_not_sealed() -> None:
    first = b"".join(prepared(mail()).chunks())
    out = prepared(mail(RESULTS + first))
    assert out.facts["sealed"] == "no"


def test_what_is_ours_keeps_its_reverse_path() -> None:
    out = prepared(mail(direction=Direction.OUTBOUND, sender="eve@acme.example"))
    assert out.envelope.reverse_path == "eve@acme.example"
    assert out.prefix == b"Delivered-To: bob@acme.example\r\n"


def test_a_bounce_makes_no_bounce() -> None:
    assert prepared(mail(sender="")).envelope.reverse_path == ""


def test_what_nobody_forwards_is_left_alone() -> None:
    plain = mail()
    plain = replace(plain, recipients=(Recipient("bob@away.example"),))
    assert prepared(plain) is plain


def test_states() -> None:
    sealed = header.read(b"ARC-Seal: i=1\r\n\r\n")
    bare = header.read(MESSAGE)
    told = our_results(bare, GATEWAY.upper())
    assert told.startswith("spf=pass ")
    assert chain_state(bare, told) is Outcome.NONE
    assert chain_state(sealed, told) is None
    assert chain_state(sealed, "arc=fail") is Outcome.FAIL
    assert chain_state(bare, "none") is None
    assert chain_state(bare, ";;=") is None
