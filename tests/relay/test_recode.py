"""8-bit mail reaches hosts without 8BITMIME, long lines leave encoded, and signatures hold."""

from __future__ import annotations

import asyncio
import email
from dataclasses import replace
from pathlib import Path
from typing import cast

import dkim
import pytest

from mailgate.ipc.calls import Answer, Ended, GetSigningKeys, Request, SigningKey, SigningKeysFound
from mailgate.ipc.line import StoreLine
from mailgate.model import digest
from mailgate.model.envelope import Direction, Recipient
from mailgate.model.errors import DamagedError
from mailgate.model.outcome import State
from mailgate.recoding.entity import NotConvertibleError
from mailgate.records import timeline
from mailgate.relay import recode
from mailgate.relay.mail import Mail
from mailgate.relay.signing import Signer
from mailgate.senderauth import signing_key
from tests.relay.harness import FakeNames, relay
from tests.relay.test_mail_bytes import mail_of
from tests.support.exim_hop import EximHop
from tests.support.next_hop import PostfixHop
from tests.support.scripted_hop import ALL, Fault, ScriptedHop

KEY = signing_key.new_rsa()
TEXT = "Grüße aus Köln\r\n".encode()
HEAD = b"From: bob@acme.example\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
MESSAGE = HEAD + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + TEXT
SIGNED = HEAD + b'Content-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\n\r\n' + TEXT + b"--b--\r\n"
DKIM = b"DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=s; h=From; bh=%s; b=YQ==\r\n"
BODY_HASH = b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
NOT_8BIT = [extension for extension in ALL if extension not in ("8BITMIME", "SMTPUTF8")]


class Store:
    async def call(self, request: Request) -> Answer:
        assert isinstance(request, GetSigningKeys)
        is_ours = request.domain == "acme.example"
        return SigningKeysFound((SigningKey("s1", KEY.encode(), KEY.record),) if is_ours else ())


def signer(is_shown: bool = True) -> Signer:
    names = FakeNames()
    if is_shown:
        names.put("s1._domainkey.acme.example", "TXT", KEY.record)
    return Signer(cast(StoreLine, Store()), names, lambda: 1_000_000.0)


def inbound(content: bytes, forwarder: str = "") -> Mail:
    mail = mail_of(content, sender="ann@sender.example")
    return replace(
        mail,
        envelope=replace(mail.envelope, direction=Direction.INBOUND),
        recipients=(Recipient("x@away.example", forwarder=forwarder),),
    )


def bytes_of(mail: Mail) -> bytes:
    raw = b"".join(mail.chunks())
    assert len(raw) == mail.size
    return raw


def body_of(message: bytes) -> bytes:
    data = email.message_from_bytes(message).get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


def test_our_signature_is_made_over_what_goes_out() -> None:
    async def run() -> Mail:
        ours = signer()
        return await ours.sign(await recode.seven_bit(mail_of(MESSAGE), ours))

    raw = bytes_of(asyncio.run(run()))
    assert raw.isascii() and body_of(raw) == TEXT
    record = {b"s1._domainkey.acme.example.": KEY.record.encode()}
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: record.get(name), minkey=1024)


@pytest.mark.parametrize("size", [100, 700_000])
def test_a_message_in_a_file(tmp_path: Path, size: int) -> None:
    content = MESSAGE + TEXT * (size // len(TEXT))
    path = tmp_path / "content"
    path.write_bytes(content)
    mail = replace(mail_of(content), inline=None, file=str(path), digest=digest.digest_of(content))
    recoded = asyncio.run(recode.seven_bit(mail, signer()))
    raw = bytes_of(recoded)
    assert raw.isascii() and body_of(raw) == body_of(content)
    path.write_bytes(content.replace(b"aus", b"von"))
    with pytest.raises(DamagedError):
        list(recoded.chunks())


def signed_by(domain: bytes, content: bytes = MESSAGE) -> bytes:
    return DKIM % (domain, BODY_HASH) + content


@pytest.mark.parametrize(
    ("mail", "is_shown", "is_converted"),
    [
        (mail_of(MESSAGE), False, True),
        (mail_of(signed_by(b"acme.example")), True, True),
        (mail_of(signed_by(b"acme.example")), False, False),
        (mail_of(signed_by(b"mail.acme.example")), False, False),
        (mail_of(signed_by(b"esp.example")), False, True),
        (inbound(signed_by(b"acme.example")), False, True),
        (inbound(MESSAGE, "bob@acme.example"), True, True),
        (inbound(signed_by(b"acme.example"), "bob@acme.example"), True, False),
        (inbound(signed_by(b"esp.example"), "bob@acme.example"), True, True),
        (inbound(DKIM % (b"x.example", BODY_HASH) + b"From: ?\r\n\r\n" + TEXT, "bob@acme.example"), True, False),
        (mail_of(SIGNED), True, False),
        (inbound(SIGNED), True, False),
    ],
)
def test_whose_signature_counts(mail: Mail, is_shown: bool, is_converted: bool) -> None:
    try:
        raw = bytes_of(asyncio.run(recode.seven_bit(mail, signer(is_shown))))
    except NotConvertibleError as error:
        assert not is_converted and "sign" in str(error)
    else:
        assert is_converted and raw.isascii()


LONG = HEAD + b"\r\n" + b"y" * 5_000 + b"\r\n"


@pytest.mark.parametrize(
    ("mail", "is_shown", "is_changed"),
    [
        (mail_of(LONG), False, True),
        (mail_of(signed_by(b"acme.example", LONG)), True, True),
        (mail_of(signed_by(b"acme.example", LONG)), False, False),
        (mail_of(MESSAGE), True, False),
        (inbound(LONG), True, False),
        (inbound(LONG, "bob@acme.example"), True, False),
    ],
)
def test_long_lines_of_what_a_tenant_sends(mail: Mail, is_shown: bool, is_changed: bool) -> None:
    raw = bytes_of(asyncio.run(recode.short_lined(mail, signer(is_shown))))
    original = bytes_of(mail)
    assert (raw != original) is is_changed
    assert body_of(raw) == body_of(original)
    assert not is_changed or max(map(len, raw.split(b"\r\n"))) <= 998


def sent(
    folder: Path, message: bytes, extensions: list[str], script: dict[str, str | Fault] | None = None
) -> tuple[Ended, bytes]:
    async def run() -> tuple[Ended, bytes]:
        names = FakeNames()
        names.host("hop.example", "mx.hop.example")
        hop = await ScriptedHop(extensions=extensions).listen()
        hop.script = dict(script or {})
        async with hop, relay(folder, hop.port, names=names) as running:
            [ended] = await running.send("a@hop.example", message=message)
            return ended, hop.transactions[-1].message or b"" if hop.transactions else b""

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("extensions", "script"),
    [
        (NOT_8BIT, {}),
        (["SIZE 100000"], {}),
        ([], {"EHLO": "500 what?"}),
        (["PIPELINING", "DSN"], {}),
    ],
    ids=["chunking", "size only", "HELO only", "pipelining"],
)
def test_a_host_without_8bitmime_gets_7_bit(
    tmp_path: Path, extensions: list[str], script: dict[str, str | Fault]
) -> None:
    ended, arrived = sent(tmp_path, MESSAGE, extensions, script)
    assert ended.outcome.state is State.RELAYED
    assert arrived.isascii() and body_of(arrived) == TEXT
    assert ended.facts["recoded"] == "7-bit"
    assert "converted to 7-bit" in timeline._attempted({**ended.facts, "attempt": 1})


def test_a_host_with_it_gets_it_as_it_is(tmp_path: Path) -> None:
    ended, arrived = sent(tmp_path, MESSAGE, list(ALL))
    assert arrived == MESSAGE and "recoded" not in ended.facts


def test_octets_in_the_header_stay(tmp_path: Path) -> None:
    message = b"From: bob@acme.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nascii\r\n"
    assert sent(tmp_path, message, NOT_8BIT)[1] == message


def test_what_can_not_be_converted_bounces_and_says_why(tmp_path: Path) -> None:
    ended, arrived = sent(tmp_path, SIGNED, NOT_8BIT)
    assert (ended.outcome.state, ended.outcome.enhanced) == (State.BOUNCED, "5.6.3")
    assert "can't be converted: it is signed, and the signature would break" in ended.outcome.text
    assert not arrived


def test_long_lines_leave_encoded(tmp_path: Path) -> None:
    ended, arrived = sent(tmp_path, LONG, list(ALL))
    assert ended.outcome.state is State.RELAYED and ended.facts["recoded"] == "short lines"
    assert max(map(len, arrived.split(b"\r\n"))) <= 76 and body_of(arrived) == body_of(LONG)


def real(folder: Path, port: int, message: bytes) -> Ended:
    async def run() -> Ended:
        names = FakeNames()
        names.host("hop.example", "mx.hop.example")
        async with relay(folder, port, names=names) as running:
            [ended] = await running.send("someone@hop.example", message=message)
            return ended

    return asyncio.run(run())


@pytest.mark.component("postfix", "root")
def test_postfix_without_8bitmime(tmp_path: Path, postfix_7bit: PostfixHop) -> None:
    ended = real(tmp_path, postfix_7bit.none, MESSAGE.replace(b"hello", b"token-for-postfix"))
    assert ended.outcome.state is State.RELAYED, ended.outcome.text
    arrived = postfix_7bit.received("token-for-postfix").replace(b"\n", b"\r\n")
    assert arrived.isascii() and body_of(arrived) == TEXT


@pytest.mark.component("exim", "root")
def test_exim_without_8bitmime(tmp_path: Path, exim_7bit: EximHop) -> None:
    ended = real(tmp_path, exim_7bit.none, MESSAGE.replace(b"hello", b"token-for-exim"))
    assert ended.outcome.state is State.RELAYED, ended.outcome.text
    arrived = exim_7bit.received("token-for-exim").replace(b"\n", b"\r\n")
    assert arrived.isascii() and body_of(arrived) == TEXT
