from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge.lines import BadLine, LineBuffer


def take_all(data: bytes, size: int, limit: int = 64) -> list[bytes | BadLine]:
    lines, taken = LineBuffer(), []
    for start in range(0, len(data), size):
        lines.feed(data[start : start + size])
        while (line := lines.take(limit)) is not None:
            taken.append(line)
    return taken


@given(st.lists(st.binary(max_size=20).filter(lambda b: not set(b) & {0, 10, 13}), max_size=8), st.integers(1, 50))
def test_good_lines_come_out_as_they_are(lines: list[bytes], size: int) -> None:
    assert take_all(b"".join(line + b"\r\n" for line in lines), size) == lines


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NO\0OP\r\n", b"NOOP\r\r\n", b"\n"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_bare_line_ends_and_nul_are_told(line: bytes, size: int) -> None:
    assert take_all(line + b"QUIT\r\n", size) == [BadLine.BAD_BYTES, b"QUIT"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_long_line_is_told_once_and_swallowed_whole(size: int) -> None:
    assert take_all(b"x" * 500 + b"\r\nNOOP\r\n", size) == [BadLine.TOO_LONG, b"NOOP"]


def test_a_line_of_exactly_the_limit_is_taken() -> None:
    assert take_all(b"x" * 62 + b"\r\n", 100) == [b"x" * 62]
    assert take_all(b"x" * 63 + b"\r\n", 100) == [BadLine.TOO_LONG]


def test_an_endless_line_takes_no_memory() -> None:
    lines = LineBuffer()
    for _ in range(100):
        lines.feed(b"x" * 1000)
        assert lines.take(64) is None
    assert len(lines) == 0


def test_nothing_is_a_line_without_its_end() -> None:
    lines = LineBuffer()
    lines.feed(b"EHLO client.example\rNOOP\r")
    assert lines.take() is None
    assert lines.take_all() == b"EHLO client.example\rNOOP\r"
