"""DANE: which TLSA records count, and which certificates match them."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mailgate.model.dns import Answer, Status, Tlsa
from mailgate.transport import dane
from mailgate.transport.dane import Dane, Standing
from tests.support.certificates import Authority, Issued

NOW = datetime.datetime.now(datetime.UTC)
NAMES = ("mx.hop.example", "hop.example")
SHA256 = bytes(32)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Issued:
    return authority.issue("mx.hop.example")


def parsed(text: str) -> Tlsa:
    usage, selector, matching, data = text.split()
    return Tlsa(int(usage), int(selector), int(matching), bytes.fromhex(data))


def matches(record: Tlsa, *chain: bytes, names: tuple[str, ...] = NAMES) -> dane.Match:
    return dane.match(Dane("mx.hop.example", (record,), names), chain, NOW)


def test_where_the_records_stand() -> None:
    assert dane.owner("mx.hop.example", 25) == "_25._tcp.mx.hop.example"


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_end_entity(leaf: Issued, authority: Authority, selector: int, matching: int) -> None:
    record = parsed(leaf.tlsa(3, selector, matching))
    assert matches(record, leaf.der).record == record
    other = authority.issue("mx.hop.example", label="other")
    assert matches(record, other.der).record is None


def test_end_entity_needs_neither_name_nor_date(authority: Authority) -> None:
    expired = authority.issue("elsewhere.example", label="old", is_expired=True)
    assert matches(parsed(expired.tlsa(3)), expired.der).record is not None


def anchor(authority: Authority, selector: int = 1, matching: int = 1) -> Tlsa:
    own = Issued(authority.certificate, authority.path, authority.path)
    return parsed(own.tlsa(2, selector, matching))


def ca_der(authority: Authority) -> bytes:
    return authority.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_trust_anchor(leaf: Issued, authority: Authority, selector: int, matching: int) -> None:
    record = anchor(authority, selector, matching)
    assert matches(record, leaf.der, ca_der(authority)).record == record


def test_a_whole_anchor_need_not_be_sent(leaf: Issued, authority: Authority) -> None:
    assert matches(anchor(authority, 0, 0), leaf.der).record is not None
    assert matches(anchor(authority, 0, 1), leaf.der).record is None


def test_below_a_trust_anchor_name_and_date_count(authority: Authority) -> None:
    wrong = authority.issue("elsewhere.example", label="wrong")
    expired = authority.issue("mx.hop.example", label="late", is_expired=True)
    assert "elsewhere.example" in matches(anchor(authority), wrong.der, ca_der(authority)).reason
    assert "expired" in matches(anchor(authority), expired.der, ca_der(authority)).reason
    wild = authority.issue("*.hop.example", label="wild")
    assert matches(anchor(authority), wild.der, ca_der(authority)).record is not None


def test_an_anchor_that_signed_nothing_proves_nothing(leaf: Issued, authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "Stranger")
    assert matches(anchor(stranger), leaf.der, ca_der(stranger)).record is None
    assert matches(anchor(authority), leaf.der, ca_der(stranger)).record is None


def test_a_leaf_is_no_anchor_for_another_leaf(leaf: Issued, authority: Authority) -> None:
    other = authority.issue("mx.hop.example", label="other2")
    record = parsed(other.tlsa(2))
    assert matches(record, leaf.der, other.der).record is None


def test_no_certificate_and_garbage(leaf: Issued) -> None:
    record = parsed(leaf.tlsa())
    assert matches(record).record is None
    assert matches(record, b"garbage").record is None


@pytest.mark.parametrize(
    ("record", "usable"),
    [
        (Tlsa(3, 1, 1, SHA256), True),
        (Tlsa(2, 0, 2, bytes(64)), True),
        (Tlsa(3, 0, 0, b"certificate"), True),
        (Tlsa(0, 1, 1, SHA256), False),
        (Tlsa(1, 1, 1, SHA256), False),
        (Tlsa(4, 1, 1, SHA256), False),
        (Tlsa(3, 2, 1, SHA256), False),
        (Tlsa(3, 1, 3, SHA256), False),
        (Tlsa(3, 1, 1, b"short"), False),
        (Tlsa(3, 1, 2, SHA256), False),
        (Tlsa(3, 1, 0, b""), False),
    ],
)
def test_usable_records(record: Tlsa, usable: bool) -> None:
    assert dane.is_usable(record) is usable


GOOD, BAD = Tlsa(3, 1, 1, hashlib.sha256(b"x").digest()), Tlsa(1, 1, 1, SHA256)


@pytest.mark.parametrize(
    ("answer", "standing"),
    [
        (Answer(Status.FOUND, (GOOD, BAD), is_secure=True), Standing.USABLE),
        (Answer(Status.FOUND, (BAD,), is_secure=True), Standing.UNUSABLE),
        (Answer(Status.FOUND, (GOOD,), is_secure=False), Standing.NONE),
        (Answer(Status.NXDOMAIN, is_secure=True), Standing.NONE),
        (Answer(Status.NO_DATA, is_secure=True), Standing.NONE),
        (Answer(Status.FAILED), Standing.FAILED),
        (Answer(Status.BOGUS), Standing.FAILED),
    ],
)
def test_insecure_absent_and_failed_are_told_apart(answer: Answer[Tlsa], standing: Standing) -> None:
    assert dane.standing(answer)[0] is standing
