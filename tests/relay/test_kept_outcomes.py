"""What the next hop has taken outlives a restart of the relay while the store has no room."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailgate.ipc.calls import Done, Ended, Record
from mailgate.ipc.frames import StorageFullError
from mailgate.model.errors import UserError
from mailgate.model.outcome import Outcome, State
from mailgate.relay.kept_outcomes import FILE_BYTES, KeptOutcomes
from mailgate.relay.outcomes import Outcomes
from tests.support.gateway import short_folder


def ended(message: int, state: State = State.RELAYED, text: str = "taken") -> Ended:
    return Ended(message, 0, Outcome(state, text, 250, "2.0.0"), {"host": "mx.example"}, f"queue-{message}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "transport" / "outcomes"


class Store:
    def __init__(self, is_full: bool = False, refuses: bool = False) -> None:
        self.is_full = is_full
        self.refuses = refuses
        self.taken: list[Ended] = []

    async def call(self, request: Record) -> Done:
        if self.refuses:
            raise UserError("no such row")
        if self.is_full:
            raise StorageFullError("full")
        self.taken += request.ended
        return Done()


def outcomes(store: Store, path: Path, resumed: list[str] | None = None) -> Outcomes:
    told = resumed if resumed is not None else []
    return Outcomes(
        store,  # type: ignore[arg-type]
        "holder",
        lambda: told.append("resumed"),
        lambda seconds: asyncio.sleep(0),
        KeptOutcomes(path),
    )


def test_what_was_taken_outlives_the_relay_and_goes_before_everything_else(path: Path) -> None:
    async def run() -> None:
        first = outcomes(Store(is_full=True), path)
        first.add([ended(1), ended(2, State.QUEUED)])
        for _ in range(10):
            await asyncio.sleep(0)
        first.add([ended(3)])  # came in while it was stuck
        assert first._task is not None
        first._task.cancel()
        store, resumed = Store(is_full=True), list[str]()
        second = outcomes(store, path, resumed)
        second.restore()
        assert second.is_stuck, "nothing may be begun before"
        for _ in range(10):
            await asyncio.sleep(0)
        assert second.is_stuck
        store.is_full = False
        stuck: list[bool] = []
        real = store.call

        async def call(request: Record) -> Done:
            stuck.append(second.is_stuck)
            return await real(request)

        store.call = call  # type: ignore[method-assign]
        await second.flush()
        assert sorted(store.taken, key=lambda each: each.message) == [ended(1), ended(3)]
        assert stuck == [True, True], "until the last one is recorded"
        assert not second.is_stuck and resumed == ["resumed"]
        assert KeptOutcomes(path).load() == []

    asyncio.run(run())


def test_what_is_still_to_be_told_stays_kept(path: Path) -> None:
    async def run() -> None:
        store = Store(is_full=True)
        first = outcomes(store, path)
        first.add([ended(number) for number in range(4)])
        for _ in range(30):
            await asyncio.sleep(0)
        kept: list[int] = []
        real = store.call

        async def call(request: Record) -> Done:
            kept.append(len(KeptOutcomes(path).load()))
            return await real(request)

        store.call = call  # type: ignore[method-assign]
        store.is_full = False
        await first.flush()
        assert kept[0] == 4 and all(left > 0 for left in kept)
        assert KeptOutcomes(path).load() == []

    asyncio.run(run())


def test_one_that_is_refused_for_good_does_not_keep_the_relay_stuck(path: Path) -> None:
    async def run() -> None:
        KeptOutcomes(path).keep([ended(1)])
        resumed: list[str] = []
        second = outcomes(Store(refuses=True), path, resumed)
        second.restore()
        await second.flush()
        assert not second.is_stuck and resumed == ["resumed"]

    asyncio.run(run())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1 << 62), st.text(max_size=2000)), max_size=20), st.booleans())
def test_what_is_kept_is_read_again(path: Path, given_: list[tuple[int, str]], over_older: bool) -> None:
    kept = KeptOutcomes(path)
    if over_older:
        kept.keep([ended(7, text="x" * 10_000)])
    told = [ended(number, text=text) for number, text in given_]
    kept.keep(told)
    kept.close()
    again = KeptOutcomes(path)
    assert again.load() == told
    assert path.stat().st_size == FILE_BYTES
    again.close()


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_damaged_file_is_none(path: Path, junk: bytes) -> None:
    kept = KeptOutcomes(path)
    kept.keep([ended(1)])
    with path.open("r+b") as file:
        file.seek(6)
        file.write(junk)
    assert kept.load() in ([], [ended(1)])
    kept.close()


def test_more_than_there_is_room_for_is_cut_and_said(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept = KeptOutcomes(path)
    kept.keep([ended(number, text="x" * 500) for number in range(5_000)])
    found = kept.load()
    assert found == [ended(number, text="x" * 500) for number in range(len(found))]
    assert 1_000 < len(found) < 5_000


@pytest.fixture
def full_disk() -> Iterator[Path]:
    mount = short_folder("mg-outcomes-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)
    mount.rmdir()


@pytest.mark.component("root")
def test_on_a_full_disk_they_are_kept(full_disk: Path) -> None:
    kept = KeptOutcomes(full_disk / "transport" / "outcomes")
    with (full_disk / "ballast").open("wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            os.write(file.fileno(), bytes(1 << 16))
    told = [ended(number) for number in range(2_000)]
    kept.keep(told)
    assert KeptOutcomes(full_disk / "transport" / "outcomes").load() == told
    late = KeptOutcomes(full_disk / "transport" / "late")
    late.keep(told)
    assert late.load() == []
