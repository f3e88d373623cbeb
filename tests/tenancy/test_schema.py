"""Making and migrating databases."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.schema import MIGRATIONS, REGISTRY, TENANT, Schema

BOTH = pytest.mark.parametrize("schema", [REGISTRY, TENANT], ids=lambda schema: schema.name)

NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{head}"
down_revision = "{down}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    {more}
"""


def tables(path: Path) -> list[tuple[str, list[str]]]:
    """Name and definition of everything in the database, without what means nothing: quotes, white space, and the
    order of the columns (one that was added later stands last)."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master ORDER BY name").fetchall()
    return [(name, definition(sql)) for name, sql in rows]


def definition(sql: str) -> list[str]:
    """The columns and constraints that stand between the outer brackets, sorted, after what stands before them."""
    before, _, inside = "".join(sql.replace('"', "").split()).partition("(")
    if not before.startswith("CREATETABLE"):
        return [before, inside]
    return [before, *sorted(re.split(r",(?![^(]*\))", inside.removesuffix(")")))]


def version(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def set_version(path: Path, number: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (number,))


def next_revision(schema: Schema) -> str:
    return f"{int(schema.head) + 1:04}"


def with_next_revision(schema: Schema, folder: Path, more: str = "") -> Schema:
    """The schema of an imagined later release."""
    folder.mkdir()
    for script in schema.versions.glob("*.py"):
        (folder / script.name).write_text(script.read_text())
    head = next_revision(schema)
    (folder / f"r{head}_later.py").write_text(NEXT_REVISION.format(head=head, down=schema.head, more=more))
    return replace(schema, head=head, versions=folder)


def version_before(revision: str, tmp_path: Path, schema: Schema = TENANT) -> Schema:
    """The schema of the release before this revision."""
    first = next(schema.versions.glob(f"*_{revision}.py")).stem[1:5]
    (tmp_path / "versions").mkdir()
    for script in schema.versions.glob("*.py"):
        if script.stem[1:5] < first:
            (tmp_path / "versions" / script.name).write_text(script.read_text())
    return replace(schema, versions=tmp_path / "versions")


@BOTH
def test_migrated_from_the_beginning_and_made_fresh_are_the_same(tmp_path: Path, schema: Schema) -> None:
    Database(tmp_path / "fresh", schema).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'old'}")
    with engine.begin() as migrated:
        schema.migrate(migrated)
        assert compare_metadata(MigrationContext.configure(migrated), schema.metadata) == []
    engine.dispose()
    assert tables(tmp_path / "old") == tables(tmp_path / "fresh")
    assert version(tmp_path / "old") == version(tmp_path / "fresh") == schema.head


@BOTH
def test_head_is_the_newest_script(schema: Schema) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(schema.versions))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.head]


@BOTH
def test_an_older_database_is_migrated_when_opened_and_keeps_its_rows(tmp_path: Path, schema: Schema) -> None:
    path = tmp_path / "db"
    Database(path, schema).close()
    before = tables(path)
    Database(path, with_next_revision(schema, tmp_path / "versions")).close()
    assert version(path) == next_revision(schema)
    assert {name for name, _ in tables(path)} - {name for name, _ in before} == {"later"}


def test_a_migration_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Database(path, TENANT).close()
    before = tables(path)
    broken = with_next_revision(TENANT, tmp_path / "versions", more='op.execute("SELECT * FROM nowhere")')
    with pytest.raises(UnavailableError, match="nowhere"):
        Database(path, broken)
    assert tables(path) == before
    assert version(path) == TENANT.head


@BOTH
@pytest.mark.parametrize("number", ["next", "9999", "abcdef"])
def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path, schema: Schema, number: str) -> None:
    path = tmp_path / "db"
    number = number.replace("next", next_revision(schema))
    Database(path, schema).close()
    set_version(path, number)
    with pytest.raises(UnavailableError, match=f"revision {number}, this release knows up to {schema.head}; run"):
        Database(path, schema)
    assert version(path) == number


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("CREATE TABLE other (id)")
    connection.close()
    with pytest.raises(UnavailableError, match=r"/db: .*not those of mailgate"):
        Database(tmp_path / "db", TENANT)


def test_what_a_crash_left_empty_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "db").touch()
    Database(tmp_path / "db", TENANT).close()
    assert version(tmp_path / "db") == TENANT.head


def test_a_folder_with_odd_characters_works(tmp_path: Path) -> None:
    odd = tmp_path / "a %d: b?c#e"
    odd.mkdir()
    Database(odd / "db", TENANT).close()
    assert version(odd / "db") == TENANT.head


def test_assignments_from_before_rights_keep_what_they_meant(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}")
    with engine.begin() as connection:
        version_before("rights", tmp_path).migrate(connection)
        for row in (
            "addresses (address, skeleton, created_at) VALUES ('b@a', 'b@a', 1), ('t@a', 't@a', 1)",
            "mailboxes (id, address, kind, state, created_at) VALUES "
            "('m', 'b@a', 'personal', 'active', 1), ('n', 't@a', 'shared', 'active', 1)",
            "users (id, login, password_hash, state, password_changed_at, created_at) VALUES "
            "('u', 'b@a', '', 'active', 1, 1)",
            "assignments (mailbox_id, user_id, created_at) VALUES ('m', 'u', 1), ('n', 'u', 2)",
        ):
            connection.exec_driver_sql(f"INSERT INTO {row}")
    engine.dispose()
    Database(tmp_path / "db", TENANT).close()
    with sqlite3.connect(tmp_path / "db") as connection:
        kept = connection.execute("SELECT * FROM assignments ORDER BY mailbox_id").fetchall()
    assert kept == [("m", "u", "lrswipkxtea", 1.0), ("n", "u", "lrswipkxte", 2.0)]
