"""How the database is opened."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from mailgate.model.errors import UserError
from mailgate.spool import schema
from mailgate.spool.schema import NewerSchemaError, open_database


def test_a_new_database_is_safe(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "deep" / "spool.db")
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("user_version") == schema.VERSION


def test_a_known_database_is_opened_as_it_is(tmp_path: Path) -> None:
    open_database(tmp_path / "spool.db").close()
    assert open_database(tmp_path / "spool.db").pragma("user_version") == schema.VERSION


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "spool.db")
    connection.pragma("user_version", schema.VERSION + 1)
    connection.close()
    with pytest.raises(NewerSchemaError, match=rf"schema version {schema.VERSION + 1}.*newer mailgate"):
        open_database(tmp_path / "spool.db")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(UserError, match=r"spool.db is damaged .file is not a database.: .* from a backup"):
        open_database(tmp_path / "spool.db")


def test_the_library_is_free_of_the_wal_reset_bug() -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)
