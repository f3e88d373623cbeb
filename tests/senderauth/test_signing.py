"""Signatures of ours: dkimpy's own verifier and ours are the witnesses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dkim
import pytest

from mailgate.ipc.calls import GetSigningKeys, SigningKey, SigningKeysFound
from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName
from mailgate.model.errors import UnavailableError
from mailgate.relay.dkim_sign import Identity, signatures
from mailgate.relay.mail import Mail
from mailgate.relay.signing import Signer
from mailgate.senderauth import header, signing_key
from mailgate.senderauth.body import RELAXED, body_hashes
from mailgate.senderauth.outcome import Outcome
from tests.senderauth.zones import NOW, Zone, message, verify

RSA, ED25519, NEWER = signing_key.new_rsa(), signing_key.new_ed25519(), signing_key.new_rsa()
RECORDS = {
    "r._domainkey.acme.example TXT": [RSA.record],
    "e._domainkey.acme.example TXT": [ED25519.record],
}
BOTH = (Identity("acme.example", "r", RSA), Identity("acme.example", "e", ED25519))
ODD = [
    message("From: bob@acme.example", "Subject:  x ", text=""),
    message("From: Bob\r\n <bob@acme.example>", "To: a@b.example", "To: c@d.example", text="\r\n\r\n"),
    message("FROM : bob@acme.example", "X-Long: " + "y" * 990, text="a  b \r\n .\r\n\r\n"),
    message("From: b\u00f6b@acme.example", "Subject: \u00fc", text="\u00e4\r\n"),
    message("Received: x", "From: bob@acme.example", "Content-Type: text/plain;\r\n\tcharset=utf-8", text="no end"),
]


def signed(raw: bytes, identities: Sequence[Identity] = BOTH) -> bytes:
    found = header.read(raw)
    return signatures(found, body_hashes([RELAXED], raw[found.size :])[RELAXED], identities, NOW - 5) + raw


@pytest.mark.parametrize("raw", ODD)
def test_both_signatures_pass_here(raw: bytes) -> None:
    results = verify(signed(raw), Zone(RECORDS))
    assert [(each.outcome, each.signature and each.signature.algorithm) for each in results] == [
        (Outcome.PASS, "rsa-sha256"),
        (Outcome.PASS, "ed25519-sha256"),
    ]


@pytest.mark.parametrize("raw", [raw for raw in ODD if b"FROM :" not in raw])
def test_the_rsa_signature_passes_with_dkimpy(raw: bytes) -> None:
    """dkimpy needs another package for Ed25519, takes no space before a colon, and no future."""

    def txt(name: bytes, timeout: int = 5) -> bytes:
        return RECORDS[f"{name.decode().rstrip('.')} TXT"][0].encode()

    found = header.read(raw)
    digest = body_hashes([RELAXED], raw[found.size :])[RELAXED]
    assert dkim.verify(signatures(found, digest, BOTH[:1], 1_700_000_000) + raw, dnsfunc=txt)


def test_lines_are_folded_and_end_in_crlf() -> None:
    line = signed(ODD[0])[: -len(ODD[0])]
    assert line.endswith(b"\r\n") and line.count(b"\n") == line.count(b"\r\n")
    assert max(map(len, line.split(b"\r\n"))) < 100


@pytest.mark.parametrize(
    "added",
    [b"From: x@y.example", b"To: x@y.example", b"Subject: x", b"Date: x", b"Content-Type: text/html", b"Cc: x@y.z"],
)
def test_nobody_can_add_a_field(added: bytes) -> None:
    results = verify(added + b"\r\n" + signed(ODD[1]), Zone(RECORDS))
    assert {each.outcome for each in results} <= {Outcome.FAIL, Outcome.PERMERROR}


class FakeStore:
    """Has these keys for acme.example of tenant acme."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = keys
        self.asked = 0
        self.is_away = False

    async def call(self, request: GetSigningKeys) -> SigningKeysFound:
        self.asked += 1
        if self.is_away:
            raise UnavailableError("away")
        is_own = (request.tenant, request.domain) == ("acme", "acme.example")
        return SigningKeysFound(self.keys if is_own else ())


def kept(selector: str, key: signing_key.SigningKey) -> SigningKey:
    return SigningKey(selector, key.encode(), key.record)


def mail(raw: bytes, folder: Path | None = None, direction: Direction = Direction.OUTBOUND) -> Mail:
    recipient = Recipient("eve@other.example")
    envelope = Envelope(
        QueueId("0" * 16), TenantName("acme"), direction, "bob@acme.example", (recipient,), Client("192.0.2.1"), 0.0
    )
    if folder is None:
        return Mail(envelope, (recipient,), len(raw), raw)
    (folder / "content").write_bytes(raw)
    return Mail(envelope, (recipient,), len(raw), file=str(folder / "content"))


class Desk:
    def __init__(self, zone: Zone, *keys: SigningKey) -> None:
        self.zone, self.store, self.now = zone, FakeStore(*keys), float(NOW)
        store: Any = self.store
        resolver: Any = zone
        self.signer = Signer(store, resolver, lambda: self.now)

    def sign(self, one: Mail) -> Mail:
        result: Mail = asyncio.run(self.signer.sign(one))
        return result

    def selectors(self, one: Mail | None = None) -> list[str]:
        raw = b"".join(self.sign(one or mail(ODD[1])).chunks())
        return [
            each.signature.selector
            for each in verify(raw, self.zone)
            if each.signature and each.outcome is Outcome.PASS
        ]


def test_the_bytes_that_leave_are_signed(tmp_path: Path) -> None:
    large = message("From: bob@acme.example", text="x  y \r\n" * 100_000 + "\r\n" * 5)
    for one in (mail(ODD[1]), mail(large, tmp_path)):
        desk = Desk(Zone(RECORDS), kept("r", RSA), kept("e", ED25519))
        result = desk.sign(one)
        raw = b"".join(result.chunks())
        assert len(raw) == result.size
        assert [each.outcome for each in verify(raw, desk.zone)] == [Outcome.PASS, Outcome.PASS]
        assert b"From:" in result.header


def test_a_key_that_the_dns_does_not_show_never_signs() -> None:
    assert Desk(Zone(), kept("r", RSA)).selectors() == []
    other = Zone({"r._domainkey.acme.example TXT": [NEWER.record]})
    assert Desk(other, kept("r", RSA)).sign(mail(ODD[1])).prefix == b""


def test_a_rotation_runs_through_without_a_bad_signature() -> None:
    """The old key signs until the DNS shows the new one, and not one signature in between is bad."""
    records = {"r._domainkey.acme.example TXT": [RSA.record]}
    desk = Desk(Zone(records), kept("n", NEWER), kept("r", RSA))
    assert desk.selectors() == ["r"]
    records["n._domainkey.acme.example TXT"] = [NEWER.record]
    assert desk.selectors() == ["n"]
    del records["r._domainkey.acme.example TXT"]
    assert desk.selectors() == ["n"]


def test_while_the_dns_is_away_what_was_shown_today_signs() -> None:
    desk = Desk(Zone(RECORDS), kept("r", RSA), kept("e", ED25519))
    assert desk.selectors() == ["r", "e"]
    desk.zone.failing = frozenset({"r._domainkey.acme.example", "e._domainkey.acme.example"})
    assert desk.sign(mail(ODD[1])).prefix
    desk.now += 2 * 86_400
    assert not desk.sign(mail(ODD[1])).prefix


@pytest.mark.parametrize(
    "one",
    [
        mail(message("From: eve@other.example")),
        mail(ODD[1], direction=Direction.INBOUND),
    ],
    ids=["another's domain", "inbound"],
)
def test_what_is_not_ours_is_not_signed(one: Mail) -> None:
    assert Desk(Zone(RECORDS), kept("r", RSA)).sign(one) is one


def test_keys_are_asked_for_once_a_minute_and_mail_leaves_without_them() -> None:
    desk = Desk(Zone(RECORDS), kept("r", RSA))
    desk.sign(mail(ODD[1]))
    desk.sign(mail(ODD[1]))
    assert desk.store.asked == 1
    desk.now += 61
    desk.store.is_away = True
    assert desk.sign(mail(ODD[1])).prefix == b""
