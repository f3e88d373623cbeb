"""Messages for parser tests: one payload in many wrappings, and random nested multiparts."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from mailgate.inspect.mime import views
from mailgate.inspect.parts import ParseLimits

# A made-up file that no scanner knows: what a test looks for among the parts.
PAYLOAD = b"\x00\x01PROGRAM~" + bytes(range(256)) + b"the end of the file, not text at all\xff\xfe"
HEAD = b"From: a@client.example\r\nTo: b@mx.example\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"


def base64_lines(data: bytes, width: int = 57) -> bytes:
    return b"\r\n".join(binascii.b2a_base64(data[at : at + width], newline=False) for at in range(0, len(data), width))


def uuencoded(data: bytes, name: bytes = b"program.bin") -> bytes:
    lines = [binascii.b2a_uu(data[at : at + 45]).rstrip(b"\n") for at in range(0, len(data), 45)]
    return b"begin 644 " + name + b"\r\n" + b"\r\n".join(lines) + b"\r\n`\r\nend\r\n"


def xxencoded(data: bytes) -> bytes:
    """The same with letters, digits, plus and minus only."""
    head, *lines, end, last = uuencoded(data).rstrip().split(b"\r\n")
    letters = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    table = bytes.maketrans(b"`" + bytes(range(32, 96)), b"+" + letters)
    return b"\r\n".join((head, *(line.translate(table) for line in (*lines, end)), last)) + b"\r\n"


def yencoded(data: bytes) -> bytes:
    out = bytearray()
    for value in data:
        code = (value + 42) % 256
        out += bytes((61, (code + 64) % 256)) if code in (0, 10, 13, 61) else bytes((code,))
    return b"=ybegin line=9999 size=%d name=program.bin\r\n%b\r\n=yend size=%d\r\n" % (len(data), bytes(out), len(data))


def binhexed(data: bytes) -> bytes:
    """BinHex 4.0 without run lengths but for the escape of 0x90; checksums zero, which readers of mail ignore."""
    letters = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    raw = b"\x04prog\0APPLabcd\0\0" + len(data).to_bytes(4, "big") + bytes(4) + b"\0\0" + data + b"\0\0"
    packed = raw.replace(b"\x90", b"\x90\0")
    standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = binascii.b2a_base64(packed, newline=False).decode().rstrip("=").translate(str.maketrans(standard, letters))
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"(This file must be converted with BinHex 4.0)\r\n:" + "\r\n".join(lines).encode() + b":\r\n"


def tnef(data: bytes) -> bytes:
    def attribute(level: int, tag: int, kind: int, value: bytes) -> bytes:
        head = bytes((level,)) + tag.to_bytes(2, "little") + kind.to_bytes(2, "little")
        return head + len(value).to_bytes(4, "little") + value + (sum(value) & 0xFFFF).to_bytes(2, "little")

    attachment = attribute(2, 0x9002, 6, bytes(14)) + attribute(2, 0x8010, 1, b"program.bin\0")
    return b"\x78\x9f\x3e\x22\x01\0" + attachment + attribute(2, 0x800F, 6, data)


def der(tag: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    return bytes((tag,)) + (bytes((len(body),)) if len(body) < 128 else bytes((0x80 | len(size),)) + size) + body


def signed_data(content: bytes, pieces: int = 1) -> bytes:
    """CMS SignedData without signers; more than one piece: BER with indefinite lengths and a constructed string."""
    data_oid, signed_oid = bytes.fromhex("06092a864886f70d010701"), bytes.fromhex("06092a864886f70d010702")
    if pieces == 1:
        inner = der(0x30, data_oid, der(0xA0, der(0x04, content)))
        return der(0x30, signed_oid, der(0xA0, der(0x30, b"\x02\x01\x01", b"\x31\x00", inner, b"\x31\x00")))
    size = -(-len(content) // pieces)
    strings = b"".join(der(0x04, content[at : at + size]) for at in range(0, len(content), size))
    inner = b"\x30\x80" + data_oid + b"\xa0\x80\x24\x80" + strings + bytes(6)
    body = b"\x30\x80\x02\x01\x01\x31\x00" + inner + b"\x31\x00" + bytes(2)
    return b"\x30\x80" + signed_oid + b"\xa0\x80" + body + bytes(4)


def part(content_type: bytes, encoding: bytes, body: bytes, extra: bytes = b"") -> bytes:
    field = b"Content-Transfer-Encoding: " + encoding + b"\r\n" if encoding else b""
    return b"Content-Type: " + content_type + b"\r\n" + field + extra + b"\r\n" + body


def attachment(data: bytes = PAYLOAD) -> bytes:
    name = b'Content-Disposition: attachment; filename="program.bin"\r\n'
    return part(b"application/octet-stream", b"base64", base64_lines(data), name)


TEXT = part(b"text/plain; charset=us-ascii", b"", b"See the attachment.")


def multipart(
    parts: Sequence[bytes], boundary: bytes = b"bnd", field: bytes = b"", close: bytes | None = None
) -> bytes:
    """A multipart entity; `field` replaces its Content-Type value, `close` its closing delimiter line."""
    field = field or b'multipart/mixed; boundary="' + boundary + b'"'
    body = b"".join(b"--" + boundary + b"\r\n" + content + b"\r\n" for content in parts)
    return b"Content-Type: " + field + b"\r\n\r\n" + body + (b"--" + boundary + b"--\r\n" if close is None else close)


def message(entity: bytes) -> bytes:
    return HEAD + entity


def quoted_printable(data: bytes) -> bytes:
    return binascii.b2a_qp(data, istext=False).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


ENCODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"base64": base64_lines,
    b"quoted-printable": quoted_printable,
    b"x-uuencode": uuencoded,
}


_JUNK = (b"=", b"==", b"!", b" ", b"\r\n", b"QUJD", b"=\r\n", b"=4", b"\r\n\r\n", b"\xff")


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([b"text/plain", b"text/html; charset=utf-8", b"application/pdf", b"image/png", b"x"]))
    encoding = draw(st.sampled_from([b"", b"7bit", b"8bit", *ENCODERS, b"BASE64", b" base64 ", b"unknown"]))
    body = draw(st.binary(max_size=200))
    encoder = ENCODERS.get(encoding.strip().lower())
    if encoder and draw(st.booleans()):
        body = encoder(body)
        for at, junk in draw(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(_JUNK)), max_size=3)):
            body = body[:at] + junk + body[at:]
    name = draw(st.sampled_from([b"", b'Content-Disposition: attachment; filename="a b.bin"\r\n']))
    return part(kind, encoding, body, name)


def entities() -> st.SearchStrategy[bytes]:
    """Leaves, multiparts (some with equal, prefixed or missing boundaries) and enclosed messages, some levels deep."""

    def nest(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        boundary = st.sampled_from([b"b", b"bb", b"=_x 1", b"b-c", b"bnd'()+_,-./:=?"])
        field = st.sampled_from(
            [b"", b"multipart/mixed", b"multipart/digest; boundary=b", b"multipart/mixed; boundary=zz"]
        )
        close = st.sampled_from([None, b"", b"--b--\r\nepilogue\r\n--b\r\n\r\nmore"])
        multiparts = st.builds(multipart, st.lists(inner, max_size=3), boundary, field, close)
        messages = st.builds(lambda entity: part(b"message/rfc822", b"", HEAD + entity), inner)
        return multiparts | messages

    return st.recursive(leaves() | st.binary(max_size=60), nest, max_leaves=8)


def defects_and_names(*parameters: str) -> tuple[set[str], tuple[str, ...]]:
    """What is said of a PDF file with these parameters, those called `name` in its Content-Type."""
    of_type = "".join(f";\r\n\t{each}" for each in parameters if each.startswith("name"))
    of_disposition = "".join(f";\r\n\t{each}" for each in parameters if not each.startswith("name"))
    part = (
        f"Content-Type: application/pdf{of_type}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment{of_disposition}\r\n\r\nJVBERi0xLjQK\r\n"
    ).encode("latin-1")
    head = b'From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    found = views(head + b"--b\r\n" + part + b"--b--\r\n", ParseLimits(depth=50, parts=1000))
    (named,) = [each for each in found.parts if each.names]
    return {each.name for each in found.defects}, named.names
