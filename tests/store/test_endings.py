"""Damage of a database is found before anything is built on it, and costs no more than it must."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from mailgate.model.errors import UserError
from mailgate.ops import spool_check
from mailgate.ops.checks import Status
from mailgate.settings import Settings
from mailgate.spool import durable
from mailgate.store.commands import offline
from mailgate.store.keeping import endings
from tests.spool.making import entry, local
from tests.store.running import add_people, running
from tests.support.components import REPOSITORY

PAGE = 4_096


def fill(settings: Settings) -> None:
    add_people(settings)

    async def run() -> None:
        async with running(settings) as store:
            for _ in range(40):
                await store.commit(entry(local("bob@acme.example", store.mailbox), body=os.urandom(3_000)))
            await store.until_delivered(40)

    asyncio.run(run())


def overwrite(path: Path, page: int) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("wal_checkpoint", "truncate")
    connection.close()
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(os.urandom(64))


def pages(path: Path) -> int:
    return path.stat().st_size // PAGE


def crash(settings: Settings) -> None:
    (settings.data_dir / "spool" / "running").touch()


def test_an_end_in_order_leaves_no_mark_and_the_next_start_looks_at_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    monkeypatch.setattr("mailgate.store.process.look_through", looked.append)
    fill(settings)
    fill_again = settings.data_dir / "spool" / "running"
    assert not fill_again.exists() and looked == []

    async def run() -> None:
        async with running(settings):
            assert fill_again.exists()

    asyncio.run(run())
    assert looked == []
    crash(settings)
    asyncio.run(run())
    assert looked == [settings.data_dir]


@pytest.mark.parametrize("name", ["spool/spool.db", "registry.db"])
def test_after_a_crash_a_damaged_database_is_not_started_on(settings: Settings, name: str) -> None:
    fill(settings)
    crash(settings)
    path = settings.data_dir / name
    found = 0
    before = path.read_bytes()
    for page in range(1, pages(path)):
        overwrite(path, page)
        try:
            endings.look_through(settings.data_dir)
        except UserError as error:
            found += 1
            assert str(path) in str(error) and "from a backup" in str(error)
            assert "***" not in str(error)
            check = spool_check.spool(settings.data_dir)
            assert check.status is Status.FAIL and str(path) in check.text
        path.write_bytes(before)
    assert found > pages(path) // 3, "free pages and those with contents only look sound whatever is in them"


def test_a_crash_without_damage_costs_a_look(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    fill(settings)
    crash(settings)

    async def run() -> None:
        async with running(settings) as store:
            assert len(store.delivered()) == 40

    asyncio.run(run())
    assert any("did not end in good order" in record.getMessage() for record in caplog.records)
    assert spool_check.spool(settings.data_dir).status is Status.OK


def test_a_tenant_s_damaged_database_costs_that_tenant(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    fill(settings)
    offline.run_alone(settings, "tenant.add", {"name": "beta", "domains": ["beta.example"]})
    crash(settings)

    async def run() -> None:
        async with running(settings) as store:
            tenants = {path.parent.name for path in (settings.data_dir / "tenants").glob("*/tenant.db")}
            (beta,) = tenants - {store.mailbox.partition("-")[0]}
            path = settings.data_dir / "tenants" / beta / "tenant.db"
            await store.commit(entry(local("bob@acme.example", store.mailbox)))
            await store.until_delivered(41)
            overwrite(path, 3)
            await endings.look_through_tenants({"beta": path})

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    # the look at the start may have come to it as late
    (told,) = {record.getMessage() for record in caplog.records if "tenant beta" in record.getMessage()}
    assert "from a backup" in told


def test_tenants_databases_are_never_opened_by_another_sqlite_in_this_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its locks are the process's: closing one connection drops those of the others, and the file is anybody's."""
    fill(settings)
    opened: list[str] = []
    real = apsw.Connection

    def watched(path: str, *arguments: object, **named: object) -> apsw.Connection:
        opened.append(path)
        return real(path, *arguments, **named)  # type: ignore[arg-type]

    crash(settings)
    monkeypatch.setattr(apsw, "Connection", watched)

    async def run() -> None:
        async with running(settings) as store:
            paths = {path.parent.name: path for path in (settings.data_dir / "tenants").glob("*/tenant.db")}
            await endings.look_through_tenants(paths)
            assert paths and len(store.delivered()) == 40

    asyncio.run(run())
    assert not [path for path in opened if path.endswith("tenant.db")]


def test_a_long_look_is_cut_short(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    fill(settings)
    real = endings.SECONDS
    endings.SECONDS = -1.0
    try:
        endings.look_through(settings.data_dir)
    finally:
        endings.SECONDS = real
    assert spool_check.spool(settings.data_dir).status is Status.OK


ON_DAMAGE = """
import sys, time
from pathlib import Path
from mailgate.spool.listing import FIRST, Filter, Listing
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import entry, keep

path = Path(sys.argv[1])
spool, listing = SqliteSpool(path), Listing(path)
if sys.argv[2] == "write":
    for _ in range(200):
        keep(spool, entry(at=time.time()))
        spool.checkpoint()
else:
    list(listing.waiting_contents()), listing.counts(), listing.page(Filter(), FIRST, 10_000)
    [listing.kept(row.queue_id) for row in listing.page(Filter(), FIRST, 10_000)]
print("went on", flush=True)
"""


@pytest.mark.parametrize("action", ["write", "read"])
def test_who_comes_upon_a_damaged_page_ends_the_store(tmp_path: Path, action: str) -> None:
    """One page after the other is overwritten; whoever comes upon it says so, and nobody goes on."""
    path = tmp_path / "spool.db"
    subprocess.run([sys.executable, "-c", ON_DAMAGE, str(path), "write"], check=True, cwd=REPOSITORY)
    before = path.read_bytes()
    ended = 0
    for page in range(1, min(pages(path), 12)):
        overwrite(path, page)
        done = subprocess.run(
            [sys.executable, "-c", ON_DAMAGE, str(path), action],
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
        assert done.returncode in (0, durable.EXIT_STATUS) or "UserError" in done.stderr, done.stderr
        if done.returncode == durable.EXIT_STATUS:
            ended += 1
            assert "is damaged" in done.stderr and "from a backup" in done.stderr
            assert "went on" not in done.stdout
        for each in tmp_path.glob("spool.db*"):
            each.unlink()
        path.write_bytes(before)
    assert ended > 0
