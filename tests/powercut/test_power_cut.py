"""The power goes off at every moment of a run: whatever was promised until then is kept, once and whole.

The store runs under strace; from its system calls the disk is rebuilt as it may look after a power failure at each
moment, and a store is started on it. A kill would prove nothing: the page cache outlives it. Mutants, each with one
sync or order taken out, prove that the test can fail."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailgate.settings import Settings
from tests.powercut.workload import MUTANTS, SCENARIOS
from tests.store.running import Store, add_people, running, until
from tests.support.components import REPOSITORY, program
from tests.support.disk import CALLS, Cut, Disk
from tests.support.strace import Call, parse

pytestmark = pytest.mark.component("strace")


SAMPLED = {Cut.SOME: 0.2, Cut.ALL: 0.1}
"""Of the disks that are no worst case only so many are looked at: each costs the start of a store."""


@dataclass
class Promises:
    """What may have become of each message by now, and its bytes."""

    fates: dict[str, set[str]] = field(default_factory=lambda: defaultdict(lambda: {"gone"}))
    digests: dict[str, str] = field(default_factory=dict)
    has_ended: bool = False

    def hear(self, line: str) -> None:
        word, *rest = line.split()
        if word == "END":
            self.has_ended = True
        if word not in ("MAY", "MUST"):
            return
        queue_id, fate, digest = rest
        if digest != "-":
            self.digests[queue_id] = digest
        self.fates[queue_id] = self.fates[queue_id] | {fate} if word == "MAY" else {fate}

    def copy(self) -> Promises:
        return Promises({name: set(fates) for name, fates in self.fates.items()}, dict(self.digests))


def settings_of(data: Path) -> Settings:
    return Settings(data_dir=data, policy_dir=REPOSITORY / "policies", hostname="mx.gateway.example")


def traced(data: Path, trace: Path, scenario: str, mutant: str) -> list[Call]:
    strace = program("strace")
    assert strace
    workload = [sys.executable, "-m", "tests.powercut.workload", str(data), str(REPOSITORY / "policies")]
    command = [
        strace,
        "-f",
        "--seccomp-bpf",
        "-y",
        "-s",
        "1000000",
        "-e",
        f"trace={CALLS}",
        "-o",
        str(trace),
        *workload,
    ]
    done = subprocess.run([*command, scenario, mutant], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert "END\n" in done.stderr, done.stderr
    with trace.open(encoding="latin-1") as lines:
        return parse(lines)


@dataclass
class State:
    """A disk as a power failure may leave it, and what was promised then. `when`: the call before."""

    data: Path
    promises: Promises
    when: str


def states(calls: list[Call], disk: Disk, cut: Cut, folder: Path) -> Iterator[State]:
    """Each that is different from the one before; the folder of the last one is used again."""
    promises, last, chance = Promises(), "", random.Random(7)
    moments = [(call.began, True, call) for call in calls]
    moments += [(call.ended, False, call) for call in calls if call.ended is not None]
    for _, is_beginning, call in sorted(moments, key=lambda moment: (moment[0], not moment[1])):
        if is_beginning:
            disk.begin(call)
            continue
        if call.name == "write" and call.arguments.startswith("2<"):
            for line in call.strings[-1].split("\\n"):
                promises.hear(line or "-")
            changed = True
        else:
            changed = disk.end(call)
        if not changed or (cut in SAMPLED and chance.random() > SAMPLED[cut]):
            continue
        target = folder / "state"
        shutil.rmtree(target, ignore_errors=True)
        digest = disk.write_out(target, cut, chance) + repr(sorted(promises.fates.items()))
        if digest != last:
            last = digest
            yield State(target, promises.copy(), f"{call.name}({call.arguments[:150]}")


async def _is_quiet(store: Store) -> bool:
    rows = (await store.admin("queue.list", limit=1000))["rows"]
    return all(row["state"] != "queued" or not row["mailbox"] for row in rows)


async def broken(state: State) -> list[str]:
    """Which promises a store that starts on this disk breaks."""
    found: list[str] = []
    state.data.joinpath("run").mkdir(exist_ok=True)
    (state.data / "spool" / "staging").mkdir(exist_ok=True, parents=True)
    async with running(settings_of(state.data)) as store:
        await until(lambda: _is_quiet(store))
        rows = (await store.admin("queue.list", limit=1000))["rows"]
        damaged = (await store.admin("queue.summary"))["damaged"]
    found += [f"{name} is damaged" for name in damaged]
    for name, allowed in state.promises.fates.items():
        mail = state.data / "tenants"
        files = [*mail.glob(f"*/mail/*/new/{name},*"), *mail.glob(f"*/mail/*/cur/{name},*")]
        fates = [*("delivered" for _ in files), *(row["state"] for row in rows if row["queue_id"] == name)]
        if (fates or ["gone"]) not in [[fate] for fate in allowed]:
            found.append(f"{name} is {fates or 'gone'} instead of {sorted(allowed)}")
        kept = [*files, *(state.data / "spool" / "content").glob(f"*/{name}.*")]
        expected = state.promises.digests[name]
        found += [
            f"{path} is not what came" for path in kept if hashlib.sha256(path.read_bytes()).hexdigest() != expected
        ]
    return found


def look(tmp_path: Path, scenario: str, cuts: Iterable[Cut], mutant: str = "", is_fresh: bool = False) -> list[str]:
    """What was broken, by when; with a mutant until the first."""
    data = tmp_path / "data"
    settings = settings_of(data)
    settings.run_dir.mkdir(parents=True)
    settings.staging_dir.mkdir(parents=True)
    add_people(settings)
    if not is_fresh:
        asyncio.run(_once(settings))
    start = shutil.copytree(data, tmp_path / "start", ignore=lambda folder, names: [n for n in names if ".sock" in n])
    calls = traced(data, tmp_path / "trace", scenario, mutant)
    found: list[str] = []
    for cut in cuts:
        count = 0
        for state in states(calls, Disk(data, start), cut, tmp_path):
            count += 1
            try:
                found += [f"{cut} after {state.when}: {what}" for what in asyncio.run(broken(state))]
            except Exception as error:  # a store that does not start
                found.append(f"{cut} after {state.when}: {type(error).__name__}: {error}")
            if found and mutant:
                return found
        assert count > 2, "something was looked at"
    return found


async def _once(settings: Settings) -> None:
    async with running(settings):
        pass


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_whatever_was_promised_is_kept(tmp_path: Path, scenario: str) -> None:
    assert look(tmp_path, scenario, Cut) == []


def test_so_it_is_in_a_fresh_data_directory(tmp_path: Path) -> None:
    assert look(tmp_path, "deliveries", Cut, is_fresh=True) == []


BITES = {
    "checkpoint is enough": ("with_a_reader", Cut.NAMES),
    "never durable": ("deliveries", Cut.STRICT),
    "unsynced content": ("deliveries", Cut.STRICT),
    "unsynced folder of the content": ("deliveries", Cut.STRICT),
    "unsynced Maildir": ("deliveries", Cut.STRICT),
    "removed at once": ("deliveries", Cut.NAMES),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_store_without_one_of_its_syncs_is_found_out(tmp_path: Path, mutant: str) -> None:
    scenario, cut = BITES[mutant]
    assert look(tmp_path, scenario, [cut], mutant), f"nobody noticed: {mutant}"
