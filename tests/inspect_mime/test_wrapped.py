"""Files in wrappers that mail programs open by themselves: what is inside must be in the union."""

from __future__ import annotations

import base64
import binascii
import bz2
import re
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.inspect import apple, encapsulated, pgp
from mailgate.inspect.members import Budget, LimitExceededError
from mailgate.inspect.mime import ParseLimits, Views, views
from mailgate.inspect.textfiles import decode_uuencoded
from tests.inspect_mime.messages_of_parts import PAYLOAD, TEXT, base64_lines, message, multipart, part
from tests.inspect_mime.openpgp import (
    armour,
    compressed,
    endless_packet,
    literal,
    new_packet,
    old_packet,
    pieces_packet,
    signed,
)

OCTETS = b"application/octet-stream; name=program.bin"


STREAMS = {
    "literal": literal(),
    "literal/old": literal(packet=old_packet),
    "literal/endless": literal(packet=endless_packet),
    "literal/pieces": literal(packet=pieces_packet),
    "none": compressed(0, literal()),
    "zip": compressed(1, literal()),
    "zlib": compressed(2, literal()),
    "bzip2": compressed(3, literal()),
    "zlib/endless": compressed(2, literal(), endless_packet),
    "zlib/pieces": compressed(2, literal(), pieces_packet),
    "zlib/broken-end": compressed(2, literal())[:-4] + b"\xff\xff\xff\xff",
    "bzip2/behind-the-end": compressed(3, literal(), lambda tag, body: new_packet(tag, body + b"more")),
    "signed": signed(literal()),
    "signed/zlib": compressed(2, signed(literal())),
    "signed/before": old_packet(2, bytes(70)) + literal(),
    "marker": new_packet(10, b"PGP") + literal(),
    "twice": compressed(1, compressed(3, literal())),
}
ARMOURS = {
    "plain": armour(STREAMS["zlib"]),
    "no-head": armour(STREAMS["zlib"], b"\r\n"),
    "no-empty-line": armour(STREAMS["zlib"], b""),
    "field-without-empty-line": armour(STREAMS["zlib"], b"Comment: a\r\n"),
    "line-without-colon": armour(STREAMS["zlib"], b"Comment\r\n\r\n"),
    "no-checksum": armour(STREAMS["zlib"], end=b"\r\n"),
    "lf": armour(STREAMS["zlib"]).replace(b"\r\n", b"\n"),
    "in-text": b"Hello,\r\n\r\n" + armour(STREAMS["zlib"]) + b"\r\nBye\r\n",
    "no-end": armour(STREAMS["zlib"]).partition(b"-----END")[0],
    "other-name": armour(STREAMS["zlib"]).replace(b"PGP MESSAGE", b"PGP ARMORED FILE"),
    "quoted": b"> " + armour(STREAMS["zlib"]).replace(b"\r\n", b"\r\n> "),
    "second": armour(literal(b"nothing")) + armour(STREAMS["zlib"]),
}
# Made by gpg 2.2 --sign with a key that is gone: zlib, and bzip2 without armour.
BY_GNUPG = (
    b"-----BEGIN PGP MESSAGE-----\n\nowGbwMvMwCGm+ffK1pKt5bcZ1ygmsRbolVSUZLP4s2ek5uTkKxQU5acXJeYqFCRW\n"
    b"5uQnpnB1lLIwiHEwyIopsnRZrJ0tM8nm1Fq751owI1iZQFoZuDgFYCK/yhkZmgMn\n5dr8nq669Gm5C8/csr1Cn5dfvvNi6hO72X9S7x9V8mD4"
    b"7zk99926bRHT+N1dph/4\nPPtbRHnyBb/VS/bcffd4YkhNOT8A\n=GaHp\n-----END PGP MESSAGE-----\n",
    base64.b64decode(
        "owNCWmg2MUFZJlNZqt0uXgAANn///vbRBnIxAEUE4aRAPs7X5AhQc4oGjwMGQhBMDo7BCR6gAJQZqAANGgAAAABoAABo0MhkAaYZQyHqepoN"
        "NAGjQ0AAAHqBkA00aAADQAyAXBHCYLixJFRGeBmSBimrhXOjXMDQrWOY6PAKuTm2oAlxe5p6DLtqdk0aou1AYrekc/2ET2+fWFhZJK2FFsoU"
        "haMPbxDbiC854ORqhqJi8DsgyxhlTkSjUmoeeauHpx9GrTjEDgpAggQ+e6Yffz8IGACid0dJOCHeIQT/xCsQK38XckU4UJCq3S5e"
    ),
)


def octets(data: bytes) -> bytes:
    return part(OCTETS, b"base64", base64_lines(data))


def attached(data: bytes) -> Views:
    return views(message(multipart([TEXT, octets(data)])))


def in_text(data: bytes, kind: bytes = b"text/plain") -> Views:
    return views(message(part(kind, b"", data)))


def contents(found: Views) -> set[bytes]:
    return {each.data for each in found.parts}


def names(found: Views) -> set[str]:
    return {defect.name for defect in found.defects}


@pytest.mark.parametrize("stream", STREAMS)
def test_openpgp_without_encryption(stream: str) -> None:
    for found in (attached(STREAMS[stream]), in_text(armour(STREAMS[stream]))):
        assert PAYLOAD in contents(found)
        assert "opaque-pgp" in names(found)
        assert not found.exceeded


@pytest.mark.parametrize("text", ARMOURS)
def test_armour_as_lenient_programs_read_it(text: str) -> None:
    assert PAYLOAD in contents(in_text(ARMOURS[text]))


@pytest.mark.parametrize("body", [b"", b"b", b"b\0", b"b\0\0\0\0\0", b"b\xffabcdefgh"])
def test_a_literal_packet_that_ends_too_soon_is_none(body: bytes) -> None:
    assert list(pgp.literals(new_packet(11, body) + literal(), small())) == [("a.bin", PAYLOAD)]


def test_gnupg_takes_any_format_for_binary() -> None:
    assert PAYLOAD in contents(attached(new_packet(11, b"x\0" + bytes(4) + PAYLOAD)))


def test_armour_in_a_page() -> None:
    page = b"<html><pre>" + ARMOURS["plain"].replace(b"\r\n", b"<br>\r\n").replace(b"+", b"&#43;") + b"</pre></html>"
    assert PAYLOAD in contents(in_text(page, b"text/html"))


def test_a_picture_is_not_taken_for_openpgp() -> None:
    picture = b"\x89PNG\r\n\x1a\n".ljust(3 + 0x504E, b"a") + literal()
    assert contents(attached(picture)).isdisjoint({PAYLOAD})


@pytest.mark.parametrize("sample", BY_GNUPG, ids=["armour", "binary"])
def test_what_gnupg_signed(sample: bytes) -> None:
    found = attached(sample)
    (signed_file,) = (each for each in found.parts if each.data == b"hello program payload\n")
    assert signed_file.name == "p.txt"


def test_what_is_signed_encoded_and_inside_out() -> None:
    inner = compressed(2, signed(literal(message(multipart([TEXT, octets(PAYLOAD)])))))
    assert PAYLOAD in contents(in_text(armour(inner)))


@pytest.mark.parametrize("tag", [1, 3, 6, 9, 18, 20])
def test_keys_and_encrypted_messages_hold_nothing_to_read(tag: int) -> None:
    found = in_text(armour(new_packet(tag, bytes(300))))
    assert len(found.parts) == 1 + (tag == 9)  # encrypted data as PGP 2 wrote it, with no key in front
    assert "opaque-pgp" not in names(found)


def deep() -> bytes:
    data = literal()
    for _ in range(40):
        data = compressed(0, data)
    return data


def small() -> Budget:
    return Budget(members=100_000, data=1 << 20)


@pytest.mark.parametrize(
    "data",
    [
        compressed(2, literal(bytes(3 << 20))),
        compressed(3, literal(bytes(3 << 20))),
        new_packet(8, b"\2" + zlib.compress(compressed(2, literal(bytes(3 << 20))))),
        deep(),
        b"\xc2" + b"\xe0a" * 110_000,
        b"\xc2\0" * 110_000,
    ],
    ids=["zlib", "bzip2", "twice", "deep", "pieces", "packets"],
)
def test_openpgp_bombs_end_as_a_limit(data: bytes) -> None:
    with pytest.raises(LimitExceededError):
        list(pgp.literals(data, small()))
    assert views(message(part(OCTETS, b"binary", data)), ParseLimits(decoded_bytes=2 << 20)).exceeded


def bad_checksum() -> bytes:
    """Bzip2 unpacks a whole block before it knows that nothing of it is good."""
    made = bytearray(bz2.compress(bytes(900_000)))
    made[10] ^= 1
    return new_packet(8, b"\3" + bytes(made))


EMPTY = compressed(2, compressed(2, bytes(1 << 20)))


@pytest.mark.parametrize(
    "entities",
    [
        [octets(EMPTY + b"%d" % number) for number in range(3)],
        [part(b"text/plain", b"", b"\r\n".join(armour(EMPTY[:-1] + b"%d" % number) for number in range(3)))],
        [octets(bad_checksum() * 9)],
        [octets(b"ActiveMime%d" % number + zlib.compress(bytes(1 << 20))) for number in range(3)],
        [octets(b"ActiveMime" + b"x\x01" * 9)],
    ],
    ids=["attached", "armour", "bad-checksum", "same-content", "starts"],
)
def test_what_is_expanded_counts_though_no_part_comes_of_it(entities: list[bytes]) -> None:
    found = views(message(multipart(entities)), ParseLimits(decoded_bytes=2 << 20))
    assert found.exceeded == ("decoded-bytes",)
    assert sum(len(each.data) for each in found.parts) < 2 << 20


def test_all_of_an_active_mime_file_that_may_be_compressed_is_expanded() -> None:
    data = b"ActiveMime" + zlib.compress(b"something else") + zlib.compress(PAYLOAD)[:-4] + b"\xff\xff\xff\xff"
    assert {b"something else", PAYLOAD} <= contents(attached(data))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(STREAMS.values())), st.data())
def test_broken_packets_never_raise(stream: bytes, data: st.DataObject) -> None:
    broken = bytearray(stream)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(stream) - 1), st.integers(0, 255)), max_size=6)):
        broken[at] = value
    cut = bytes(broken[: data.draw(st.integers(0, len(stream)))])
    list(pgp.literals(cut, small()))
    for block in pgp.blocks(armour(cut)):
        pgp.is_encrypted(block)
        list(pgp.literals(block, small()))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"-----BEGIN PGP MESSAGE-----", b"\xa3\2", b"\xcb", b"\0\5name", b"\0\5\x16\7", b"ActiveMime"]),
    st.binary(),
)
def test_anything_behind_a_beginning_is_parsed(begin: bytes, rest: bytes) -> None:
    for block in (begin + rest, *pgp.blocks(begin + rest)):
        pgp.is_encrypted(block)
    list(encapsulated.opened(begin + rest, small()))


def macbinary(data: bytes, resource: bytes = b"", version: int = 2) -> bytes:
    head = bytearray(128)
    head[1:13] = b"\x0bprogram.bin"
    head[65:73] = b"APPLabcd"
    head[83:87], head[87:91] = len(data).to_bytes(4, "big"), len(resource).to_bytes(4, "big")
    if version > 1:
        head[102:106] = b"mBIN" if version == 3 else bytes(4)
        head[122:124] = b"\x81\x81"
        head[124:126] = binascii.crc_hqx(bytes(head[:124]), 0).to_bytes(2, "big")
    return bytes(head) + b"".join(fork + bytes(-len(fork) % 128) for fork in (data, resource))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_both_forks_of_macbinary(version: int) -> None:
    data = attached(macbinary(PAYLOAD, b"other", version))
    assert {PAYLOAD, b"other"} <= contents(data)
    assert "wrapped-file" in names(data)
    assert {"program.bin"} == {each.name for each in data.parts if each.data == PAYLOAD}
    assert PAYLOAD in contents(attached(macbinary(b"", PAYLOAD, version)))


def test_macbinary_with_a_wrong_checksum_is_known_by_its_lengths() -> None:
    sample = bytearray(macbinary(PAYLOAD))
    sample[124] ^= 1
    assert PAYLOAD in contents(attached(bytes(sample)))


@pytest.mark.parametrize(
    ("at", "value"), [(0, 1), (1, 0), (1, 64), (74, 1), (82, 1), (83, 1), (5, 7)], ids=lambda value: str(value)
)
def test_other_files_are_no_macbinary(at: int, value: int) -> None:
    sample = bytearray(macbinary(PAYLOAD))
    assert apple.is_macbinary(bytes(sample))
    sample[at] = value
    assert not apple.is_macbinary(bytes(sample))


@pytest.mark.parametrize("magic", apple.APPLE_MAGICS)
@pytest.mark.parametrize("fork", [1, 2])
def test_both_forks_of_apple_files(magic: bytes, fork: int) -> None:
    entries = ((3, b"program.bin"), (fork, PAYLOAD))
    head, body = magic + b"\0\2\0\0" + bytes(16) + b"\0\2", b""
    for kind, content in entries:
        head += b"".join(each.to_bytes(4, "big") for each in (kind, 26 + 24 + len(body), len(content)))
        body += content
    found = attached(head + body)
    assert {"program.bin"} == {each.name for each in found.parts if each.data == PAYLOAD}


@pytest.mark.parametrize("head", [0x32, 0x22A])
def test_active_mime(head: int) -> None:
    found = attached(b"ActiveMime".ljust(head, b"\0") + zlib.compress(PAYLOAD))
    assert PAYLOAD in contents(found)


ARCHIVE = multipart([TEXT, octets(b"ActiveMime".ljust(0x32, b"\0") + zlib.compress(PAYLOAD))])


@pytest.mark.parametrize("version", [b"MIME-Version: 1.0\r\n", b"mime-version: 1.0\r\n"])
@pytest.mark.parametrize("head", [b"%PDF-1.7\r\n1 0 obj\r\n<<>>\r\nendobj\r\n", b"GIF89a" + bytes(90)])
def test_a_web_archive_behind_the_head_of_another_file(head: bytes, version: bytes) -> None:
    found = attached(head + version + ARCHIVE)
    assert PAYLOAD in contents(found)
    assert "embedded-message" in names(found)
    assert PAYLOAD in contents(attached(head + bytes(100_000) + b"MIME-Version: 1.0\r\n" + ARCHIVE))


@pytest.mark.parametrize("head", [b"PK\3\4" + bytes(26), bytes.fromhex("d0cf11e0a1b11ae1")])
def test_messages_in_archives_are_no_web_archive(head: bytes) -> None:
    assert "embedded-message" not in names(attached(head + b"MIME-Version: 1.0\r\n" + ARCHIVE))


def test_the_certificates_of_a_clear_signature_are_not_its_content() -> None:
    """A detached signature (RFC 8551 section 3.5.3): no eContent, but certificates under a [0] as well."""

    def element(tag: int, *contents: bytes) -> bytes:
        content = b"".join(contents)
        return bytes((tag, 0x82)) + len(content).to_bytes(2, "big") + content

    certificate = element(0x30, element(0x30, element(0xA0, b"\2\1\2"), element(4, b"key identifier")), bytes(90))
    kind, data = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")
    detached = element(0x30, data)
    for content, expected in ((detached, b""), (element(0x30, data, element(0xA0, element(4, PAYLOAD))), PAYLOAD)):
        fields = element(0x30, b"\2\1\1", element(0x31), content, element(0xA0, certificate), element(0x31))
        signature = element(0x30, kind, element(0xA0, fields))
        assert encapsulated.cms_content(signature, small()) == expected


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"`\r\n", b"#86)C\r\n", b"#86\r\n", b"a", b" ", b"end\n"])))
def test_empty_lines_of_uuencode_read_as_python_reads_them(pieces: list[bytes]) -> None:
    """The length that an empty line says is that of its line feed: so many zeros."""
    data = b"begin 644 a\r\n" + b"".join(pieces)
    expected = b""
    for line in re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", data)[1:]:
        if line.strip(b" \t\r\n\f") == b"end":
            break
        try:
            expected += binascii.a2b_uu(line)
        except binascii.Error:
            with suppress(binascii.Error):
                expected += binascii.a2b_uu(line[: (((line[0] - 32) & 63) * 4 + 5) // 3])
    assert not expected or expected in decode_uuencoded(data)
