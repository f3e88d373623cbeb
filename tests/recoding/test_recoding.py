"""What is decoded after recoding is what was there before, and nothing else has changed."""

from __future__ import annotations

import base64
import quopri
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailgate.inspect.mime import views
from mailgate.recoding.encoders import Base64, Encoder, QuotedPrintable
from mailgate.recoding.entity import NotConvertibleError
from mailgate.recoding.plan import Aim
from tests.e2e.test_published_mail import for_the_wire, is_forbidden_on_the_wire, ordinary
from tests.recoding.recoding import SEVEN_BIT, SHORT_LINES, bodies_of, edits_of, recode, seen

GRUSS = "Grüße aus Köln".encode()


def mail(body: bytes, *fields: bytes, mime: bool = True) -> bytes:
    head = [b"From: a@b.example", b"Subject: x", *([b"MIME-Version: 1.0"] if mime else []), *fields]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def multipart(*parts: bytes, kind: bytes = b"mixed", more: bytes = b"") -> bytes:
    body = b"".join(b"--=_b\r\n" + part + b"\r\n" for part in parts) + b"--=_b--\r\n"
    return mail(body, b'Content-Type: multipart/%s; boundary="=_b"%s' % (kind, more))


def encoded(encoder: Encoder, data: bytes, size: int) -> bytes:
    return b"".join(encoder.feed(data[at : at + size]) for at in range(0, len(data), size)) + encoder.end()


TEXT = st.lists(
    st.sampled_from(
        [b"\r\n", b" ", b"\t", b"=", b"=3D", b"--", b"-" * 80, b".", b"From ", b"x" * 75, b"a" * 1000, b"\x07", GRUSS]
    )
    | st.binary(min_size=1, max_size=90).map(lambda data: data.translate(None, b"\r\n\0")),
    max_size=40,
).map(b"".join)


@given(TEXT, st.integers(1, 300))
@example(b"a" * 70_000 + b"--" + b"b" * 70_000, 65_536)
@example(b"-" * 200_000, 65_536)
@example(b"\xfc" * 76 + b" ", 5)
def test_quoted_printable_gives_the_same_text_again(text: bytes, size: int) -> None:
    written = encoded(QuotedPrintable(), text, size)
    assert quopri.decodestring(written) == text
    assert written.isascii()
    lines, given_lines = written.split(b"\r\n"), set(text.split(b"\r\n"))
    assert all(len(line) <= 76 and not line.endswith((b" ", b"\t")) for line in lines)
    assert all(line in given_lines for line in lines if line.startswith(b"--"))


@given(st.binary(max_size=500), st.integers(1, 100))
def test_base64_gives_the_same_bytes_again(data: bytes, size: int) -> None:
    written = encoded(Base64(), data, size)
    assert base64.b64decode(written) == data
    assert all(len(line) <= 76 for line in written.split(b"\r\n"))
    assert written.endswith(b"\r\n") is data.endswith(b"\r\n")


_ENCODINGS = st.sampled_from([b"", b"7bit", b"8bit", b"binary", b"8BIT ", b"quoted-printable", b"base64"])
_TYPES = st.sampled_from([b"", b"text/plain; charset=utf-8", b"text/html", b"image/png", b"application/x-y; name=z"])


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    encoding, kind, text = draw(_ENCODINGS), draw(_TYPES), draw(TEXT)
    if encoding == b"base64":
        text = base64.b64encode(text) if draw(st.booleans()) else base64.encodebytes(text).replace(b"\n", b"\r\n")
    elif encoding == b"quoted-printable":
        text = b"".join(b"=%02X" % byte if byte in b"=\t\x07" else bytes([byte]) for byte in text)
    head = b"".join(
        name + b": " + value + b"\r\n"
        for name, value in ((b"Content-Type", kind), (b"Content-Transfer-Encoding", encoding))
        if value
    )
    return head + b"\r\n" + text.replace(b"=_b", b"")


@st.composite
def entities(draw: st.DrawFn, depth: int = 0) -> bytes:
    form = draw(st.sampled_from(["leaf", "leaf", "multipart", "message"])) if depth < 3 else "leaf"
    if form == "leaf":
        return draw(leaves())
    if form == "message":
        return b"Content-Type: message/rfc822\r\n\r\nSubject: inside\r\n" + draw(entities(depth + 1))
    boundary = draw(st.sampled_from([b"=_b", b"=_b2", b"x--y", b"(weird) ?"])) + b"%d" % depth
    parts = draw(st.lists(entities(depth + 1), min_size=1, max_size=3))
    encoding = draw(st.sampled_from([b"", b"Content-Transfer-Encoding: 8bit\r\n"]))
    preamble = draw(st.sampled_from([b"", b"preamble\r\n", GRUSS + b"\r\n"]))
    body = preamble + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return b'Content-Type: multipart/mixed;\r\n boundary="%s"\r\n%s\r\n%s--%s--\r\n' % (
        boundary,
        encoding,
        body,
        boundary,
    )


@settings(max_examples=400)
@given(entities(), st.sampled_from([SEVEN_BIT, SHORT_LINES, Aim(True, True)]), st.integers(1, 400), st.booleans())
def test_every_part_says_what_it_said(entity: bytes, aim: Aim, piece: int, mime: bool) -> None:
    message = b"From: a@b.example\r\n" + (b"MIME-Version: 1.0\r\n" if mime else b"") + entity
    try:
        result = recode(message, aim, piece)
    except NotConvertibleError:
        return
    assert [text for _, text in seen(result)] == [text for _, text in seen(message)]
    assert [kind for kind, _ in seen(result)] == [kind for kind, _ in seen(message)]
    strict = {part.data for part in views(message).parts if part.is_strict}
    assert strict <= {part.data for part in views(result).parts}
    for body in bodies_of(result):
        assert not aim.seven_bit or body.isascii()
        assert not aim.short_lines or all(len(line) <= 998 for line in body.split(b"\r\n"))
    assert edits_of(result, aim) == ()


def test_what_needs_nothing_stays_as_it_is() -> None:
    for message in (
        mail(b"ascii\r\n"),
        multipart(b"\r\nascii"),
        mail(b"", b"Subject: " + GRUSS),
        b"",
        b"\r\n",
        b"\r\n\r\nx",
    ):
        assert edits_of(message, Aim(True, True)) == (), message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            mail(
                GRUSS + b"\r\n",
                b"Content-Type: text/plain; charset=utf-8",
                b"Content-Transfer-Encoding: 8bit",
                b"X-Y: z",
            ),
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nX-Y: z\r\n\r\n"
            b"Gr=C3=BC=C3=9Fe aus K=C3=B6ln\r\n",
        ),
        (
            mail(b"\xfc\xff\r\n", b"content-type: image/png", b"content-transfer-encoding: BINARY"),
            b"content-type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n/P8NCg==\r\n",
        ),
        (
            mail(GRUSS + b"\r\n", mime=False),
            b"Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr=C3=BC=C3=9Fe aus K=C3=B6ln\r\n",
        ),
        (mail(b"gr\xfcn\r\n", mime=False), b"charset=unknown-8bit\r\n\r\ngr=FCn\r\n"),
        (
            multipart(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3D \xfc"),
            b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3D =FC\r\n--=_b--\r\n",
        ),
    ],
)
def test_eight_bit_parts(message: bytes, expected: bytes) -> None:
    assert expected in recode(message, SEVEN_BIT)


def test_a_signed_part_beside_an_8_bit_one_is_not_touched() -> None:
    signed = b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nascii\r\n--s\r\n\r\nsig\r\n--s--"
    result = recode(multipart(b"\r\n" + GRUSS, signed), SEVEN_BIT)
    assert signed in result
    assert b"Gr=C3=BC" in result


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (multipart(b"\r\n" + GRUSS, b"Content-Type: application/x-y\r\n\r\nx", kind=b"signed"), "it is signed"),
        (multipart(b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\xfc\r\n--s--"), "it is signed"),
        (multipart(b"Content-Type: message/partial; id=x; number=1\r\n\r\n\xfc"), "message/partial"),
        (multipart(b"Content-Type: message/delivery-status\r\n\r\n\xfc"), "message/delivery-status"),
        (mail(b"\xfc", b"Content-Type: text/plain", b"Content-Type: text/html"), "two Content-Type"),
        (mail(b"\xfc", b"Content-Type: multipart/mixed"), "where its parts begin"),
        (mail(b"\xfc", b"Content-Type: multipart/mixed; boundary=a; boundary=b"), "where its parts begin"),
        (mail(b"\xfc", b"Content-Type: multipart/mixed; boundary=a"), "has no parts"),
        (mail(b"--a\r\n\r\n\xfc\r\n", b"Content-Type: multipart/mixed; boundary=a"), "has no end"),
        (mail(b"--a b\r\n\r\n\xfc", b'Content-Type: multipart/mixed; boundary="a\r\n b"'), "where its parts begin"),
        (mail(b"\xfc", b"Content-Type: multipart/mixed; (comment) boundary=a"), "can't be read"),
        (mail(b"\xfc", b"Content-Transfer-Encoding: base64"), "not encoded as"),
        (mail(b"=\xfc", b"Content-Transfer-Encoding: quoted-printable"), "not encoded as"),
        (mail(b"\xfc", b"Content-Transfer-Encoding: x-uuencode"), "not encoded as"),
        (b"From a Mon Nov 30\r\nSubject: x\r\n\r\n\xfc", "no field"),
        (multipart(GRUSS), "no field"),
    ],
)  # fmt: skip
def test_what_can_not_be_converted(message: bytes, why: str) -> None:
    with pytest.raises(NotConvertibleError, match=why):
        recode(message, SEVEN_BIT)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"Content-Type: message/rfc822\r\n\r\n" * 10_000 + b"\xfc", "too many parts"),
        (mail(b"--b\r\n" * 20_000 + b"\xfc", b"Content-Type: multipart/mixed; boundary=b"), "too many parts"),
        (mail(b"\xfc", *[b"X: y"] * 20_000), "too many lines"),
        (mail(b"\xfc", b"X: " + b"y" * 600_000), "has no end"),
        (mail(b"\xfc", b"Content-Type: text/plain" + b";" * 20_000), "can't be read"),
    ],
)
def test_what_would_take_too_long(message: bytes, why: str) -> None:
    with pytest.raises(NotConvertibleError, match=why):
        recode(message, SEVEN_BIT)


LONG = b"y" * 5_000


@pytest.mark.parametrize(
    "message",
    [
        mail(LONG + b"\r\n"),
        mail(b"<p>" + LONG, b"Content-Type: text/html", b"Content-Transfer-Encoding: 7bit"),
        mail(base64.b64encode(LONG) + b"\r\n", b"Content-Type: image/png", b"Content-Transfer-Encoding: base64"),
        mail(b"=3D" * 700, b"Content-Transfer-Encoding: quoted-printable"),
        multipart(b"\r\nshort", b"Content-Type: application/json\r\n\r\n" + LONG),
        mail(b"short\r\n", b"References: " + b" ".join(b"<%040d@x.example>" % n for n in range(200))),
        mail(LONG, b"To: " + b"a@b.example, " * 100 + b"c@d.example"),
    ],
)
def test_long_lines(message: bytes) -> None:
    result = recode(message, SHORT_LINES)
    assert all(len(line) <= 998 for line in result.split(b"\r\n"))
    assert seen(result) == seen(message)
    unfolded = result.replace(b"\r\n ", b" ")
    head = message.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert all(field in unfolded for field in head if b"Encoding" not in field)


@pytest.mark.parametrize(
    "message",
    [
        mail(b"x", b"Subject: " + LONG),
        mail(b"x", b"X: a " + LONG + b" b"),
        multipart(b"\r\n" + LONG, kind=b"signed"),
        mail(LONG + b"\r\n--b\r\n\r\nx\r\n--b--\r\n", b"Content-Type: multipart/mixed; boundary=b"),
    ],
)
def test_long_lines_that_must_stay(message: bytes) -> None:
    with pytest.raises(NotConvertibleError):
        recode(message, SHORT_LINES)


@pytest.mark.component("shared")
def test_published_mail_with_octets_and_lines_put_in() -> None:
    """Wherever the octets or lines land: the same decoded contents, or left alone."""
    chance = random.Random(6152)
    done = 0
    for path in ordinary():
        message = for_the_wire(path.read_bytes())
        if is_forbidden_on_the_wire(message):
            continue
        for aim, insert in ((SEVEN_BIT, GRUSS), (SHORT_LINES, LONG), (SEVEN_BIT, b"\xff")):
            at = chance.randrange(len(message) + 1)
            at -= message[at - 1 : at + 1] == b"\r\n"
            mutant = message[:at] + insert + message[at:]
            try:
                result = recode(mutant, aim, chance.randrange(1, 5_000))
            except NotConvertibleError:
                continue
            done += result != mutant
            assert [text for _, text in seen(result)] == [text for _, text in seen(mutant)], path
            assert edits_of(result, aim) == (), path
    print(f"{done} messages recoded")
    assert done > 80
