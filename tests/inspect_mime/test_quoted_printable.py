"""Whatever some decoder makes of malformed quoted-printable data is in the union."""

from __future__ import annotations

import binascii
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.mime import ParseLimits, views
from mailgate.inspect.quoted_printable import quoted_printable
from tests.inspect_mime.messages_of_parts import PAYLOAD

GOOD = b"".join(b"=%02X" % octet for octet in PAYLOAD)
HALF = len(GOOD) // 2 // 3 * 3


def contents(data: bytes) -> set[bytes]:
    return {decoded for _, decoded in quoted_printable(data)[0]}


ODD = {
    "second-header": b"X-Mailer: a\r\nX-B: c\r\n d\r\n\r\n" + GOOD,
    "second-header/lf": b"X-Mailer: a\n\n" + GOOD,
    "nul-inside": GOOD[: HALF + 2] + b"\0" + GOOD[HALF + 2 :],
    "control-between": GOOD[:HALF] + b"\x01" + GOOD[HALF:],
    "eight-bit-between": GOOD[:HALF] + b"\xa0\xff" + GOOD[HALF:],
    "eight-bit-inside": GOOD[: HALF + 1] + b"\xa0" + GOOD[HALF + 1 :],
    "escape-dropped": GOOD[:HALF] + b"=" + GOOD[HALF:],
    "escape-dropped-with-one": GOOD[:HALF] + b"=Z" + GOOD[HALF:],
    "escape-dropped-with-two": GOOD[:HALF] + b"=ZZ" + GOOD[HALF:],
    "escape-ends-it": GOOD + b"=ZZ and more",
    "blank-inside": GOOD[: HALF + 1] + b" " + GOOD[HALF + 1 :],
    "soft/blanks": GOOD[:HALF] + b"= \t\r\n" + GOOD[HALF:],
    "soft/cr": GOOD[:HALF] + b"=\r" + GOOD[HALF:],
    "soft/cr-cr-lf": GOOD[:HALF] + b"=\r\r\n" + GOOD[HALF:],
    "soft/nul": GOOD[:HALF] + b"=\0\r\n" + GOOD[HALF:],
    "soft/vertical": GOOD[:HALF] + b"=\x0b\r\n" + GOOD[HALF:],
    "soft/end": GOOD + b"=",
    "small": GOOD.lower(),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_some_decoder_reads_is_read(kind: str) -> None:
    assert PAYLOAD in contents(ODD[kind])


@pytest.mark.parametrize("kind", ODD)
def test_the_part_is_in_the_union(kind: str) -> None:
    head = b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
    field = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    found = views(head + field + ODD[kind], ParseLimits())
    assert PAYLOAD in {part.data for part in found.parts}


def test_data_that_small_letters_hide_are_read_as_capitals_only() -> None:
    assert b"=4da" in contents(b"=4da")


@pytest.mark.parametrize(
    "data",
    [
        b"Sch=C3=B6ne Gr=C3=BC=C3=9Fe=\r\n aus M=C3=BCnchen\r\n",
        b"plain text\r\n\r\nof two paragraphs\r\n",
        b"Ort: M=C3=BCnchen\r\nZeit: 10:00\r\n\r\nBis dann\r\n",
    ],
)
def test_honest_data_have_no_defect(data: bytes) -> None:
    readings, defects = quoted_printable(data)
    assert not defects
    assert readings[0] == ("", binascii.a2b_qp(data))


@given(st.binary(max_size=200))
def test_any_data_have_a_strict_reading_first(data: bytes) -> None:
    readings, defects = quoted_printable(data)
    assert readings[0] == ("", binascii.a2b_qp(data))
    assert len({decoded for _, decoded in readings}) == len(readings)
    assert defects <= {"quoted-printable-malformed"}


@pytest.mark.parametrize("unit", [b"=", b"= ", b"=\r", b"=4", b"a:\r\n", b" \t", b"\0=", b"=\x0b", b"\x80"])
def test_time_is_in_proportion_to_the_data(unit: bytes) -> None:
    def cost(size: int) -> float:
        data = unit * (size // len(unit))
        began = time.process_time()
        quoted_printable(data)
        return time.process_time() - began

    small = min(cost(1 << 16) for _ in range(3))
    assert cost(1 << 19) < 40 * small + 0.05
