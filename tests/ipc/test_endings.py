"""How inspectors ended, in memory that the supervisor writes and the edges read."""

from __future__ import annotations

import mmap
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.ipc.endings import Ending, Endings

SIGNALS = st.sampled_from([-number for number in signal.Signals])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 255) | SIGNALS), max_size=20))
def test_readers_see_how_many_have_ended_and_how_the_last_one_did(told: list[tuple[int, int]]) -> None:
    written = Endings.make(4)
    read = Endings(written.descriptor)
    for inspector, status in told:
        written.ended(inspector, status)
    for inspector in range(4):
        own = [status for number, status in told if number == inspector]
        if own:
            assert read.last(inspector) == Ending(len(own), own[-1])
        else:
            assert read.last(inspector).count == 0
    os.close(written.descriptor)


@pytest.mark.parametrize(
    ("status", "is_by_its_message"),
    [
        (-signal.SIGPROF, True),
        (-signal.SIGALRM, True),
        (-signal.SIGSEGV, True),
        (-signal.SIGBUS, True),
        (-signal.SIGSYS, True),
        (-signal.SIGABRT, True),
        (1, True),
        (-signal.SIGKILL, False),
        (-signal.SIGTERM, False),
        (-signal.SIGINT, False),
        (0, False),
        (os.EX_TEMPFAIL, False),
    ],
)
def test_who_was_killed_from_outside_did_not_die_of_its_message(status: int, is_by_its_message: bool) -> None:
    assert Ending(1, status).is_by_its_message is is_by_its_message


def test_who_reads_can_neither_write_nor_map_for_writing() -> None:
    written = Endings.make(1)
    with pytest.raises(PermissionError):
        os.pwrite(written.descriptor, b"\0" * 8, 0)
    with pytest.raises(PermissionError):
        mmap.mmap(written.descriptor, 0, access=mmap.ACCESS_WRITE)
    with pytest.raises(TypeError):
        Endings(written.descriptor).ended(0, 1)
    os.close(written.descriptor)
