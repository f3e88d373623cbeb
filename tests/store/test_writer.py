"""Group commit: many changes, few syncs, and none answered before its sync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mailgate.ipc.frames import StorageFullError
from mailgate.model.errors import NotFoundError
from mailgate.store.keeping.writer import Job, Writer


class FakeSpool:
    """Counts transactions. While `gate` is closed a commit waits, so that a group gathers behind it. While a reader
    `holds_log` checkpoints come to no end."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.in_commit = threading.Event()
        self.committed: list[tuple[bool, list[str]]] = []
        self.open: list[str] = []
        self.is_durable = True
        self.is_synced = True
        self.full = False
        self.syncs = 0
        self.checkpoints = 0
        self.holds_log = False
        self.log_is_long = False

    def begin(self, durable: bool = True) -> None:
        self.open, self.is_durable = [], durable

    def commit(self) -> None:
        self.in_commit.set()
        assert self.gate.wait(30)
        if self.full:
            raise StorageFullError("no room")
        self.committed.append((self.is_durable, self.open))
        self.is_synced = self.is_durable

    def sync(self) -> None:
        if self.full:
            raise StorageFullError("no room")
        self.syncs += not self.is_synced
        self.is_synced = True

    def rollback(self) -> None:
        self.open = []

    def checkpoint(self) -> bool:
        self.checkpoints += 1
        return not self.holds_log


def add(name: str) -> Callable[[Any], str]:
    def apply(spool: FakeSpool) -> str:
        spool.open.append(name)
        return name

    return apply


@pytest.fixture
def spool() -> FakeSpool:
    return FakeSpool()


@pytest.fixture
def grouping(spool: FakeSpool):  # type: ignore[no-untyped-def]
    writer = Writer(spool)  # type: ignore[arg-type]
    writer.start()
    yield writer
    spool.gate.set()
    writer.stop()


async def behind_a_commit(spool: FakeSpool, writer: Writer, *jobs: Callable[[Any], Any]) -> list[Any]:
    """Runs `jobs` so that all of them wait while another commit is under way."""
    spool.gate.clear()
    first = asyncio.create_task(writer.do(add("first")))
    await asyncio.to_thread(spool.in_commit.wait, 30)
    rest = [asyncio.create_task(writer.do(job)) for job in jobs]
    await asyncio.sleep(0)  # each has put its job into the queue
    spool.gate.set()
    await first
    return await asyncio.gather(*rest, return_exceptions=True)


def test_what_waits_shares_one_commit(spool: FakeSpool, grouping: Writer) -> None:
    names = [f"job {n}" for n in range(200)]
    results = asyncio.run(behind_a_commit(spool, grouping, *map(add, names)))
    assert results == names
    assert spool.committed == [(True, ["first"]), (True, names)]


def test_one_that_fails_fails_alone(spool: FakeSpool, grouping: Writer) -> None:
    def bad(held: object) -> None:
        raise NotFoundError("no such thing")

    results = asyncio.run(behind_a_commit(spool, grouping, add("a"), bad, add("b")))
    assert results[0] == "a" and results[2] == "b"
    assert isinstance(results[1], NotFoundError)
    assert [names for _, names in spool.committed] == [["first"], ["a"], ["b"]]


def test_a_full_disk_is_told_to_each_and_nothing_is_kept(spool: FakeSpool, grouping: Writer) -> None:
    async def run() -> list[Any]:
        await grouping.do(add("before"))
        spool.full = True
        return await asyncio.gather(*(grouping.do(add(str(n))) for n in range(5)), return_exceptions=True)

    results = asyncio.run(run())
    assert all(isinstance(result, StorageFullError) for result in results)
    assert [names for _, names in spool.committed] == [["before"]]


def test_after_a_full_disk_it_goes_on(spool: FakeSpool, grouping: Writer) -> None:
    async def run() -> str:
        spool.full = True
        with pytest.raises(StorageFullError):
            await grouping.do(add("lost"))
        spool.full = False
        return await grouping.do(add("kept"))

    assert asyncio.run(run()) == "kept"


def test_outcomes_go_with_the_next_commit(spool: FakeSpool, grouping: Writer) -> None:
    done = threading.Event()
    grouping.submit(Job(add("outcome"), durable=False, then=lambda result, error: done.set()))
    asyncio.run(_do(grouping, add("message")))
    assert done.wait(30)
    assert spool.committed == [(True, ["outcome", "message"])]


async def _do(writer: Writer, apply: Callable[[Any], Any]) -> Any:
    return await writer.do(apply)


def test_outcomes_alone_are_not_synced_at_once_but_soon(spool: FakeSpool, grouping: Writer) -> None:
    synced = threading.Event()
    grouping.submit(Job(add("outcome"), durable=False, synced=lambda result: synced.set()))
    assert synced.wait(30)
    assert spool.committed == [(False, ["outcome"])]
    assert spool.syncs == 1


def test_what_hangs_on_a_sync_waits_for_it(spool: FakeSpool, grouping: Writer) -> None:
    order: list[str] = []
    settled = threading.Event()
    synced = threading.Event()
    grouping.submit(
        Job(
            add("outcome"),
            durable=False,
            then=lambda result, error: (order.append("then"), settled.set()),  # type: ignore[func-returns-value, arg-type, return-value]
            synced=lambda result: (order.append(f"synced {spool.is_synced}"), synced.set()),  # type: ignore[func-returns-value, arg-type, return-value]
        )
    )
    assert synced.wait(30)
    assert order == ["then", "synced True"]


def test_nothing_is_called_synced_while_the_sync_fails(spool: FakeSpool, grouping: Writer) -> None:
    synced, settled, tried = threading.Event(), threading.Event(), threading.Event()
    real = spool.sync

    def sync() -> None:
        tried.set()
        real()

    spool.sync = sync  # type: ignore[method-assign]

    def fill(held: FakeSpool) -> str:
        return "outcome"

    grouping.submit(
        Job(
            fill,
            durable=False,
            then=lambda result, error: (setattr(spool, "full", True), settled.set()),  # type: ignore[func-returns-value, arg-type, return-value]
            synced=lambda result: synced.set(),
        )
    )
    assert settled.wait(30) and tried.wait(30)
    assert not synced.is_set()
    spool.full = False
    assert synced.wait(30), "what failed in one pause is made up for in the next one"


def test_a_log_that_a_reader_keeps_is_worked_off_once_it_has_gone(spool: FakeSpool, grouping: Writer) -> None:
    spool.holds_log = True
    twice, ended = threading.Event(), threading.Event()
    real = spool.checkpoint

    def checkpoint() -> bool:
        done = real()
        if spool.checkpoints >= 2:
            twice.set()
        if done:
            ended.set()
        return done

    spool.checkpoint = checkpoint  # type: ignore[method-assign]
    grouping.do_blocking(add("x"))
    assert twice.wait(30), "nothing more comes, and it is tried again"
    spool.holds_log = False
    assert ended.wait(30)


def test_blocking_callers_get_result_or_error(spool: FakeSpool, grouping: Writer) -> None:
    assert grouping.do_blocking(add("x")) == "x"
    spool.full = True
    with pytest.raises(StorageFullError):
        grouping.do_blocking(add("y"))


def test_stop_finishes_what_was_submitted(spool: FakeSpool) -> None:
    writer = Writer(spool)  # type: ignore[arg-type]
    for n in range(20):
        writer.submit(Job(add(str(n))))
    writer.start()
    writer.stop()
    assert [name for _, names in spool.committed for name in names] == [str(n) for n in range(20)]


def test_a_long_log_is_checkpointed_between_groups(spool: FakeSpool, grouping: Writer) -> None:
    spool.log_is_long = True
    grouping.do_blocking(add("x"))
    grouping.do_blocking(add("y"))
    assert spool.checkpoints >= 1


def test_an_error_in_work_after_a_commit_does_not_end_the_writer(spool: FakeSpool, grouping: Writer) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    grouping.submit(Job(add("x"), then=broken, synced=broken))
    assert grouping.do_blocking(add("y")) == "y"
