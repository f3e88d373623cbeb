"""What a start finds: nothing that a message needs is ever deleted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mailgate.model.decision import Action
from mailgate.model.outcome import State
from mailgate.spool import recovery
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Listing
from mailgate.spool.queue import Accepted, Content, Route
from mailgate.spool.recovery import STAGING_PATIENCE, Recovered, recover
from mailgate.spool.rows import rows_of
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import HOLDER, NOW, accepted, entry, keep, staged


@pytest.fixture
def contents(tmp_path: Path) -> ContentFolder:
    return ContentFolder(tmp_path / "spool" / "content")


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "staging"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def start(spool: SqliteSpool, listing: Listing, contents: ContentFolder, staging: Path):  # type: ignore[no-untyped-def]
    return lambda: recover(spool, listing, contents, staging, NOW)


def keep_large(spool: SqliteSpool, contents: ContentFolder, tmp_path: Path) -> Path:
    given = staged(tmp_path / "elsewhere", b"large" * 1000)
    content = contents.write(given)
    spool.begin()
    spool.keep(Accepted(given, content, rows_of(given)), NOW, HOLDER, 60)
    spool.commit()
    return contents.path(given.envelope.queue_id, content)


def test_an_empty_spool(start) -> None:  # type: ignore[no-untyped-def]
    assert start() == Recovered(0, 0, 0, ())


def test_leases_are_released(spool: SqliteSpool, start) -> None:  # type: ignore[no-untyped-def]
    spool.begin()
    spool.keep(accepted(entry(), at_once=True), NOW, HOLDER, 900)
    spool.commit()
    assert start().leases == 1
    assert spool.next_due(Route.LOCAL) == NOW


def test_content_files_without_a_message_are_swept(contents: ContentFolder, tmp_path: Path, start) -> None:  # type: ignore[no-untyped-def]
    contents.write(staged(tmp_path / "elsewhere", b"never committed"))
    assert start().orphans == 1
    assert list(contents.files()) == []


def test_content_files_that_are_needed_stay(  # type: ignore[no-untyped-def]
    spool: SqliteSpool, contents: ContentFolder, tmp_path: Path, start
) -> None:
    path = keep_large(spool, contents, tmp_path)
    assert start() == Recovered(0, 0, 0, ())
    assert path.exists()


@pytest.mark.parametrize(("age", "swept"), [(STAGING_PATIENCE + 1, 1), (STAGING_PATIENCE - 60, 0)])
def test_old_staging_files_are_swept(staging: Path, start, age: float, swept: int) -> None:  # type: ignore[no-untyped-def]
    path = staging / "message"
    path.write_bytes(b"x")
    os.utime(path, (NOW - age, NOW - age))
    assert start().staged == swept
    assert path.exists() == (not swept)


@pytest.mark.parametrize("harm", ["missing", "short"])
def test_a_damaged_file_is_reported_and_held(  # type: ignore[no-untyped-def]
    spool: SqliteSpool, listing: Listing, contents: ContentFolder, tmp_path: Path, start, harm: str
) -> None:
    path = keep_large(spool, contents, tmp_path)
    if harm == "missing":
        path.unlink()
    else:
        os.truncate(path, 100)
    name = path.name.partition(".")[0]
    assert start().damaged == (name,)
    (row,) = listing.rows_of(name)
    assert row.state == State.HELD
    assert "damaged" in row.reason
    assert path.exists() == (harm == "short")
    assert start().damaged == (name,), "reported at each start"
    assert [event.kind for event in listing.kept(name)[0].events].count("held") == 1


def test_a_missing_inline_content_is_held(spool: SqliteSpool, listing: Listing, start) -> None:  # type: ignore[no-untyped-def]
    (name,) = keep(spool, entry())
    spool._connection.execute("DELETE FROM content")
    assert start().damaged == (name,)
    assert listing.rows_of(name)[0].state == State.HELD


def test_damage_in_quarantine_is_reported_and_stays_there(  # type: ignore[no-untyped-def]
    spool: SqliteSpool, listing: Listing, start
) -> None:
    (name,) = keep(spool, entry(action=Action.QUARANTINE))
    spool._connection.execute("DELETE FROM content")
    assert start().damaged == (name,)
    assert listing.rows_of(name)[0].state == State.QUARANTINED


def test_a_file_of_another_format_is_not_taken_for_the_plain_one(  # type: ignore[no-untyped-def]
    spool: SqliteSpool, listing: Listing, contents: ContentFolder, tmp_path: Path, start
) -> None:
    given = entry()
    spool.begin()
    spool.keep(Accepted(given, Content(5, None, 2, "key1"), rows_of(given)), NOW, HOLDER, 60)
    spool.commit()
    path = contents.path(given.envelope.queue_id, Content(5, None, 2, "key1"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    assert start() == Recovered(0, 0, 0, ())
    assert path.exists()


def test_a_staged_file_that_goes_while_the_store_starts_is_no_trouble(
    start: Callable[[], Recovered], staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge goes on with its files."""
    monkeypatch.setattr(recovery, "_files", lambda folder: [staging / "gone"])
    assert start().staged == 0
