"""Files that are written over hold exactly their new content; files that someone may still read are never touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.memory_files import MemoryFiles

SIZES = st.sampled_from([0, 1, 100, 4095, 4096, 4097, 70_000])


@pytest.fixture
def files() -> Iterator[MemoryFiles]:
    made = MemoryFiles()
    yield made
    made.close()


def content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size + 1, 0)


def received(descriptor: int) -> int:
    """The descriptor as another process gets it: another number for the same file."""
    return os.dup(descriptor)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@given(st.lists(st.lists(SIZES, max_size=7), max_size=5))
def test_every_file_holds_exactly_its_content(batches: list[list[int]]) -> None:
    files = MemoryFiles()
    number = 0
    for batch in batches:
        for size in batch:
            number += 1
            wanted = bytes([number % 256]) * size
            assert content(files.file((wanted[: size // 3], memoryview(wanted)[size // 3 :]))) == wanted
        files.keep()
    files.close()


def test_no_file_of_a_batch_is_touched_before_its_end(files: MemoryFiles) -> None:
    held = [received(files.file((b"%d" % number,))) for number in range(20)]
    assert [content(descriptor) for descriptor in held] == [b"%d" % number for number in range(20)]
    for descriptor in held:
        os.close(descriptor)


def test_what_is_given_up_is_never_written_over(files: MemoryFiles) -> None:
    """A scanner that hung may still read it, and would remember the new content's verdict for the old."""
    held = received(files.file((b"before",)))
    files.close()
    files.file((b"after",))
    assert content(held) == b"before"
    os.close(held)


def test_a_large_file_is_not_kept_whole(files: MemoryFiles) -> None:
    descriptor = files.file((bytes(20 << 20),))
    files.keep()
    assert os.fstat(descriptor).st_size == 8 << 20
    assert content(files.file((b"small",))) == b"small"
    large = os.urandom(1000) * 9000
    files.keep()
    assert content(files.file((large,))) == large


def test_more_pieces_than_the_kernel_takes_at_once(files: MemoryFiles) -> None:
    pieces = tuple(b"%d," % number for number in range(3000))
    assert content(files.file(pieces)) == b"".join(pieces)


def test_descriptors_do_not_add_up(files: MemoryFiles) -> None:
    before = descriptors()
    for _ in range(3):
        for number in range(50):
            files.file((b"%d" % number,))
        files.keep()
    assert descriptors() <= before + 4
