"""End of data, dot stuffing, bare line ends: however the bytes are cut into reads."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge.data import ByteCheck, ChunkReceiver, DataReceiver, with_crlf

PIECES = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"..", b"\r", b"\n", b"\0", b"\r\n.", b"text"]), max_size=30)


def receive(data: bytes, cuts: list[int], is_own: bool = False) -> tuple[bytes, bytes | None, bool]:
    got: list[bytes] = []
    receiver = DataReceiver(got.append, is_own)
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    rest = None
    for start, end in itertools.pairwise(edges):
        if rest is not None:
            rest += data[start:end]
        elif end > start:
            rest = receiver.feed(data[start:end])
    return b"".join(got), rest, receiver.is_bad


def oracle(data: bytes) -> tuple[bytes, bytes | None]:
    """Byte by byte, after RFC 5321 section 4.5.2."""
    padded = b"\r\n" + data
    end = padded.find(b"\r\n.\r\n")
    text = padded if end < 0 else padded[: end + 2]
    return text.replace(b"\r\n.", b"\r\n")[2:], None if end < 0 else padded[end + 5 :]


@given(PIECES, st.lists(st.integers(0, 80), max_size=12))
def test_reads_may_be_cut_anywhere(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces) + b"\r\n.\r\nNOOP\r\n"
    text, rest, is_bad = receive(data, cuts)
    wanted, wanted_rest = oracle(data)
    assert (text, rest) == (wanted, wanted_rest)
    stripped = wanted.replace(b"\r\n", b"")
    assert is_bad == any(byte in stripped for byte in (b"\r", b"\n", b"\0"))


@pytest.mark.parametrize(
    "false_end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r\n",
        b"\r.\r",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\n.\r",
        b"\r.\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
    ],
)
def test_a_false_end_of_data_is_text_and_makes_the_message_bad(false_end: bytes) -> None:
    text, rest, is_bad = receive(b"a" + false_end + b"MAIL FROM:<x@y.example>\r\n.\r\n", [])
    assert rest == b""
    assert b"MAIL FROM" in text
    assert is_bad


@given(PIECES, st.lists(st.integers(0, 80), max_size=12))
def test_line_ends_are_mended_the_same_however_reads_are_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces) + b"\r\n.\r\nNOOP\r\n"
    text, rest, is_bad = receive(data, cuts, is_own=True)
    padded = b"\r\n" + data
    end = padded.find(b"\r\n.\r\n")
    lines = padded[2 : end + 2].replace(b"\r\n", b"\n").split(b"\n")
    wanted = b"\r\n".join(line.removeprefix(b".") for line in lines)
    assert rest == padded[end + 5 :]
    assert is_bad == (b"\r" in wanted.replace(b"\r\n", b"") or b"\0" in wanted or b"\r" in b"".join(lines))
    if not is_bad:
        assert text == wanted


def test_a_mended_false_end_is_text() -> None:
    text, rest, is_bad = receive(b"a\n.\nMAIL FROM:<x@y.example>\n..b\r\n.\r\n", [], is_own=True)
    assert (text, rest, is_bad) == (b"a\r\n\r\nMAIL FROM:<x@y.example>\r\n.b\r\n", b"", False)


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a"]), max_size=20), st.integers(0, 20))
def test_bare_line_feeds_become_line_ends(pieces: list[bytes], cut: int) -> None:
    data = b"".join(pieces)
    first, second = data[:cut], data[cut:]
    made = with_crlf(first, False) + with_crlf(second, first.endswith(b"\r"))
    assert made == data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("line", [b"\r\n. \r\n", b"\r\n .\r\n", b"\x85.\x85", b"\x1c.\x1c", "\u0085.\u0085".encode()])
def test_other_look_alikes_are_plain_text(line: bytes) -> None:
    text, rest, is_bad = receive(b"a" + line + b"b\r\n.\r\n", [])
    assert (rest, is_bad) == (b"", False)
    assert text.endswith(b"b\r\n")


def test_stuffed_dots_are_unstuffed_once() -> None:
    assert receive(b"..\r\n.x\r\n...\r\n.\r\n", [])[0] == b".\r\nx\r\n..\r\n"


def test_the_empty_message() -> None:
    assert receive(b".\r\n", []) == (b"", b"", False)


def test_received_counts_unstuffed_bytes() -> None:
    receiver = DataReceiver(lambda data: None)
    receiver.feed(b"..a\r\n.\r\n")
    assert receiver.received == 4


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6), st.binary(max_size=5))
def test_chunks_end_by_count(body: bytes, cuts: list[int], after: bytes) -> None:
    if not body:
        return
    got: list[bytes] = []
    receiver = ChunkReceiver(len(body), got.append, ByteCheck())
    data = body + after
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts if cut}), len(data)]
    rest: bytes | None = None
    for start, end in itertools.pairwise(edges):
        if rest is not None:
            rest += data[start:end]
        elif end > start:
            rest = receiver.feed(data[start:end])
    assert (b"".join(got), rest) == (body, after)


def test_a_line_end_may_span_two_chunks() -> None:
    check = ByteCheck()
    check.check(b"a\r")
    check.check(b"\nb\r\n")
    check.end()
    assert not check.is_bad


def test_a_return_at_the_very_end_is_bare() -> None:
    check = ByteCheck()
    check.check(b"a\r")
    assert not check.is_bad
    check.end()
    assert check.is_bad
