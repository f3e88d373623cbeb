"""Generated evasions: tricks of three layers (leaf, multipart, message), so that any two can be combined.

A leaf trick wraps the hidden file into an entity, a multipart trick puts an entity into a message body, a message trick
changes the message as a whole. Each is something that some mail program undoes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from tests.inspect_mime.messages_of_parts import (
    HEAD,
    PAYLOAD,
    base64_lines,
    binhexed,
    multipart,
    quoted_printable,
    signed_data,
    tnef,
    uuencoded,
    xxencoded,
    yencoded,
)

Wrap = Callable[[bytes], bytes]

# Parts that do not begin with a Content- field: nothing but the delimiter line may show that they are there.
TEXT = b"X-Part: 1\r\n\r\nSee the attachment."

B64 = base64_lines(PAYLOAD)
OCTETS = b"Content-Type: application/octet-stream; name=program.bin"
ATTACHED = b"Content-Disposition: attachment; filename=program.bin"
BASE64 = b"Content-Transfer-Encoding: base64"
QP = b"Content-Transfer-Encoding: quoted-printable"


def entity(*fields: bytes, body: bytes = B64) -> bytes:
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def _pieces(size: int) -> list[bytes]:
    return [PAYLOAD[at : at + size] for at in range(0, len(PAYLOAD), size)]


_HEX = b"".join(b"=%02X" % value for value in PAYLOAD)
_ENCODING_FIELDS = {
    "plain": b"base64",
    "case": b"bAsE64",
    "comment": b"(a) base64 (b (c))",
    "comment-unclosed": b"base64 (b",
    "quotes": b'"base64"',
    "single-quotes": b"'base64'",
    "dot": b"base64.",
    "semicolon": b"base64; a=b",
    "list": b"7bit, base64",
    "list-of-words": b"base64 7bit",
    "word-q": b"=?us-ascii?q?base64?=",
    "word-b": b"=?utf-8?b?YmFzZTY0?=",
    "fold": b"\r\n base64",
    "fold-twice": b"\r\n \r\n base64",
    "nul": b"bas\0e64",
    "bare-cr-before": b"\rbase64",
    "glued": b"x-base64",
    "dash": b"base-64",
    "colon": b": base64",
    "angle": b"<base64>",
    "escape": b"base\\64",
    "high-byte": b"base64\xa0",
}
_BASE64_BODIES = {
    "dots": b".".join(bytes((letter,)) for letter in B64),
    "nul": B64.replace(b"\r\n", b"\0\r\n"),
    "vertical-tabs": B64.replace(b"\r\n", b"\x0b\x0c\r\n"),
    "high-bytes": b"\x80\xa0".join((B64[:20], B64[20:])),
    "words-first": b"Words before:\r\n\r\n" + B64,
    "words-behind": B64 + b"\r\n\r\n-- \r\nlist footer, with words\r\n",
    "comment-lines": B64.replace(b"\r\n", b"\r\n# comment!\r\n"),
    "unpadded": B64.rstrip(b"="),
    "overpadded": B64.rstrip(b"=") + b"=" * 9,
    "pad-first": b"==" + B64,
    "pad-skipped": B64[:10] + b"=" + B64[10:],
    "pad-skipped-twice": B64[:10] + b"=" + B64[10:30] + b"=" + B64[30:],
    "pad-skipped-then-end": B64[:10] + b"=" + B64[10:].rstrip(b"=") + b"=====QUJD",
    "pad-a-line": base64.b64encode(PAYLOAD[:10]) + b"\r\n" + base64.b64encode(PAYLOAD[10:]),
    "runs": b"".join(map(base64.b64encode, _pieces(7))),
    "runs-in-lines": b"\r\n".join(map(base64.b64encode, _pieces(10))),
    "runs-unpadded-end": b"".join(map(base64.b64encode, _pieces(7))).rstrip(b"="),
    "runs-with-junk": b"!\r\n".join(map(base64.b64encode, _pieces(7))),
    "end-then-more": base64.b64encode(PAYLOAD).rstrip(b"=") + b"==" + b"AAAA" * 3,
    "soft-breaks": B64.replace(b"\r\n", b"=\r\n"),
    "escaped-pads": B64.replace(b"=", b"=3D"),
    "url-safe": base64.urlsafe_b64encode(PAYLOAD),
    "one-line": base64.b64encode(PAYLOAD),
    "short-lines": re.sub(rb"(.{3})", rb"\1\r\n", base64.b64encode(PAYLOAD)),
    "quoted": b"> " + B64.replace(b"\r\n", b"\r\n> "),
    "dashes-behind": B64 + b"\r\n--not-the-boundary\r\n\r\nQUJD",
    "dot-stuffed": b"\r\n".join(b"." + line for line in B64.split(b"\r\n")),
}
_QP_BODIES = {
    "upper": _HEX,
    "lower": _HEX.lower(),
    "mixed": re.sub(rb"[A-F]", lambda m: m[0].lower(), _HEX, count=40),
    "soft-each": _HEX.replace(b"=", b"=\r\n="),
    "soft-blanks": _HEX.replace(b"=", b"= \t\r\n="),
    "soft-lf": _HEX.replace(b"=", b"=\n="),
    "soft-cr": _HEX.replace(b"=", b"=\r="),
    "long-line": _HEX * 1,
    "soft-at-end": _HEX + b"=",
    "soft-at-end-of-line": _HEX + b"=\r\n",
    "trailing-blanks": _HEX + b"  \t",
    "minimal": quoted_printable(PAYLOAD),
}
PLAIN = entity(b"X-Part: 2", OCTETS, BASE64)
LEAVES: dict[str, bytes] = {
    "plain": PLAIN,
    **{
        f"encoding/{name}": entity(OCTETS, ATTACHED, b"Content-Transfer-Encoding: " + value)
        for name, value in _ENCODING_FIELDS.items()
    },
    **{f"base64/{name}": entity(OCTETS, BASE64, body=body) for name, body in _BASE64_BODIES.items()},
    **{f"quoted-printable/{name}": entity(OCTETS, QP, body=body) for name, body in _QP_BODIES.items()},
    "encoding/duplicate-first": entity(OCTETS, BASE64, QP),
    "encoding/duplicate-last": entity(OCTETS, b"Content-Transfer-Encoding: 8bit", BASE64),
    "encoding/chain": entity(
        OCTETS, b"Content-Transfer-Encoding: base64, quoted-printable", body=base64_lines(quoted_printable(PAYLOAD))
    ),
    "encoding/chain-reversed": entity(OCTETS, QP, BASE64, body=base64_lines(quoted_printable(PAYLOAD))),
    "encoding/twice": entity(OCTETS, BASE64, body=base64_lines(B64)),
    "name/space-before-colon": entity(OCTETS, b"Content-Transfer-Encoding : base64"),
    "name/nul": entity(OCTETS, b"Content-Transfer\0-Encoding: base64"),
    "name/case": entity(OCTETS, b"cONTENT-tRANSFER-eNCODING:base64"),
    "name/indented-first": entity(b" Content-Transfer-Encoding: base64", OCTETS),
    "name/indented": entity(OCTETS, b"X-A: b", b"\tContent-Transfer-Encoding: base64"),
    "field/bare-cr": entity(OCTETS, b"X-A: b\rContent-Transfer-Encoding: base64"),
    "field/bare-lf": entity(OCTETS, b"X-A: b\nContent-Transfer-Encoding: base64"),
    "separator/missing": OCTETS + b"\r\n" + BASE64 + b"\r\n" + B64,
    "separator/blanks": OCTETS + b"\r\n" + BASE64 + b"\r\n \t\r\n" + B64,
    "separator/doubled-cr": OCTETS + b"\r\n" + BASE64 + b"\r\r\n\r\r\n" + B64,
    "separator/blanks-and-doubled-cr": OCTETS + b"\r\nX-A: a\r\n \r\n \r\n" + BASE64 + b"\r\n\r\r\n" + B64,
    "separator/junk-field": entity(OCTETS, b"no field at all", BASE64),
    "separator/spaced-field-then-missing": OCTETS + b"\r\nX-A : b\r\n" + BASE64 + b"\r\n" + B64,
    "separator/from-in-the-middle": entity(OCTETS, b"From me to you", BASE64),
    "no-type": entity(ATTACHED, BASE64),
    "type/lie": entity(b"Content-Type: image/png; name=a.png", BASE64),
    "type/duplicate": entity(b"Content-Type: multipart/mixed; boundary=none", OCTETS, BASE64),
    "type/message-lie": entity(b"Content-Type: message/rfc822", BASE64),
    "type/text": entity(b"Content-Type: text/plain; charset=utf-16", BASE64),
    "type/partial-inside": entity(b"Content-Type: message/partial; id=a; number=1; total=1", BASE64),
    "uuencode/text": entity(b"Content-Type: text/plain", body=b"Hello\r\n\r\n" + uuencoded(PAYLOAD)),
    "uuencode/encoding": entity(OCTETS, b"Content-Transfer-Encoding: x-uuencode", body=uuencoded(PAYLOAD)),
    "uuencode/encoding-uue": entity(OCTETS, b"Content-Transfer-Encoding: x-uue", body=uuencoded(PAYLOAD)),
    "uuencode/unnamed": entity(b"Content-Type: text/plain", body=uuencoded(PAYLOAD, b"")),
    "uuencode/mode": entity(b"Content-Type: text/plain", body=uuencoded(PAYLOAD).replace(b" 644 ", b" 0100755  ")),
    "uuencode/no-mode-blank": entity(
        b"Content-Type: text/plain", body=uuencoded(PAYLOAD).replace(b" 644 program.bin", b" 644")
    ),
    "uuencode/blank-line-first": entity(
        b"Content-Type: text/plain", body=uuencoded(PAYLOAD).replace(b"program.bin\r\n", b"program.bin\r\n\r\n")
    ),
    "uuencode/blank-lines-between": entity(
        b"Content-Type: text/plain",
        body=re.sub(rb"\r\nM", b"\r\n\r\nM", uuencoded(PAYLOAD)),
    ),
    "uuencode/spaces-for-backquotes": entity(b"Content-Type: text/plain", body=uuencoded(PAYLOAD).replace(b"`", b" ")),
    "uuencode/checksums": entity(
        b"Content-Type: text/plain", body=re.sub(rb"\r\n(M[^\r]+)", rb"\r\n\1x", uuencoded(PAYLOAD))
    ),
    "uuencode/in-base64": entity(b"Content-Type: text/html", BASE64, body=base64_lines(uuencoded(PAYLOAD))),
    "uuencode/base64": entity(b"Content-Type: text/plain", body=b"begin-base64 644 a\r\n" + B64 + b"\r\n====\r\n"),
    "xxencode/text": entity(b"Content-Type: text/plain", body=b"Hello\r\n\r\n" + xxencoded(PAYLOAD)),
    "xxencode/encoding": entity(OCTETS, b"Content-Transfer-Encoding: x-uuencode", body=xxencoded(PAYLOAD)),
    "yenc/text": entity(b"Content-Type: text/plain", b"Content-Transfer-Encoding: 8bit", body=yencoded(PAYLOAD)),
    "binhex/text": entity(b"Content-Type: text/plain", body=binhexed(PAYLOAD)),
    "binhex/type": entity(b"Content-Type: application/mac-binhex40", body=binhexed(PAYLOAD)),
    "tnef/type": entity(b"Content-Type: application/ms-tnef", BASE64, body=base64_lines(tnef(PAYLOAD))),
    "tnef/octets": entity(OCTETS, BASE64, body=base64_lines(tnef(PAYLOAD))),
    "tnef/nested": entity(OCTETS, BASE64, body=base64_lines(tnef(tnef(PAYLOAD)))),
    "cms/der": entity(
        b"Content-Type: application/pkcs7-mime; smime-type=signed-data",
        BASE64,
        body=base64_lines(signed_data(entity(OCTETS, BASE64))),
    ),
    "cms/ber": entity(OCTETS, BASE64, body=base64_lines(signed_data(entity(OCTETS, BASE64), pieces=4))),
    "cms/twice": entity(
        OCTETS,
        BASE64,
        body=base64_lines(
            signed_data(
                entity(
                    b"Content-Type: application/x-pkcs7-mime",
                    BASE64,
                    body=base64_lines(signed_data(entity(OCTETS, BASE64))),
                )
            )
        ),
    ),
    "cms/pem": entity(
        b"Content-Type: application/pkcs7-mime",
        body=b"-----BEGIN PKCS7-----\r\n"
        + base64_lines(signed_data(entity(OCTETS, BASE64)))
        + b"\r\n-----END PKCS7-----\r\n",
    ),
}


def _typed(value: bytes, boundary: bytes = b"bnd") -> Wrap:
    """A multipart with this Content-Type value, its delimiters those of `boundary`."""
    return lambda inner: multipart([TEXT, inner], boundary, value)


def _lines(start: bytes = b"\r\n", behind: bytes = b"", close: bytes = b"\r\n--bnd--\r\n") -> Wrap:
    """The delimiter in front of the second part preceded by `start` and continued by `behind`."""

    def wrap(inner: bytes) -> bytes:
        body = b"--bnd\r\n" + TEXT + start + b"--bnd" + behind + b"\r\n" + inner + close
        return b'Content-Type: multipart/mixed; boundary="bnd"\r\n\r\n' + body

    return wrap


def _enclosed(field: bytes, encode: Wrap = bytes, *more: bytes, head: bytes = HEAD) -> Wrap:
    """The entity as the only part of a message that is a part of another."""
    return lambda inner: multipart([TEXT, entity(field, *more, body=encode(head + inner))], b"outer")


def _typed_first(inner: bytes) -> bytes:
    """Where the boundary is nowhere declared, a part shows itself by its first field only."""
    return inner.removeprefix(b"X-Part: 2\r\n")


def _encoded(field: bytes, encode: Wrap) -> Wrap:
    """A multipart whose whole body is encoded."""

    def wrap(inner: bytes) -> bytes:
        body = multipart([TEXT, inner]).split(b"\r\n\r\n", 1)[1]
        return entity(b"Content-Type: multipart/mixed; boundary=bnd", field, body=encode(body))

    return wrap


MULTIPARTS: dict[str, Wrap] = {
    "none": bytes,
    "plain": _typed(b"multipart/mixed; boundary=bnd"),
    **{
        f"boundary/{name}": _typed(b"multipart/mixed; " + value, boundary)
        for name, (value, boundary) in {
            "first": (b"boundary=bnd; boundary=zzz", b"bnd"),
            "last": (b"boundary=zzz; boundary=bnd", b"bnd"),
            "continued": (b"boundary*0=b; boundary*1=nd", b"bnd"),
            "continued-extended": (b"boundary*0*=us-ascii''b; boundary*1*=%6e; boundary*2=d", b"bnd"),
            "continued-swapped": (b"boundary*1=nd; boundary*0=b", b"bnd"),
            "continued-gap": (b"boundary*0=bnd; boundary*2=zzz", b"bnd"),
            "continued-doubled": (b"boundary*0=zz; boundary*0=b; boundary*1=nd", b"bnd"),
            "extended": (b"boundary*=us-ascii'en'b%6Ed", b"bnd"),
            "extended-bare": (b"boundary*=b%6Ed", b"bnd"),
            "plain-or-extended": (b"boundary=zzz; boundary*=us-ascii''bnd", b"bnd"),
            "extended-or-plain": (b"boundary=bnd; boundary*=us-ascii''zzz", b"bnd"),
            "percent": (b"boundary=b%6Ed", b"bnd"),
            "word": (b'boundary="=?us-ascii?q?bnd?="', b"bnd"),
            "word-kept": (b'boundary="=?us-ascii?q?bnd?="', b"=?us-ascii?q?bnd?="),
            "word-around": (b"=?us-ascii?q?boundary=3Dbnd?=", b"bnd"),
            "comment": (b"boundary=(a)bnd(b)", b"bnd"),
            "comment-kept": (b"boundary=bnd(b)", b"bnd(b)"),
            "comment-decoy": (b"(boundary=zzz) boundary=bnd", b"bnd"),
            "comment-hides": (b"(; boundary=bnd)", b"bnd"),
            "quotes-inside": (b'boundary=b"nd"', b"bnd"),
            "quotes-then-more": (b'boundary="b"nd', b"bnd"),
            "quotes-cut": (b'boundary="bnd"zzz', b"bnd"),
            "quote-unclosed": (b'boundary="bnd', b"bnd"),
            "quote-doubled": (b'boundary=""bnd""', b"bnd"),
            "quotes-single": (b"boundary='bnd'", b"bnd"),
            "quotes-single-kept": (b"boundary='bnd'", b"'bnd'"),
            "angles": (b"boundary=<bnd>", b"bnd"),
            "escapes": (b'boundary="\\b\\n\\d"', b"bnd"),
            "escapes-kept": (b'boundary="\\bnd"', b"\\bnd"),
            "decoy-in-quotes": (b'x="; boundary=zzz"; boundary=bnd', b"bnd"),
            "hidden-in-quotes": (b'x="; boundary=bnd"', b"bnd"),
            "hidden-in-unclosed": (b'x="; boundary=bnd', b"bnd"),
            "name-glued": (b"xboundary=bnd", b"bnd"),
            "name-spaced": (b"boundary = bnd", b"bnd"),
            "name-case": (b"BOUNDARY=bnd", b"bnd"),
            "fold-inside": (b'boundary="b\r\n nd"', b"b nd"),
            "fold-dropped": (b'boundary="b\r\n nd"', b"bnd"),
            "fold-before": (b"\r\n\tboundary=\r\n\t bnd", b"bnd"),
            "nul": (b"boundary=bnd\0zz", b"bnd"),
            "nul-dropped": (b"boundary=b\0nd", b"bnd"),
            "trailing-blank": (b'boundary="bnd "', b"bnd"),
            "leading-blank": (b'boundary=" bnd"', b"bnd"),
            "trailing-blank-kept": (b'boundary="bnd "', b"bnd "),
            "semicolon-inside": (b'boundary="b;nd"', b"b;nd"),
            "semicolon-cut": (b"boundary=bnd;zz", b"bnd"),
            "comma": (b"a=b, boundary=bnd", b"bnd"),
            "bad-parameter": (b"a b c; =; =x; boundary=bnd", b"bnd"),
            "many-parameters": (b"".join(b"a%d=b; " % n for n in range(40)) + b"boundary=bnd", b"bnd"),
            "bare-cr": (b"x=y;\rboundary=bnd", b"bnd"),
            "empty": (b'boundary=""', b""),
            "none": (b"charset=x", b"bnd"),
            "wrong": (b"boundary=zzz", b"bnd"),
            "case-differs": (b"boundary=BND", b"bnd"),
            "long": (b"boundary=" + b"L" * 300, b"L" * 300),
            "long-cut": (b"boundary=" + b"L" * 300, b"L" * 70),
            "high-bytes": (b'boundary="b\xe9nd"', b"b\xe9nd"),
        }.items()
    },
    **{
        f"type/{name}": _typed(value)
        for name, value in {
            "spaces": b"multipart / mixed ; boundary=bnd",
            "comments": b"(a)multipart(b)/(c)mixed(d); boundary=bnd",
            "comment-unclosed": b"multipart/mixed (a; boundary=bnd",
            "quoted": b'"multipart/mixed"; boundary=bnd',
            "no-subtype": b"multipart; boundary=bnd",
            "two-slashes": b"multipart/mixed/x; boundary=bnd",
            "nul": b"multi\0part/mixed; boundary=bnd",
            "no-semicolon": b"multipart/mixed boundary=bnd",
            "no-type": b"; boundary=bnd",
            "other-with-boundary": b"application/x-unknown; boundary=bnd",
            "word": b"=?us-ascii?q?multipart/mixed;_boundary=3Dbnd?=",
            "unknown-subtype": b"multipart/x-nothing; boundary=bnd",
            "list": b"text/plain, multipart/mixed; boundary=bnd",
            "fold-first": b"\r\n multipart/mixed;\r\n boundary=bnd",
            "blank-fold": b"multipart/mixed;\r\n \r\n boundary=bnd",
            "duplicate-first": b"multipart/mixed; boundary=bnd\r\nContent-Type: text/plain",
            "duplicate-last": b"text/plain\r\nContent-Type: multipart/mixed; boundary=bnd",
            "duplicate-middle": b"text/plain\r\nContent-Type: multipart/mixed; boundary=bnd\r\nContent-Type: text/html",
            "duplicate-boundaries": b"multipart/mixed; boundary=zz\r\nContent-Type: multipart/mixed; boundary=bnd",
        }.items()
    },
    "delimiter/indented": _lines(b"\r\n \t"),
    "delimiter/padded": _lines(b"\r\n", b" \t "),
    "delimiter/bare-cr": _lines(b"\r"),
    "delimiter/bare-lf": _lines(b"\n"),
    "delimiter/prefix": _lines(b"\r\n", b"zzz"),
    "delimiter/closing-prefix": _lines(b"\r\n", b"--zzz"),
    "delimiter/spaced-close": _lines(b"\r\n", b" --"),
    "delimiter/early-close": _lines(b"\r\n--bnd--\r\n"),
    "delimiter/no-close": _lines(close=b""),
    "delimiter/no-close-line": _lines(close=b"\r\n--bnd--"),
    "delimiter/twice": _lines(b"\r\n--bnd\r\n"),
    "delimiter/inner-unclosed": lambda inner: multipart(
        [multipart([TEXT, inner], b"in", close=b"").removesuffix(b"\r\n")], b"out"
    ),
    "preamble/part": lambda inner: multipart([TEXT]).replace(b"\r\n\r\n", b"\r\n\r\n" + inner + b"\r\n", 1),
    "preamble/other-boundary": lambda inner: multipart([TEXT]).replace(
        b"\r\n\r\n", b"\r\n\r\n--zz\r\n" + _typed_first(inner) + b"\r\n--zz--\r\n", 1
    ),
    "epilogue/part": lambda inner: multipart([TEXT]) + inner,
    "epilogue/part-then-close": lambda inner: multipart([TEXT]) + inner + b"\r\n--bnd--\r\n",
    "epilogue/close-upon-close": lambda inner: multipart([TEXT]) + b"--bnd--\r\n" + inner + b"\r\n--bnd--\r\n",
    "epilogue/other-boundary": lambda inner: multipart([TEXT]) + b"--zz\r\n" + _typed_first(inner) + b"\r\n--zz--\r\n",
    "nested/same-boundary": lambda inner: multipart([multipart([TEXT, inner])]),
    "nested/prefix-of-inner": lambda inner: multipart([TEXT, multipart([TEXT, inner], b"bnd-1")], b"bnd"),
    "nested/prefix-of-outer": lambda inner: multipart([TEXT, multipart([TEXT, inner], b"bnd")], b"bnd-1"),
    "nested/first-line-blank": lambda inner: multipart([TEXT, b"\r\n" + inner]),
    "digest": lambda inner: multipart([b"\r\n" + HEAD + inner], b"out", b"multipart/digest; boundary=out"),
    "digest/typed": lambda inner: multipart([inner], b"out", b"multipart/digest; boundary=out"),
    "composite/base64": _encoded(BASE64, base64_lines),
    "composite/quoted-printable": _encoded(QP, quoted_printable),
    "composite/uuencode": _encoded(b"Content-Transfer-Encoding: x-uuencode", uuencoded),
    "composite/odd-base64": _encoded(b"Content-Transfer-Encoding: base64;", lambda body: base64_lines(body) + b"===="),
    "message/plain": _enclosed(b"Content-Type: message/rfc822"),
    "message/base64": _enclosed(b"Content-Type: message/rfc822", base64_lines, BASE64),
    "message/quoted-printable": _enclosed(b"Content-Type: message/rfc822", quoted_printable, QP),
    "message/junk-base64": _enclosed(b"Content-Type: message/rfc822", lambda raw: base64_lines(raw) + b"!?", BASE64),
    "message/blank-first": _enclosed(b"Content-Type: message/rfc822", head=b"\r\n" + HEAD),
    "message/from-line": _enclosed(b"Content-Type: message/rfc822", head=b"From a@b\r\n" + HEAD),
    "message/bom": _enclosed(b"Content-Type: message/rfc822", head=b"\xef\xbb\xbf" + HEAD),
    "message/no-mime-version": _enclosed(b"Content-Type: message/rfc822", head=b"From: a@b.example\r\n"),
    "message/global": _enclosed(b"Content-Type: message/global"),
    "message/comment": _enclosed(b"Content-Type: message(a)/rfc822"),
    "message/no-subtype": _enclosed(b"Content-Type: message"),
    "message/octets": _enclosed(OCTETS, base64_lines, BASE64),
    "message/octets-unencoded": _enclosed(OCTETS),
    "message/text": _enclosed(b"Content-Type: text/plain"),
    "message/partial": _enclosed(b"Content-Type: message/partial; id=a; number=1; total=1"),
    "message/external": _enclosed(b"Content-Type: message/external-body; access-type=x"),
    "message/twice": lambda inner: _enclosed(b"Content-Type: message/rfc822", base64_lines, BASE64)(
        _enclosed(OCTETS, base64_lines, BASE64)(inner)
    ),
}


def _line_ends(end: bytes) -> Wrap:
    return lambda raw: raw.replace(b"\r\n", end)


def _in_header(change: Wrap) -> Wrap:
    """Only what stands in front of the first empty line is changed."""

    def wrap(raw: bytes) -> bytes:
        head, separator, body = raw.partition(b"\r\n\r\n")
        return change(head) + separator + body

    return wrap


MESSAGES: dict[str, Wrap] = {
    "plain": bytes,
    "no-mime-version": lambda raw: raw.replace(b"MIME-Version: 1.0\r\n", b"", 1),
    "odd-mime-version": lambda raw: raw.replace(b"MIME-Version: 1.0", b"MIME-Version: (a) 7", 1),
    "bom": lambda raw: b"\xef\xbb\xbf" + raw,
    "bom-first-is-type": lambda raw: b"\xef\xbb\xbf" + raw.removeprefix(HEAD),
    "type-first": lambda raw: raw.removeprefix(HEAD),
    "from-line": lambda raw: b"From a@b Mon Jan  1 00:00:00 2024\r\n" + raw,
    "quoted-from-line": lambda raw: b">From a@b Mon Jan  1 00:00:00 2024\r\n" + raw,
    "blank-first": lambda raw: b"\r\n" + raw,
    "blanks-first": lambda raw: b" \t\r\n\r\n" + raw,
    "lf": _line_ends(b"\n"),
    "cr": _line_ends(b"\r"),
    "doubled-cr": _line_ends(b"\r\r\n"),
    "lf-header": _in_header(_line_ends(b"\n")),
    "junk-line": lambda raw: raw.replace(b"MIME-Version", b"no field at all\r\nMIME-Version", 1),
    "spaced-field": lambda raw: raw.replace(b"MIME-Version", b"X-A : b\r\nMIME-Version", 1),
    "empty-name": lambda raw: raw.replace(b"MIME-Version", b": b\r\nMIME-Version", 1),
    "blank-fold": lambda raw: raw.replace(b"MIME-Version", b"X-A: b\r\n \r\n c\r\nMIME-Version", 1),
    "nul-line": lambda raw: raw.replace(b"MIME-Version", b"X-A: \0\r\nMIME-Version", 1),
    "many-fields": lambda raw: b"".join(b"X-%d: y\r\n" % number for number in range(500)) + raw,
    "no-final-line-end": lambda raw: raw.rstrip(b"\r\n"),
    "resent-type-spaced": lambda raw: raw.replace(b"Content-Type:", b"Content-Type :", 1),
    "type-leading-blank": lambda raw: raw.replace(b"Content-Type:", b" Content-Type:", 1),
}
