"""One hidden file, wrapped in every way that some mail client undoes: it must be among the parts, byte for byte."""

from __future__ import annotations

import base64
import zlib

import pytest

from mailgate.inspect.mime import views
from mailgate.model.defect import DEFECTS
from tests.inspect_mime.messages_of_parts import (
    HEAD,
    PAYLOAD,
    TEXT,
    attachment,
    base64_lines,
    binhexed,
    der,
    message,
    multipart,
    part,
    quoted_printable,
    signed_data,
    tnef,
    uuencoded,
    yencoded,
)

B64 = base64_lines(PAYLOAD)
OCTETS = b"application/octet-stream; name=program.bin"
ATTACHED = attachment()
PLAIN = multipart([TEXT, ATTACHED])


def typed(field: bytes, boundary: bytes = b"bnd") -> bytes:
    """A message with this Content-Type value and delimiters of `boundary`."""
    return message(multipart([TEXT, ATTACHED], boundary, field))


def encoded(field: bytes, body: bytes = B64) -> bytes:
    """A message whose second part has these transfer encoding lines."""
    return message(multipart([TEXT, b"Content-Type: " + OCTETS + b"\r\n" + field + b"\r\n\r\n" + body]))


def lines(start: bytes, middle: bytes) -> bytes:
    """A message whose second delimiter line is preceded by `start` and followed by `middle`."""
    body = b"--bnd\r\n" + TEXT + start + b"--bnd" + middle + b"\r\n" + ATTACHED + b"\r\n--bnd--\r\n"
    return HEAD + b'Content-Type: multipart/mixed; boundary="bnd"\r\n\r\n' + body


HIDDEN = {
    "duplicate-content-type/first": HEAD
    + b"Content-Type: multipart/mixed; boundary=bnd\r\nContent-Type: text/plain\r\n"
    + PLAIN.split(b"\r\n", 1)[1],
    "duplicate-content-type/last": HEAD + b"Content-Type: text/html\r\n" + PLAIN,
    "duplicate-content-type/of-a-part": message(
        multipart([TEXT, b"Content-Type: multipart/mixed; boundary=none\r\n" + ATTACHED])
    ),
    "duplicate-content-transfer-encoding/last": encoded(
        b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64"
    ),
    "duplicate-content-transfer-encoding/middle": encoded(
        b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: binary"
    ),
    "transfer-encoding-syntax/comment": encoded(b"Content-Transfer-Encoding: (a (b) c) base64 (d)"),
    "transfer-encoding-syntax/quotes": encoded(b"Content-Transfer-Encoding: 'base64'"),
    "transfer-encoding-syntax/semicolon": encoded(b"Content-Transfer-Encoding: base64; foo=bar"),
    "header-nul/encoding": encoded(b"Content-Transfer-Encoding: base\x0064"),
    "transfer-encoding-syntax/word": encoded(b"Content-Transfer-Encoding: =?us-ascii?q?base64?="),
    "transfer-encoding-syntax/glued": encoded(b"Content-Transfer-Encoding: xbase64x"),
    "transfer-encoding-syntax/fold": encoded(b"Content-Transfer-Encoding:\r\n\tbase64"),
    "transfer-encoding-list/first": encoded(b"Content-Transfer-Encoding: 7bit, base64"),
    "transfer-encoding-list/chain": encoded(
        b"Content-Transfer-Encoding: quoted-printable, base64", base64_lines(quoted_printable(PAYLOAD))
    ),
    "transfer-encoding-unknown": encoded(b"Content-Transfer-Encoding: base63"),
    "header-space-before-colon": encoded(b"Content-Transfer-Encoding \t: base64"),
    "header-leading-blank": message(multipart([TEXT, b" Content-Transfer-Encoding: base64\r\nX-A: b\r\n\r\n" + B64])),
    "header-leading-blank/fold": encoded(b"X-A: b\r\n Content-Transfer-Encoding: base64"),
    "header-leading-blank/lines": b"\r\n\r\n" + message(PLAIN),
    "bare-cr/field": encoded(b"X-A: b\rContent-Transfer-Encoding: base64"),
    "bare-cr/all": message(PLAIN).replace(b"\r\n", b"\r"),
    "bare-cr/doubled": message(PLAIN).replace(b"\r\n", b"\r\r\n"),
    "header-nul/name": encoded(b"Content-Tran\0sfer-Encoding: base64"),
    "header-separator/missing": message(
        multipart([TEXT, b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n" + B64])
    ),
    "header-separator/blanks": message(
        multipart([TEXT, b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n \t\r\n" + B64])
    ),
    "header-separator/junk": HEAD + b"no field at all\r\n" + PLAIN,
    "bom": b"\xef\xbb\xbf" + PLAIN.replace(b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\n\r\n", 1),
    "from-line": b"From a@b Mon Jan  1 00:00:00 2024\r\n" + message(PLAIN),
    "missing-mime-version": b"From: a@b.example\r\n" + PLAIN,
    "missing-mime-version/odd": message(PLAIN).replace(b"MIME-Version: 1.0", b"MIME-Version: 2.0"),
    "composite-encoding/multipart": message(
        part(b"multipart/mixed; boundary=bnd", b"base64", base64_lines(PLAIN.split(b"\r\n\r\n", 1)[1]))
    ),
    "composite-encoding/message": message(
        multipart([part(b"message/rfc822", b"base64", base64_lines(message(PLAIN)))], b"o")
    ),
    "composite-encoding/quoted": message(
        multipart([part(b"message/rfc822", b"quoted-printable", quoted_printable(message(PLAIN)))], b"o")
    ),
    "composite-encoding/uu": message(
        multipart([part(b"message/rfc822", b"uuencode", uuencoded(message(PLAIN)))], b"o")
    ),
    "ambiguous-boundary/first": typed(b"multipart/mixed; boundary=bnd; boundary=other"),
    "boundary-not-found/last": typed(b"multipart/mixed; boundary=other; boundary=bnd"),
    "boundary-not-found/wrong": typed(b"multipart/mixed; boundary=other"),
    "boundary-missing/none": typed(b"multipart/mixed"),
    "boundary-missing/empty": typed(b'multipart/mixed; boundary=""', b""),
    "ambiguous-boundary/continued": typed(b"multipart/mixed; boundary*0=b; boundary*1=nd"),
    "ambiguous-boundary/continued-doubled": typed(b"multipart/mixed; boundary*0=b; boundary*0=c; boundary*1=nd"),
    "ambiguous-boundary/extended": typed(b"multipart/mixed; boundary*=us-ascii'en'b%6Ed"),
    "ambiguous-boundary/plain-and-extended": typed(b"multipart/mixed; boundary=other; boundary*=us-ascii''bnd"),
    "type-syntax/word": typed(b'multipart/mixed; boundary="=?us-ascii?b?Ym5k?="'),
    "type-syntax/half-word": typed(b'multipart/mixed; boundary="b=?us-ascii?q?nd?="'),
    "type-syntax/word-kept": typed(b'multipart/mixed; boundary="=?us-ascii?q?bnd?="', b"=?us-ascii?q?bnd?="),
    "type-syntax/comment-kept": typed(b"multipart/mixed; boundary=bnd(x)", b"bnd(x)"),
    "type-syntax/comment-cut": typed(b"multipart/mixed; boundary=bnd(x)"),
    "type-syntax/quotes-kept": typed(b"multipart/mixed; boundary='bnd'", b"'bnd'"),
    "type-syntax/quotes-cut": typed(b"multipart/mixed; boundary='bnd'"),
    "type-syntax/no-end-quote": typed(b'multipart/mixed; boundary="bnd'),
    "type-syntax/no-end-quote-more": typed(b'multipart/mixed; boundary="bnd; charset=x'),
    "type-syntax/escapes": typed(b'multipart/mixed; boundary="b\\nd"'),
    "type-syntax/escapes-kept": typed(b'multipart/mixed; boundary="b\\nd"', b"b\\nd"),
    "type-syntax/nul": typed(b'multipart/mixed; boundary="bnd\0xyz"'),
    "type-syntax/blanks": typed(b'multipart / mixed; boundary = "bnd"'),
    "type-syntax/commas": typed(b"multipart/mixed, boundary=bnd"),
    "semicolons": typed(b"multipart/mixed;;;; boundary=bnd;;"),
    "type-syntax/bad-parameter": typed(b"multipart/mixed; a:b=c; =; boundary=bnd"),
    "type-syntax/comments": typed(b"(a)multipart(b)/(c)mixed(d);(e)boundary(f)=(g)bnd(h)"),
    "type-syntax/no-subtype": typed(b"multipart; boundary=bnd"),
    "type-syntax/quoted-type": typed(b'"multipart/mixed"; boundary=bnd'),
    "type-syntax/nul-in-type": typed(b"multi\0part/mixed; boundary=bnd"),
    "type-syntax/missing-semicolon": typed(b"multipart/mixed boundary=bnd"),
    "type-syntax/fold-in-value": typed(b'multipart/mixed; boundary="b\r\n nd"'),
    "long-boundary": typed(b"multipart/mixed; boundary=" + b"L" * 400, b"L" * 400),
    "long-boundary/cut": typed(b"multipart/mixed; boundary=" + b"L" * 400, b"L" * 70),
    "boundary-trailing-blank": typed(b'multipart/mixed; boundary="bnd "'),
    "delimiter-indented": lines(b"\r\n \t", b""),
    "delimiter-padded": lines(b"\r\n", b" \t "),
    "bare-cr/delimiter": lines(b"\r", b""),
    "bare-lf/delimiter": lines(b"\n", b""),
    "boundary-prefix": lines(b"\r\n", b"-and-more"),
    "boundary-prefix/close": lines(b"\r\n", b"--and-more"),
    "boundary-in-epilogue": lines(b"\r\n--bnd--\r\n", b""),
    "missing-close-delimiter": message(multipart([TEXT, ATTACHED], close=b"")),
    "outer-closes-inner": message(multipart([multipart([TEXT, ATTACHED], b"in", close=b"")], b"out")),
    "same-boundary": message(multipart([PLAIN])),
    "digest": message(multipart([b"\r\n" + message(PLAIN)], b"out", b"multipart/digest; boundary=out")),
    "part-with-blank-line-first": message(multipart([TEXT, b"\r\n" + ATTACHED])),
    "preamble/part": HEAD
    + b"Content-Type: multipart/mixed; boundary=bnd\r\n\r\n"
    + ATTACHED
    + b"\r\n"
    + PLAIN.split(b"\r\n\r\n", 1)[1],
    "preamble/uu": HEAD
    + b"Content-Type: multipart/mixed; boundary=bnd\r\n\r\n"
    + uuencoded(PAYLOAD)
    + PLAIN.split(b"\r\n\r\n", 1)[1].replace(B64, b""),
    "epilogue/uu": message(multipart([TEXT], close=b"--bnd--\r\n" + uuencoded(PAYLOAD))),
    "epilogue/other-boundary": message(
        multipart([TEXT], close=b"--bnd--\r\n--zzz\r\n" + ATTACHED + b"\r\n--zzz--\r\n")
    ),
    "parts-in-text": message(part(b"text/plain", b"", b"Hello\r\n--zzz\r\n" + ATTACHED + b"\r\n--zzz--\r\n")),
    "parts-in-a-part": message(multipart([part(b"text/plain", b"", b"--zzz\r\n" + ATTACHED + b"\r\n--zzz--"), TEXT])),
    "message-as-octets": message(multipart([part(OCTETS, b"base64", base64_lines(message(PLAIN)))], b"out")),
    "message-as-text": message(part(b"text/plain", b"", message(PLAIN))),
    "partial": message(part(b"message/partial; id=a; number=1; total=2", b"", message(PLAIN))),
    "base64-junk/dots": encoded(b"Content-Transfer-Encoding: base64", b".".join(bytes((c,)) for c in B64)),
    "base64-junk/line": encoded(b"Content-Transfer-Encoding: base64", B64.replace(b"\r\n", b"\r\nHello, you!\r\n", 1)),
    "base64-junk/first-line": encoded(b"Content-Transfer-Encoding: base64", b"Some words:\r\n\r\n" + B64),
    "base64-length/words-first": encoded(b"Content-Transfer-Encoding: base64", b"Words\r\n\r\n" + B64),
    "base64-junk/last-line": encoded(
        b"Content-Transfer-Encoding: base64", B64 + b"\r\n-- \r\nMailing list: http://x\r\n"
    ),
    "base64-junk/url-safe": encoded(b"Content-Transfer-Encoding: base64", base64.urlsafe_b64encode(PAYLOAD)),
    "base64-length/overpadded": encoded(b"Content-Transfer-Encoding: base64", B64 + b"====="),
    "base64-length/unpadded": encoded(b"Content-Transfer-Encoding: base64", B64.rstrip(b"=")),
    "base64-concatenated/restart": encoded(
        b"Content-Transfer-Encoding: base64", base64.b64encode(PAYLOAD[:7]) + base64.b64encode(PAYLOAD[7:])
    ),
    "base64-concatenated/skip": encoded(b"Content-Transfer-Encoding: base64", B64[:8] + b"=" + B64[8:].rstrip(b"=")),
    "base64-concatenated/stop": encoded(b"Content-Transfer-Encoding: base64", base64.b64encode(PAYLOAD) + b"AAAA"),
    "base64-lines/odd": encoded(
        b"Content-Transfer-Encoding: base64",
        b"\r\n".join(B64.replace(b"\r\n", b"")[at : at + 7] for at in range(0, len(B64), 7)),
    ),
    "quoted-printable/lower": encoded(
        b"Content-Transfer-Encoding: quoted-printable", b"".join(b"=%02x" % v for v in PAYLOAD)
    ),
    "quoted-printable/soft-blanks": encoded(
        b"Content-Transfer-Encoding: quoted-printable", b"= \t\r\n".join(b"=%02X" % v for v in PAYLOAD)
    ),
    "quoted-printable/soft-lf": encoded(
        b"Content-Transfer-Encoding: quoted-printable", b"=\n".join(b"=%02X" % v for v in PAYLOAD)
    ),
    "quoted-printable/soft-cr": encoded(
        b"Content-Transfer-Encoding: quoted-printable", b"=\r".join(b"=%02X" % v for v in PAYLOAD)
    ),
    "uuencode/encoding": encoded(b"Content-Transfer-Encoding: x-uue", uuencoded(PAYLOAD)),
    "uuencode/text": message(part(b"text/plain", b"", b"Hello\r\n\r\n" + uuencoded(PAYLOAD))),
    "uuencode/html": message(part(b"text/html", b"base64", base64_lines(uuencoded(PAYLOAD)))),
    "uuencode/no-mime": b"From: a@b.example\r\n\r\n" + uuencoded(PAYLOAD),
    "uuencode/base64": message(part(b"text/plain", b"", b"begin-base64 644 a.bin\r\n" + B64 + b"\r\n====\r\n")),
    "uuencode/no-end": message(part(b"text/plain", b"", uuencoded(PAYLOAD)[:-8])),
    "yenc/text": message(part(b"text/plain", b"8bit", yencoded(PAYLOAD))),
    "binhex/text": message(part(b"text/plain", b"", binhexed(PAYLOAD))),
    "binhex/type": message(multipart([TEXT, part(b"application/mac-binhex40", b"", binhexed(PAYLOAD))])),
    "tnef/type": message(part(b"application/ms-tnef", b"base64", base64_lines(tnef(PAYLOAD)))),
    "tnef/octets": message(multipart([TEXT, part(OCTETS, b"base64", base64_lines(tnef(PAYLOAD)))])),
    "cms/der": message(part(b"application/pkcs7-mime", b"base64", base64_lines(signed_data(PLAIN)))),
    "cms/ber": message(part(b"application/octet-stream", b"base64", base64_lines(signed_data(PLAIN, pieces=5)))),
    "cms/compressed": message(
        part(
            b"application/pkcs7-mime; smime-type=compressed-data",
            b"base64",
            base64_lines(
                der(
                    0x30,
                    bytes.fromhex("060b2a864886f70d0109100109"),
                    der(
                        0xA0,
                        der(
                            0x30,
                            b"\x02\x01\x00",
                            b"\x30\x00",
                            der(
                                0x30,
                                bytes.fromhex("06092a864886f70d010701"),
                                der(0xA0, der(0x04, zlib.compress(PLAIN))),
                            ),
                        ),
                    ),
                )
            ),
        )
    ),
    "html/data-uri": message(
        part(b"text/html", b"", b'<a href="DATA:application/x;BASE64,' + base64.b64encode(PAYLOAD) + b'">x</a>')
    ),
    "html/data-uri-escaped": message(
        part(
            b"text/html",
            b"",
            b"<a href='data:application/x;base64,"
            + base64.b64encode(PAYLOAD).replace(b"+", b"%2B").replace(b"=", b"&#61;")
            + b"'>",
        )
    ),
    "text/base64-block": message(part(b"text/plain", b"", B64)),
    "twice-encoded": message(part(OCTETS, b"base64", base64_lines(B64))),
    "utf-16": message(
        part(b"text/plain; charset=utf-16le", b"base64", base64_lines(uuencoded(PAYLOAD).decode().encode("utf-16-le")))
    ),
    "many-fields": HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(3000)) + PLAIN,
}


@pytest.mark.parametrize("trick", HIDDEN)
def test_the_hidden_file_is_in_the_union(trick: str) -> None:
    found = views(HIDDEN[trick])
    assert PAYLOAD in {part.data for part in found.parts}
    assert not found.exceeded


@pytest.mark.parametrize("trick", [trick for trick in HIDDEN if trick.split("/")[0] in DEFECTS])
def test_the_trick_is_named(trick: str) -> None:
    assert trick.split("/")[0] in {defect.name for defect in views(HIDDEN[trick]).defects}


def test_an_ordinary_message_has_one_reading() -> None:
    found = views(message(PLAIN))
    assert [(part.place, part.is_strict) for part in found.parts] == [("1", True), ("2", True)]
    assert found.parts[1].data == PAYLOAD
    assert found.parts[1].name == "program.bin"
    assert not found.defects


PROGRAM = b"MZ" + PAYLOAD
LETTERS = base64.b64encode(PROGRAM).decode()
SCRIPTS = {
    "one-string": f'atob("{LETTERS}")',
    "joined": f"atob('{LETTERS[:37]}' +\n '{LETTERS[37:]}')",
    "array": "atob([" + ",".join(f'"{LETTERS[at : at + 4]}"' for at in range(0, len(LETTERS), 4)) + "].join(''))",
    "backwards": f'atob("{LETTERS[::-1]}".split("").reverse().join(""))',
    "escapes": "var file = '" + "".join(f"\\x{value:02x}" for value in PROGRAM) + "'",
    "wide-escapes": "var file = '" + "".join(f"\\u{value:04X}" for value in PROGRAM) + "'",
    "percent": "unescape('" + "".join(f"%{value:02X}" for value in PROGRAM) + "')",
    "digits": f"parseInt('{PROGRAM.hex()}')",
    "numbers": "new Uint8Array([" + ", ".join(map(str, PROGRAM)) + "])",
    "hex-numbers": "String.fromCharCode(" + ",".join(map(hex, PROGRAM)) + ")",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_file_that_a_script_puts_together_is_in_the_union(script: str) -> None:
    page = f"<html><script>{SCRIPTS[script]}</script></html>".encode()
    found = views(message(part(b"text/html", b"base64", base64_lines(page))))
    assert PROGRAM in {each.data for each in found.parts}
    assert "encoded-run" in {defect.name for defect in found.defects}


def test_an_ordinary_script_yields_no_file() -> None:
    page = b"<script>var colors = [" + b"12, 200, 7, " * 40 + b"0]; var id = '" + b"0f" * 64 + b"';</script>"
    assert [each.data for each in views(message(part(b"text/html", b"", page))).parts] == [page]


def test_harmless_text_yields_no_file() -> None:
    text = b"begin 644 words that are no file\r\n\r\n-- \r\nsignature =ybegin\r\ndata: base64, and so on\r\n"
    assert [part.data for part in views(message(part(b"text/plain", b"", text))).parts] == [text]
