"""Connections: durable, private, opened on demand and closed again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases import database as module
from mailgate.tenancy.databases.database import IDLE_SECONDS, Database, TenantDatabases
from mailgate.tenancy.databases.ids import TenantId
from mailgate.tenancy.databases.schema import TENANT
from tests.support.clock import ManualClock

INSERT = text("INSERT INTO addresses VALUES ('bob@acme.example', '', 0)")
COUNT = text("SELECT count(*) FROM addresses")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "db", TENANT)
    yield database
    database.close()


def test_every_connection_is_durable_and_checks_references(opened: Database, tmp_path: Path) -> None:
    with opened.session() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o600


def test_a_transaction_ends_with_its_block(opened: Database, tmp_path: Path) -> None:
    with opened.session() as session:
        session.execute(INSERT)
    with sqlite3.connect(tmp_path / "db") as other:
        assert other.execute(str(COUNT)).fetchone() == (1,)
    other.close()


def test_a_block_that_raises_leaves_nothing(opened: Database) -> None:
    with pytest.raises(ZeroDivisionError), opened.session() as session:
        session.execute(INSERT)
        raise ZeroDivisionError
    with opened.session() as session:
        assert session.scalar(COUNT) == 0


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_file_is_unavailable_and_not_overwritten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db").write_bytes(content)
    with pytest.raises(UnavailableError, match=r"/db: is damaged .*backup"):
        Database(tmp_path / "db", TENANT)
    assert (tmp_path / "db").read_bytes() == content


def test_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        Database(tmp_path / "absent" / "db", TENANT)


class Many:
    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.ids = [TenantId(f"t{number}") for number in range(6)]
        self.databases = TenantDatabases(lambda tenant: folder / tenant, clock)
        for tenant in self.ids:
            self.databases.create(tenant)


@pytest.fixture
def many(tmp_path: Path, clock: ManualClock) -> Iterator[Many]:
    made = Many(tmp_path, clock)
    yield made
    made.databases.close_all()
    assert len(made.databases) == 0


def test_creating_leaves_nothing_open(many: Many) -> None:
    assert len(many.databases) == 0


def test_the_one_unused_for_longest_is_closed(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_LIMIT", 3)
    first = many.databases.get(many.ids[0])
    second = many.databases.get(many.ids[1])
    many.databases.get(many.ids[0])
    for tenant in many.ids[2:4]:
        many.databases.get(tenant)
    assert len(many.databases) == 3
    assert many.databases.get(many.ids[0]) is first
    assert many.databases.get(many.ids[1]) is not second


def test_idle_ones_are_closed(many: Many, clock: ManualClock) -> None:
    many.databases.get(many.ids[0])
    clock.advance(IDLE_SECONDS / 2)
    many.databases.get(many.ids[1])
    clock.advance(IDLE_SECONDS / 2 + 1)
    many.databases.get(many.ids[2])
    assert len(many.databases) == 2


def test_a_database_that_is_gone_is_not_made_anew(many: Many, tmp_path: Path) -> None:
    (tmp_path / many.ids[0]).unlink()
    with pytest.raises(UnavailableError, match="gone; put it back"):
        many.databases.get(many.ids[0])
    assert not (tmp_path / many.ids[0]).exists()
