"""What only its recipient can read is encrypted and not scanned, and no password archive hides behind it."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import filetype, pgp
from mailgate.inspect.containers import ContainerLister, judged
from mailgate.inspect.inspection import inspect
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.decision import Action
from mailgate.model.envelope import Direction
from mailgate.model.part_class import PartClass
from mailgate.model.verdict import Inspection, PartReport, Unscanned, Verdict
from mailgate.policy.evaluate import evaluate
from tests.inspect_mime.openpgp import armour, literal, new_packet, old_packet, signed
from tests.inspect_scan.encrypted_zip import encrypted_zip
from tests.inspect_scan.test_container_kinds import rar4
from tests.inspect_scan.test_inspection import ScriptedScanner
from tests.policy.making import facts, policy

HEAD = b"From: a@sender.example\r\nTo: b@acme.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
KEY_PACKET = new_packet(1, b"\3" + b"\x11" * 8 + b"\1" + bytes(range(200)))
SEALED = new_packet(18, b"\1" + bytes(range(250)))
ENVELOPED = bytes.fromhex("2a864886f70d010703")
AUTH_ENVELOPED = bytes.fromhex("2a864886f70d0109100117")
SIGNED = bytes.fromhex("2a864886f70d010702")


def cms(kind: bytes, content: bytes = bytes(300)) -> bytes:
    """ContentInfo (RFC 5652 section 3) of this content type."""
    inner = b"\x06" + bytes((len(kind),)) + kind + b"\xa0\x82" + len(content).to_bytes(2, "big") + content
    return b"\x30\x82" + len(inner).to_bytes(2, "big") + inner


def attached(data: bytes, name: str = "smime.p7m", kind: str = "application/octet-stream") -> bytes:
    head = f"Content-Type: {kind}; name={name}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
    return HEAD + head + base64.encodebytes(data).replace(b"\n", b"\r\n")


def text(body: bytes) -> bytes:
    return HEAD + b"Content-Type: text/plain\r\n\r\n" + body


def inspected(raw: bytes) -> Inspection:
    lister = ContainerLister()
    try:
        return inspect(raw, InspectLimits(), ScriptedScanner({}), lister)
    finally:
        lister.close()


MESSAGES = {
    "smime": attached(cms(ENVELOPED), kind="application/pkcs7-mime"),
    "smime-authenticated": attached(cms(AUTH_ENVELOPED)),
    "smime-endless": attached(b"\x30\x80\x06\x09" + ENVELOPED + b"\xa0\x80" + bytes(100)),
    "smime-pem": text(
        b"-----BEGIN CMS-----\r\n"
        + base64.encodebytes(cms(ENVELOPED)).replace(b"\n", b"\r\n")
        + b"-----END CMS-----\r\n"
    ),
    "pgp-mime": HEAD
    + b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n--b\r\n'
    + b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--b\r\n"
    + b"Content-Type: application/octet-stream; name=encrypted.asc\r\n\r\n"
    + armour(KEY_PACKET + SEALED)
    + b"\r\n--b--\r\n",
    "pgp-inline": text(b"Hello,\r\n\r\n" + armour(KEY_PACKET + SEALED) + b"\r\nBye\r\n"),
    "pgp-file": attached(KEY_PACKET + SEALED, "offer.pdf.gpg"),
    "pgp-two-recipients": attached(KEY_PACKET * 2 + SEALED, "offer.pdf.gpg"),
    "pgp-password": attached(new_packet(3, b"\4\x09\3\x08" + bytes(9)) + SEALED, "offer.pdf.gpg"),
    "pgp-old": attached(old_packet(1, b"\3" + bytes(200)) + b"\xc9\xe9" + bytes(600), "offer.pdf.pgp"),
    "pgp-aead": attached(new_packet(3, b"\5\x09\2" + bytes(30)) + new_packet(20, b"\1" + bytes(90)), "a.gpg"),
    "age": attached(b"age-encryption.org/v1\n-> X25519 abc\n" + bytes(99), "a.age"),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_it_is_encrypted_in_the_ledger_and_passes_marked(kind: str) -> None:
    found = inspected(MESSAGES[kind])
    (sealed,) = found.unscanned
    assert (sealed.reason, sealed.encrypted) == (Unscanned.END_TO_END_ENCRYPTED, True)
    assert {PartClass.ENCRYPTED, PartClass.END_TO_END_ENCRYPTED} <= set(sealed.classes)
    assert found.verdict is Verdict.NOT_SCANNED
    for direction in Direction:
        decision = evaluate(policy(), facts(*found.parts, direction=direction))
        assert decision.action is Action.ACCEPT
        assert decision.rule == "built-in: unscanned.end_to_end_encrypted"
        assert "end-to-end-encrypted" in decision.reason


@pytest.mark.parametrize("action", [Action.QUARANTINE, Action.REJECT])
def test_policy_may_stop_it_and_password_archives_are_another_matter(action: Action) -> None:
    sealed = inspected(MESSAGES["smime"]).parts
    archive = inspected(attached(encrypted_zip("a.txt", b"text"), "a.zip")).parts
    strict = policy(f'[unscanned]\nend_to_end_encrypted = "{action.value}"')
    assert evaluate(strict, facts(*sealed)).action is action
    assert evaluate(strict, facts(*archive)).rule == "built-in: unscanned.encrypted"
    assert evaluate(policy(), facts(*archive)).action is Action.QUARANTINE
    by_rule = policy('[[attachments]]\nname = "a"\naction = "reject"\nclass = "encrypted"')
    assert evaluate(by_rule, facts(*sealed)).action is Action.REJECT


@pytest.mark.parametrize(
    "raw",
    [
        attached(signed(literal()), "a.pgp"),
        attached(new_packet(6, b"\4" + bytes(300)), "key.gpg"),
        attached(new_packet(2, b"\4" + bytes(80)), "a.sig"),
        attached(cms(SIGNED)),
        text(b"-----BEGIN PGP MESSAGE-----\r\n\r\nis how it begins\r\n-----END PGP MESSAGE-----\r\n"),
        attached(bytes(range(200, 256)) * 9, "a.bin"),
        attached(b"\xc1\x0e\3" + bytes(300), "a.bin"),
    ],
)
def test_what_anyone_can_read_is_scanned(raw: bytes) -> None:
    assert not any(part.encrypted for part in inspected(raw).parts)


def hidden_names(data: bytes) -> bytes:
    """A RAR archive of one member as if its headers were encrypted."""
    hidden = data.replace(b"\x73\0\0", b"\x73\x80\0", 1)
    return hidden[:7] + (zlib.crc32(hidden[9:20]) & 0xFFFF).to_bytes(2, "little") + hidden[9:]


def test_an_archive_with_a_password_behind_an_openpgp_head_is_one() -> None:
    for archive in (hidden_names(rar4(b"a.exe", b"text")), encrypted_zip("a.exe", b"text")):
        found = inspected(attached(KEY_PACKET + SEALED + archive, "a.gpg"))
        assert Unscanned.ENCRYPTED in {part.reason for part in found.unscanned}
        assert evaluate(policy(), facts(*found.parts)).action is Action.QUARANTINE


def test_an_archive_that_nobody_read_to_its_end_behind_an_openpgp_head_was_not_scanned() -> None:
    found = inspected(attached(KEY_PACKET + SEALED + rar4(b"a.exe", bytes(500))[:-100], "a.gpg"))
    assert Unscanned.LIMIT in {part.reason for part in found.unscanned}


def test_malware_that_the_scanner_sees_stays_malware() -> None:
    report = PartReport("1", "", "", "", 1, "", Verdict.INFECTED, "X")
    assert judged(report, (PartClass.ENCRYPTED, PartClass.END_TO_END_ENCRYPTED), "").verdict is Verdict.INFECTED


@given(st.binary(max_size=80), st.sampled_from([b"", KEY_PACKET, b"\xc3\x04", b"\x85\x01", b"\xd2"]))
def test_any_bytes_have_a_type(rest: bytes, begin: bytes) -> None:
    pgp.is_encrypted(begin + rest)
    filetype.detect(begin + rest)


def test_the_sealed_part_of_a_pgp_mime_message_has_the_name_of_its_file() -> None:
    assert [part.name for part in inspected(MESSAGES["pgp-mime"]).unscanned] == ["encrypted.asc"]
