"""What was deleted is gone from the files, not only from the tables."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.model.outcome import State
from mailgate.spool.queue import Selection
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import NOW, entry, keep

SIZES = (20, 900, 3_900, 4_200, 9_000, 40_000, 60_000)


def scrub(spool: SqliteSpool) -> None:
    left = True
    while left:
        spool.begin()
        left = spool.scrub()
        spool.commit()
    spool.checkpoint()


def delete(spool: SqliteSpool, queue_id: str) -> None:
    spool.begin()
    spool.move(Selection(queue_id, frozenset({State.QUEUED})), State.DELETED, NOW, "test", "")  # type: ignore[arg-type]
    spool.commit()


def body_of(number: int, size: int) -> bytes:
    return (f"SECRET-{number:06}-".encode() * (size // 14 + 1))[: max(size, 14)]


def raw(spool: SqliteSpool) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(spool.path.parent.iterdir()) if path.is_file())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(SIZES), min_size=1, max_size=40), st.randoms(use_true_random=False), st.booleans())
def test_no_byte_of_a_deleted_message_is_left(sizes: list[int], chance: random.Random, is_late: bool) -> None:

    with tempfile.TemporaryDirectory() as folder:
        spool = SqliteSpool(Path(folder) / "spool.db")
        names = [keep(spool, entry(body=body_of(n, size)))[0] for n, size in enumerate(sizes)]
        if is_late:
            spool.checkpoint()
        going = [n for n in range(len(names)) if chance.random() < 0.7]
        for n in going:
            delete(spool, names[n])
        assert not going or any(f"SECRET-{n:06}".encode() in raw(spool) for n in going)
        scrub(spool)
        found = raw(spool)
        assert [n for n in going if f"SECRET-{n:06}".encode() in found] == []
        assert [n for n in range(len(names)) if n not in going and f"SECRET-{n:06}".encode() not in found] == []
        spool.close()
        with sqlite3.connect(Path(folder) / "spool.db") as beside:
            assert beside.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert not beside.execute("SELECT 1 FROM sqlite_master WHERE name = 'scrubbed'").fetchall()


def test_the_room_is_used_again_afterwards(spool: SqliteSpool) -> None:
    for n in range(50):
        delete(spool, keep(spool, entry(body=body_of(n, 60_000)))[0])
    names = [keep(spool, entry(body=body_of(n, 60_000)))[0] for n in range(50)]
    for name in names:
        delete(spool, name)
    spool.checkpoint()
    before = spool.path.stat().st_size
    scrub(spool)
    for n in range(40):
        keep(spool, entry(body=body_of(n, 60_000)))
    spool.checkpoint()
    assert spool.path.stat().st_size <= before + 16 * 4_096


def test_a_reader_delays_the_emptying_of_the_log_but_not_the_writer(spool: SqliteSpool) -> None:
    delete(spool, keep(spool, entry(body=body_of(1, 9_000)))[0])
    with sqlite3.connect(spool.path, isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM message").fetchone()
        scrub(spool)
        reader.execute("COMMIT")
    spool.checkpoint()
    assert b"SECRET" not in raw(spool)
