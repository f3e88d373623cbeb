"""Which 7-Zip archives clamd unpacks whole, and headers that lie."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect import sevenzip


def archive(header: bytes, packed: bytes = b"x") -> bytes:
    return sevenzip.MAGIC + b"\0\4\0\0\0\0" + struct.pack("<QQ", len(packed), len(header)) + b"\0" * 4 + packed + header


def one_folder(coders: bytes) -> bytes:
    """One packed stream of one octet, and a folder of these coders."""
    return b"\1\4\6\0\1\x09\1\0" + b"\7\x0b\1\0" + coders + b"\0\0"


@pytest.mark.parametrize(
    ("coders", "is_scanned"),
    [(b"\1\1\0", True), (b"\1\1\x21", True), (b"\1\3\4\1\x08", False), (b"\1\3\4\2\2", False)],
    ids=["copy", "LZMA2", "deflate", "BZip2"],
)
def test_the_methods_that_clamd_knows(coders: bytes, is_scanned: bool) -> None:
    assert sevenzip.is_scanned(archive(one_folder(coders))) is is_scanned


def test_a_folder_of_countless_coders_is_not_read() -> None:
    countless = b"\xff" + b"\xff" * 8
    assert not sevenzip.is_scanned(archive(one_folder(countless + b"\0" * 20_000_000)))


@given(st.binary(max_size=200))
def test_no_header_breaks_it(header: bytes) -> None:
    for data in (archive(header), archive(b"\1\4" + header), sevenzip.MAGIC + header):
        assert sevenzip.is_scanned(data) in (True, False)


def test_a_packed_header_can_not_ask_for_any_memory() -> None:
    properties = b"\x5d" + struct.pack("<I", 0xFFFFFFFF)
    streams = b"\6\0\1\x09\1\0" + b"\7\x0b\1\0" + b"\1" + bytes((0x23,)) + b"\3\1\1\x05" + properties
    assert not sevenzip.is_scanned(archive(b"\x17" + streams))
