"""The fast way through a header must never differ from the careful one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.headers import Header, line_by_line, read_header
from mailgate.inspect.parts import ParseLimits

LIMITS = ParseLimits()
FIELDS = st.sampled_from(
    [
        b"From: a@sender.example",
        b"Content-Type: multipart/mixed;\r\n boundary=b",
        b"content-type:text/plain",
        b"CONTENT-TRANSFER-ENCODING: base64",
        b"Content-Disposition: attachment;\r\n\tfilename=a.txt;\r\n size=1",
        b"Content-Type:",
        b"MIME-Version: 1.0 (x)",
        b"Received: from a\r\n by b;\r\n today",
        b"DKIM-Signature: h=from:\r\n content-type:\r\n Content-Type: text/html",
        b"Content-Id : <a>",
        b"From a@sender.example",
        b"no field",
        b": nameless",
        b"X:\r\n ",
        b"X:\r\n \t",
        b" Content-Type: text/html",
    ]
)
ENDS = st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n", b"\0\r\n", b"\r\n\r\n", b""])
HEADERS = st.lists(st.tuples(FIELDS, ENDS)).map(lambda lines: b"".join(map(b"".join, lines)))


def facts(header: Header) -> tuple[object, ...]:
    """What a reader of the header can ask: positions only tell in front of which starts a field stands."""
    fields = [(f.name, f.value, [f.position < start for start in header.body_starts]) for f in header.fields]
    return fields, header.body_starts, header.defects, header.is_truncated


@given(
    HEADERS, st.sampled_from([b"", b"\xef\xbb\xbf", b"x\r\n"]), st.sampled_from([b"\r\n", b"\r\nbody: text\r\n", b""])
)
def test_both_ways_read_the_same(header: bytes, before: bytes, after: bytes) -> None:
    data = before + header + after
    for cr_ends_line in (True, False):
        fast, slow = (
            read(data, len(before), len(data), LIMITS, cr_ends_line=cr_ends_line)
            for read in (read_header, line_by_line)
        )
        assert facts(fast) == facts(slow)


@given(HEADERS, st.integers(0, 120), st.integers(0, 120), st.integers(0, 8))
def test_both_ways_end_at_the_same_limits(header: bytes, end: int, most: int, lines: int) -> None:
    data = header + b"\r\nbody"
    limits = ParseLimits(header_bytes=most, header_lines=lines)
    end = min(end, len(data))
    assert facts(read_header(data, 0, end, limits)) == facts(line_by_line(data, 0, end, limits))


@pytest.mark.parametrize("size", [10, 6000])
def test_a_header_as_programs_write_it_is_read_whole(size: int) -> None:
    lines = b"".join(b"X-Line: %d\r\n\tand on\r\n" % number for number in range(size))
    data = lines + b"Content-Type: text/plain;\r\n charset=utf-8\r\n\r\nbody\r\n"
    header = read_header(data, 0, len(data), LIMITS)
    is_cut = size > 100
    assert header.is_truncated is is_cut
    types = [] if is_cut else [b" text/plain;\r\n charset=utf-8"]
    assert header.values(len(data)).get(b"content-type", []) == types
    assert re.match(rb"body", data[header.body_starts[0] :]) or is_cut
