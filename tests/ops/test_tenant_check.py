"""`mailgate doctor` finds the tenants whose database can't be read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgate.ops.checks import Status
from mailgate.ops.tenant_check import MOST_NAMED, tenants
from mailgate.tenancy.directory import Directory


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    opened = Directory(tmp_path, time.time)
    for number in range(MOST_NAMED + 2):
        opened.life.add(f"t{number}", [f"t{number}.example"])
    yield opened
    opened.close()


def databases(folder: Path) -> list[Path]:
    return sorted(folder.glob("tenants/*/tenant.db"))


def test_without_a_tenant_all_is_well(tmp_path: Path) -> None:
    assert tenants(tmp_path).status is Status.OK


def test_sound_ones_are_counted_while_they_are_in_use(tmp_path: Path, directory: Directory) -> None:
    with directory.changing("t0"):
        assert (tenants(tmp_path).status, tenants(tmp_path).facts["count"]) == (Status.OK, MOST_NAMED + 2)


@pytest.mark.parametrize("content", [b"", b"x", b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_one_is_named_with_what_to_do(tmp_path: Path, directory: Directory, content: bytes) -> None:
    directory.close()
    path = databases(tmp_path)[0]
    path.write_bytes(content) if content else path.unlink()
    found = tenants(tmp_path)
    assert (found.status, found.facts["damaged"]) == (Status.FAIL, 1)
    assert str(path) in found.text
    assert "backup" in found.advice


def test_a_page_in_the_middle_counts(tmp_path: Path, directory: Directory) -> None:
    directory.close()
    path = databases(tmp_path)[0]
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'users'").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert tenants(tmp_path).status is Status.FAIL


def test_of_many_some_are_named(tmp_path: Path, directory: Directory) -> None:
    directory.close()
    for path in databases(tmp_path):
        path.write_bytes(b"x")
    found = tenants(tmp_path)
    assert found.text.endswith("and 2 more")


def test_a_damaged_registry_is_said(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"x" * 5000)
    assert "registry.db" in tenants(tmp_path).text
