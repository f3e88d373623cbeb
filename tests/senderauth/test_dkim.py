"""DKIM: signatures that dkimpy makes are the witness; then everything that must not pass."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from mailgate.senderauth import body, dkim_key, dkim_signature
from mailgate.senderauth.dkim_signature import SignatureError
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.signing_key import SigningKey, new_ed25519
from tests.senderauth.zones import NOW, Zone, message, verify

KEY = SigningKey(generate_private_key(65537, 1024))
PEM = KEY.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
ZONE = Zone({"s._domainkey.example.org TXT": [KEY.record]})
PLAIN = message(
    *("Received: from a\r\n\tby b", "From: Bob <bob@example.org>", "To: eve@example.net", "Subject:  two  spaces "),
    text="One \t line \r\n\r\n  two\r\n\r\n\r\n",
)


def signed(raw: bytes = PLAIN, **more: object) -> bytes:
    line: bytes = dkim.sign(raw, b"s", b"example.org", PEM, **more)
    return line + raw


def only(raw: bytes, zone: Zone = ZONE, now: float = NOW) -> tuple[Outcome, str]:
    (result,) = verify(raw, zone, now)
    return result.outcome, result.reason


@pytest.mark.parametrize("header_form", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body_form", [b"simple", b"relaxed"])
@pytest.mark.parametrize(
    "text", ["", "\r\n", "\r\n\r\n", "x", "x\r\n", " \r\n", "a  b\t\r\n\r\n \r\n", "\t\r\nx \r\n\r\n"]
)
def test_what_dkimpy_signs_passes(header_form: bytes, body_form: bytes, text: str) -> None:
    raw = message("From: a@example.org", "Subject: x", text=text)
    if body_form == b"relaxed" and text == "x":
        raw += b"\r\n"
    assert only(signed(raw, canonicalize=(header_form, body_form))) == (Outcome.PASS, "")


def test_a_change_of_white_space_matters_to_simple_only() -> None:
    changed = PLAIN.replace(b"two  spaces ", b"two spaces").replace(b"  two\r\n", b" two \r\n")
    relaxed, simple = signed(canonicalize=(b"relaxed", b"relaxed")), signed(canonicalize=(b"simple", b"simple"))
    assert only(relaxed.replace(PLAIN, changed))[0] is Outcome.PASS
    assert only(simple.replace(PLAIN, changed)) == (Outcome.FAIL, "the body was changed")


def test_a_changed_header_fails() -> None:
    assert only(signed().replace(b"eve@", b"adam@")) == (Outcome.FAIL, "the signature does not match")


def test_a_second_from_field_fails() -> None:
    """What is put on top of a signed message must not pass as its author."""
    second = b"From: boss@example.org\r\n"
    assert only(second + signed())[0] is Outcome.FAIL
    assert only(second + signed(include_headers=[b"From"]).replace(b"from : from", b"from"))[0] is Outcome.PERMERROR


def test_appended_text_fails_in_spite_of_a_length() -> None:
    raw = signed(length=True)
    assert b"l=" in raw
    assert only(raw)[0] is Outcome.PASS
    assert only(raw + b"Buy this\r\n") == (Outcome.FAIL, "the body was changed")


def test_from_must_be_signed() -> None:
    raw = signed().replace(b"from", b"x-fr")
    assert only(raw) == (Outcome.PERMERROR, "not every From field is signed")


def spoilt(tag: str, value: str) -> bytes:
    """With one more tag in the field; the signature does not hold any more."""
    return signed().replace(b"v=1;", f"v=1; {tag}={value};".encode(), 1)


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        ("x", str(NOW - 1), (Outcome.FAIL, "the signature has expired")),
        ("x", str(NOW + 10), (Outcome.FAIL, "the signature does not match")),
        ("x", "soon", (Outcome.NEUTRAL, "tag x is not a time")),
        ("v", "1", (Outcome.NEUTRAL, "tag v stands there twice")),
    ],
)
def test_tags_that_spoil_it(tag: str, value: str, expected: tuple[Outcome, str]) -> None:
    assert only(spoilt(tag, value)) == expected


def test_a_signature_from_the_future_fails() -> None:
    assert only(signed(), now=time.time() - 86_400) == (Outcome.FAIL, "the signature was made in the future")


def test_sha1_is_not_accepted() -> None:
    raw = signed(signature_algorithm=b"rsa-sha1")
    assert only(raw) == (Outcome.POLICY, "SHA-1 is not accepted")


def test_ed25519() -> None:
    key = new_ed25519()
    raw = signed()
    assert only(raw, Zone({"s._domainkey.example.org TXT": [key.record]}))[0] is Outcome.PERMERROR


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], Outcome.PERMERROR),
        (["v=spf1 -all"], Outcome.PERMERROR),
        (["v=DKIM1; p="], Outcome.PERMERROR),
        ([KEY.record.replace("v=DKIM1", "v=DKIM2")], Outcome.PERMERROR),
        ([KEY.record.replace("k=rsa", "k=rsa; s=tlsrpt")], Outcome.PERMERROR),
        ([KEY.record.replace("k=rsa", "k=rsa; h=sha1")], Outcome.PERMERROR),
        ([KEY.record.replace("k=rsa", "t=s:y; s=email:x")], Outcome.PASS),
        (["note", KEY.record], Outcome.PASS),
        ([KEY.record.replace("v=DKIM1; k=rsa; ", "")], Outcome.PASS),
    ],
)
def test_key_records(records: list[str], expected: Outcome) -> None:
    assert only(signed(), Zone({"s._domainkey.example.org TXT": records}))[0] is expected


def test_short_keys_are_not_accepted() -> None:
    """RFC 8301 section 3.2: below 1,024 bits nothing is proven."""
    modulus, exponent = (1 << 767) + 1, 65537
    raw = bytes.fromhex("00") + modulus.to_bytes(96, "big")
    integer = b"\x02\x61" + raw + b"\x02\x03" + exponent.to_bytes(3, "big")
    record = "p=" + base64.b64encode(b"\x30" + bytes([len(integer)]) + integer).decode()
    assert only(signed(), Zone({"s._domainkey.example.org TXT": [record]}))[0] in (Outcome.POLICY, Outcome.PERMERROR)


def test_a_dns_failure_is_temporary() -> None:
    assert only(signed(), Zone(failing=frozenset({"s._domainkey.example.org"})))[0] is Outcome.TEMPERROR


def test_ten_signatures_at_most_and_one_lookup_for_each_key() -> None:
    line = signed()[: -len(PLAIN)]
    zone = Zone(ZONE.data)
    results = verify(line * 1_000 + PLAIN, zone)
    assert len(results) == 10
    assert zone.asked == ["s._domainkey.example.org TXT"]


@pytest.mark.parametrize(
    "raw",
    [
        PLAIN[:40] + b" " * 3_000_000 + b"\r\n\r\nx\r\n",
        PLAIN + b" " * 3_000_000,
        PLAIN + b"\r\n" * 1_500_000 + b"x",
        PLAIN + b" \t\r\n" * 700_000,
    ],
    ids=["spaces in a field", "spaces in the body", "empty lines", "blank lines"],
)
def test_long_runs_take_linear_time(raw: bytes) -> None:
    line = signed(canonicalize=(b"relaxed", b"relaxed"))[: -len(PLAIN)]
    began = time.process_time()
    verify(line * 10 + raw, ZONE)
    assert time.process_time() - began < 3


def test_a_hostile_signature_field_takes_linear_time() -> None:
    line = signed()[: -len(PLAIN)]
    hostile = line.replace(b"h=", b"h=" + b"subject:" * 20_000).replace(b"; b=", b"; b=" + b"A\r\n " * 50_000)
    began = time.process_time()
    verify(hostile * 10 + PLAIN, ZONE)
    assert time.process_time() - began < 3


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"bc ", b"\r\n\r\n", b" \r\n"]), max_size=30), st.data())
def test_a_body_in_pieces_hashes_like_the_whole(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    pieces = body.BodyHashes([body.SIMPLE, body.RELAXED])
    rest = whole
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        pieces.update(rest[:cut])
        rest = rest[cut:]
    assert pieces.digests() == body.body_hashes([body.SIMPLE, body.RELAXED], whole)


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"bc "]), max_size=30))
def test_bodies_hash_as_dkimpy_does(parts: list[bytes]) -> None:
    whole = b"".join(parts) + b"\r\n"
    expected = {
        body.SIMPLE: hashlib.sha256(Simple.canonicalize_body(whole)).digest(),
        body.RELAXED: hashlib.sha256(Relaxed.canonicalize_body(whole)).digest(),
    }
    assert body.body_hashes([body.SIMPLE, body.RELAXED], whole) == expected


@given(st.binary(max_size=300))
def test_nothing_breaks_the_parsers(data: bytes) -> None:
    verify(b"DKIM-Signature: " + data.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" + PLAIN, ZONE)
    with contextlib.suppress(dkim_key.KeyRecordError):
        dkim_key.parse(data.decode("utf-8", "replace"))


BASE = "v=1; a=ed25519-sha256; d=example.org; s=x; h=from; b=eHg=; bh=" + base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("tags", "smtputf8", "is_valid"),
    [
        (BASE, False, True),
        (BASE + ";", False, True),
        (BASE + "; c=relaxed", False, True),
        (BASE + '; i="odd; local"@example.org', False, False),
        (BASE + '; i="odd local"@a.example.org', False, True),
        (BASE + "; i=m\u00f8@example.org", False, False),
        (BASE + "; i=m\u00f8@example.org", True, True),
        (BASE.replace("d=example.org", "d=b\u00fccher.example"), True, True),
        (BASE.replace("d=example.org", "d=exa mple.org"), True, False),
        (BASE.replace("d=example.org", "d=-example.org"), True, False),
        (BASE.replace("h=from", "h=from::to"), True, False),
        (BASE.replace("v=1", "v=2"), True, False),
        (BASE.replace("v=1; ", ""), True, False),
        (BASE.replace("b=eHg=", "b=eHg"), True, False),
        (BASE.replace("b=eHg=", "b=e\r\n Hg ="), True, True),
        (BASE + "; ; x=1", True, False),
        (BASE + "; c=strict", True, False),
        (BASE + "; t=2; x=2", True, False),
        (BASE + "; l=-1", True, False),
        (BASE + "; q=dns/https", True, False),
        (BASE + "; q=dns/https:dns/txt", True, True),
    ],
)
def test_signature_fields(tags: str, smtputf8: bool, is_valid: bool) -> None:
    field = f"DKIM-Signature: {tags}\r\n".encode()
    if is_valid:
        dkim_signature.parse(field, smtputf8)
    else:
        with pytest.raises(SignatureError):
            dkim_signature.parse(field, smtputf8)
