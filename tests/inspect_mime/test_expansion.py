"""Compressed data within a budget: whole, cut and broken."""

from __future__ import annotations

import bz2
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.expansion import Format, bzip2, expanded, zlib_format
from mailgate.inspect.members import Budget, LimitExceededError

CONTENT = b"".join(b"%d, " % (number * number) for number in range(3000))
FORMATS = [(zlib_format, zlib.compress(CONTENT)), (bzip2, bz2.compress(CONTENT))]


@pytest.mark.parametrize(("form", "packed"), FORMATS)
def test_what_stands_behind_the_end_is_not_looked_at(form: Format, packed: bytes) -> None:
    assert expanded(form, packed + b"more", Budget()) == CONTENT


@given(st.sampled_from(FORMATS), st.data())
def test_a_broken_stream_yields_what_stands_in_front_of_the_fault(
    case: tuple[Format, bytes], data: st.DataObject
) -> None:
    form, packed = case
    good = data.draw(st.integers(0, len(packed)))
    found = expanded(form, packed[:good] + data.draw(st.binary(max_size=20)), Budget())
    whole = form()
    assert found.startswith(whole.decompress(packed[:good]))


def test_a_fault_in_a_long_stream_costs_nothing_of_what_came_before() -> None:
    packed = zlib.compress(CONTENT)
    assert expanded(zlib_format, packed[:-4] + b"\xff\xff\xff\xff", Budget()) == CONTENT


@pytest.mark.parametrize(("form", "packed"), FORMATS)
def test_the_budget_ends_it(form: Format, packed: bytes) -> None:
    with pytest.raises(LimitExceededError):
        expanded(form, packed, Budget(data=260 << 10))
    budget = Budget(data=1 << 20)
    with pytest.raises(LimitExceededError):
        [expanded(form, b"", budget) for _ in range(5)]
