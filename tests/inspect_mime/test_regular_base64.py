"""The fast way through base64 must never differ from the careful one."""

from __future__ import annotations

import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.encodings import decode, regular_base64

JUNK = st.sampled_from([b"=", b"==", b"!", b"\r", b"\n", b"\r\n", b" ", b"A", b"\0", b"\xff"])


def lines(data: bytes, width: int, end: bytes = b"\r\n") -> bytes:
    letters = pybase64.b64encode(data)
    return b"\r\n".join(letters[at : at + width] for at in range(0, len(letters), width)) + end


@pytest.mark.parametrize("size", [30, 57, 58, 59, 114, 5000])
@pytest.mark.parametrize("width", [60, 64, 76])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_what_programs_write_is_taken(size: int, width: int, end: bytes) -> None:
    data = bytes(value % 256 for value in range(size))
    encoded = lines(data, width, end)
    if b"\r\n" in encoded.rstrip():
        assert regular_base64(encoded, 0, len(encoded)) == data


@pytest.mark.parametrize("encoded", [b"AAAAAAAA\r\nAAA=====", b"AAAAAAAA\r\nAA======"])
def test_more_padding_than_there_can_be_is_not(encoded: bytes) -> None:
    assert regular_base64(encoded, 0, len(encoded)) is None


@given(
    st.binary(max_size=300),
    st.sampled_from([4, 8, 60, 76]),
    st.lists(st.tuples(st.integers(0, 450), JUNK)),
    st.booleans(),
)
def test_whatever_it_takes_has_one_reading_and_no_defect(
    data: bytes, width: int, changes: list[tuple[int, bytes]], inserted: bool
) -> None:
    encoded = lines(data, width)
    for at, junk in changes:
        encoded = encoded[:at] + junk + encoded[at if inserted else at + len(junk) :]
    taken = regular_base64(b"QQ==\r\n" + encoded + b"\r\n--", 6, 6 + len(encoded))
    assert taken is None or decode("base64", encoded) == ([("", taken)], set())
