"""An older spool is brought up to date with the mail in it."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.envelope import QueueId
from mailgate.model.errors import UserError
from mailgate.model.outcome import State
from mailgate.spool import schema
from mailgate.spool.listing import Listing
from mailgate.spool.migrations import STEPS, migrate
from mailgate.spool.queue import Route, Selection
from mailgate.spool.schema import open_database
from mailgate.spool.sqlite import SqliteSpool

from .making import HOLDER, NOW, entry, keep

WAITING, QUARANTINED = QueueId("1mcc5rkzzzzzzzz0"), QueueId("1mcc5rkzzzzzzzz1")  # of version_1.sql
ADD_TABLE = "CREATE TABLE later (id INTEGER PRIMARY KEY); INSERT INTO later VALUES (1)"


@pytest.fixture
def old_path(tmp_path: Path) -> Path:
    """A database of schema version 1."""
    path = tmp_path / "spool" / "spool.db"
    path.parent.mkdir()
    connection = apsw.Connection(str(path))
    connection.execute(Path(__file__).with_name("version_1.sql").read_text())
    assert connection.pragma("user_version") == 1
    connection.close()
    return path


def tables(connection: apsw.Connection) -> dict[str, str]:
    """Each table's and index's SQL without layout."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_mail_of_an_old_spool_is_found_and_delivered(old_path: Path) -> None:
    spool = SqliteSpool(old_path)
    listing = Listing(old_path)
    spool.begin()
    (attempt,) = spool.lease(Route.LOCAL, HOLDER, 10, NOW, 60)
    (relayed,) = spool.lease(Route.RELAY, HOLDER, 10, NOW, 60)
    moved = spool.move(Selection(QUARANTINED, frozenset({State.QUARANTINED})), State.QUEUED, NOW, "me", "")
    spool.commit()
    assert (attempt.queue_id, attempt.forward_path, attempt.mailbox) == (WAITING, "bob@acme.example", "box-bob")
    assert attempt.content.inline == b"Received: by test\r\nSubject: hello\r\n\r\nhi\r\n"
    assert relayed.forward_path == "carl@far.example"
    assert moved.changed == ("eve@acme.example",)
    (kept,) = listing.kept(WAITING)
    assert [event.kind for event in kept.events] == ["received", "committed"]
    (new,) = keep(spool, entry())
    assert [row.queue_id for row in listing.rows_of(new)] == [new]
    listing.close()
    spool.close()


def test_an_old_database_comes_to_the_same_tables_as_a_new_one(old_path: Path, tmp_path: Path) -> None:
    old, new = open_database(old_path), open_database(tmp_path / "new.db")
    assert tables(old) == tables(new)
    assert old.pragma("user_version") == new.pragma("user_version") == len(STEPS)


def test_the_first_step_is_what_version_1_was(old_path: Path) -> None:
    made = apsw.Connection(":memory:")
    migrate(made, STEPS[:1])
    assert tables(made) == tables(apsw.Connection(str(old_path)))


@given(st.integers(0, 4), st.integers(0, 4))
def test_each_step_runs_once_whatever_was_done_before(before: int, after: int) -> None:
    steps = ["CREATE TABLE done (step INTEGER)", *(f"INSERT INTO done VALUES ({number})" for number in range(2, 6))]
    connection = apsw.Connection(":memory:")
    migrate(connection, steps[: 1 + before])
    migrate(connection, steps[: 1 + max(before, after)])
    ran = [step for (step,) in connection.execute("SELECT step FROM done")]
    assert ran == list(range(2, 2 + max(before, after)))
    assert connection.pragma("user_version") == 1 + max(before, after)


def test_a_step_that_fails_leaves_nothing_of_itself() -> None:
    connection = apsw.Connection(":memory:")
    with pytest.raises(apsw.Error):
        migrate(connection, ["CREATE TABLE first (id INTEGER)", f"{ADD_TABLE}; INSERT INTO nowhere VALUES (1)"])
    assert list(tables(connection)) == ["first"]
    assert connection.pragma("user_version") == 1


def test_a_database_that_cannot_be_brought_up_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE message (id INTEGER)")
    other.close()
    with pytest.raises(UserError, match=rf"{path}: cannot be brought from schema version 0 to {schema.VERSION}"):
        open_database(path)
