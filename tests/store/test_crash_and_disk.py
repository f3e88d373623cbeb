"""Kill -9 in the middle, and a disk that is full: what was answered Done is there, what was not is not half there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_in

from mailgate.ipc import keys
from mailgate.ipc.calls import Commit, Done, Hello, NewEntry
from mailgate.ipc.frames import StorageFullError, connect
from mailgate.model.decision import Action
from mailgate.model.errors import MailgateError, UnavailableError
from mailgate.settings import Settings
from mailgate.spool.queue import Finished, Recorded
from mailgate.spool.sqlite import SqliteSpool
from mailgate.store.delivery import local as local_delivery
from mailgate.store.delivery import maildir
from mailgate.store.process import StoreProcess
from tests.spool.making import entry, local, staged
from tests.store.running import Store, add_people, listen, running, until

KEYS = keys.make_keys()
CHILD = """
import json, os, sys
from pathlib import Path
from mailgate.ipc import keys
from mailgate.settings import Settings
from mailgate.store import process
given = json.loads(sys.argv[1])
settings = Settings(data_dir=Path(given["data"]), policy_dir=Path(given["policies"]), hostname="mx.gateway.example")
known = keys.inherited(given["keys"])
process.main(settings, given["store"], given["admin"], known, lambda: os.write(given["ready"], b"1"))
"""


def start_child(settings: Settings) -> subprocess.Popen[bytes]:
    sockets = [listen(settings.store_path), listen(settings.admin_path)]
    reader, ready = os.pipe()
    passed = keys.to_inherit(KEYS)
    given = {
        "data": str(settings.data_dir),
        "policies": str(settings.policy_dir),
        "store": sockets[0].fileno(),
        "admin": sockets[1].fileno(),
        "keys": passed,
        "ready": ready,
    }
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(given)],
        pass_fds=(sockets[0].fileno(), sockets[1].fileno(), passed, ready),
        stderr=subprocess.DEVNULL,
    )
    os.close(ready)
    os.close(passed)
    for sock in sockets:
        sock.close()
    assert os.read(reader, 1) == b"1", "the store did not start"
    os.close(reader)
    return child


async def commit_until_killed(
    settings: Settings, child: subprocess.Popen[bytes], mailbox: str, kill_after: int
) -> list[str]:
    """The queue ids that were answered Done before the process died."""
    calls = await connect(settings.store_path, lambda push: None, lambda: None)
    await calls.call(Hello("edge", KEYS[keys.EDGE]))
    answered: list[str] = []

    async def send(number: int) -> None:
        while True:
            to_bob = local("bob@acme.example", mailbox)
            if number % 4 == 0:
                given = staged(settings.staging_dir / f"s{number}", os.urandom(80_000), to_bob)
            else:
                given = entry(to_bob)
            if await calls.call(Commit((given,))) == Done():
                answered.append(given.envelope.queue_id)
            if len(answered) >= kill_after and child.poll() is None:
                child.send_signal(signal.SIGKILL)

    with contextlib.suppress(MailgateError):
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            tasks = [group.create_task(_until_lost(send(number))) for number in range(16)]
            await asyncio.wait(tasks)
    child.wait(30)
    return answered


async def _until_lost(sending: object) -> None:
    with contextlib.suppress(UnavailableError):
        await sending  # type: ignore[misc]


@pytest.mark.parametrize("kill_after", [1, 20, 55, 150])
def test_what_was_answered_done_survives_kill_9(settings: Settings, kill_after: int) -> None:
    add_people(settings)

    async def mailbox() -> str:
        async with running(settings) as store:
            return store.mailbox

    box = asyncio.run(mailbox())
    child = start_child(settings)
    answered = asyncio.run(commit_until_killed(settings, child, box, kill_after))
    assert child.returncode == -signal.SIGKILL
    assert len(answered) >= kill_after

    async def check() -> None:
        async with running(settings) as store:
            await until(lambda: _is_empty(store))
            names = [path.name.partition(",")[0] for path in (store.maildir / "new").iterdir()]
            assert len(names) == len(set(names))
            assert set(answered) <= set(names)
            for path in (store.maildir / "new").iterdir():
                assert path.stat().st_size == int(path.name.partition("S=")[2])
            contents = settings.data_dir / "spool" / "content"
            await until(lambda: not [path for path in contents.rglob("*") if path.is_file()])

    asyncio.run(check())


async def _is_empty(store: Store) -> bool:
    return not (await store.admin("queue.list"))["rows"]


@pytest.fixture
def small_disk(settings: Settings) -> Iterator[Settings]:
    """A data directory on a file system of 48 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    where = settings.data_dir
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "mailgate-test", str(where)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"can't mount: {mounted.stderr.decode()}")
    settings.run_dir.mkdir()
    settings.staging_dir.mkdir(parents=True)
    yield settings
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_a_full_disk_keeps_what_was_answered_and_nothing_else(
    small_disk: Settings, tmp_path: Path, is_large: bool
) -> None:
    add_people(small_disk)

    async def run() -> None:
        async with running(small_disk) as store:
            kept: list[str] = []
            with pytest.raises(StorageFullError):
                for number in range(1000):
                    # held, so that nothing is delivered and the spool alone fills the disk
                    given = (
                        staged(tmp_path / "staged" / str(number), os.urandom(300_000), local())
                        if is_large
                        else entry(local(), body=os.urandom(60_000))
                    )
                    await store.commit(_held(given))
                    kept.append(given.envelope.queue_id)
            assert len(kept) > 3
            rows = (await store.admin("queue.list", limit=1000))["rows"]
            assert [row["queue_id"] for row in rows] == kept
            files = [path for path in (small_disk.data_dir / "spool" / "content").rglob("*") if path.is_file()]
            assert len(files) == (len(kept) if is_large else 0)
            # deleting makes room again: in the folder at once, in the database for what comes next
            for name in kept:
                await store.admin("queue.delete", id=name)
            await until(lambda: _is_taken(store, _held(entry(local()))))

    asyncio.run(run())


async def _is_taken(store: Store, given: NewEntry) -> bool:
    """True once the log has been worked into the database and there is room again."""
    try:
        return await store.commit(given) == Done()
    except StorageFullError:
        return False


def _held(given: NewEntry) -> NewEntry:
    return replace_in(given, decision=replace(given.decision, action=Action.HOLD))


def test_a_failed_sync_of_the_database_ends_the_process(settings: Settings) -> None:
    """The log of the database can't be synced: the process ends, and nothing was answered."""
    script = """
import sys
from pathlib import Path
import apsw
from mailgate.spool import sqlite
from tests.spool.making import accepted, entry, NOW

spool = sqlite.SqliteSpool(Path(sys.argv[1]))
class Failing:
    def __init__(self, real): self.real = real
    def __getattr__(self, name): return getattr(self.real, name)
    def execute(self, statement, *args):
        if statement == "COMMIT":
            raise apsw.IOError("disk I/O error")
        return self.real.execute(statement, *args)
spool._connection = Failing(spool._connection)
spool.begin()
spool.keep(accepted(entry()), NOW, "h", 60)
spool.commit()
print("answered", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(settings.data_dir / "x.db")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 74, done.stderr
    assert done.stdout == ""
    assert "disk I/O error" in done.stderr


@pytest.mark.parametrize("refusals", [1, 3])
def test_a_delivery_that_can_t_be_recorded_is_not_made_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """The disk is full just when the outcome is to be written down."""
    add_people(settings)
    refused: list[int] = []
    real = SqliteSpool.record

    def record(spool: SqliteSpool, finished: Sequence[Finished], now: float) -> Recorded:
        if finished and len(refused) < refusals:
            refused.append(len(finished))
            raise StorageFullError("no room")
        return real(spool, finished, now)

    handed: list[str] = []

    def deliver(letters: Sequence[maildir.Letter]) -> Sequence[Exception | None]:
        handed.extend(letter.name for letter in letters)
        return maildir.deliver(letters)

    monkeypatch.setattr(SqliteSpool, "record", record)
    monkeypatch.setattr(local_delivery, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(StoreProcess, "_into_mailboxes", lambda *rest: deliver)

    async def run() -> None:
        async with running(settings) as store:
            await store.commit(entry(local("bob@acme.example", store.mailbox)))
            await until(lambda: len(refused) == refusals)
            await until(lambda: _is_empty(store))
            await store.commit(entry(local("bob@acme.example", store.mailbox)))
            await until(lambda: _is_empty(store))
            assert len(store.delivered()) == len(handed) == len(set(handed)) == 2

    asyncio.run(run())
