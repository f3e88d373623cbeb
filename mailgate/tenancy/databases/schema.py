"""Bringing a database to the schema of this release: made fresh from the models, or migrated by Alembic, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, MetaData, text

from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases import audit_tables  # noqa: F401  # its tables belong to both schemas
from mailgate.tenancy.databases.models import RegistryBase, TenantBase

MIGRATIONS = Path(__file__).parent / "migrations"

_VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@dataclass(frozen=True, slots=True)
class Schema:
    """`head` is the newest revision in `versions`. Revisions are named `0001`, `0002`, ... so that they sort by age."""

    name: str
    metadata: MetaData
    head: str
    versions: Path

    def bring_up(self, connection: Connection, must_exist: bool = False) -> None:
        """Runs inside the caller's transaction: a crash leaves the database as it was. Raises UnavailableError for
        a schema newer than this release, a database that is none of ours, or an empty one where it `must_exist`."""
        found = self._version_of(connection)
        if found is None and must_exist:
            raise UnavailableError(f"{self.name} database: it is empty; put it back from a backup")
        if found == self.head:
            return
        if found is None:
            self._create(connection)
        elif found.isdigit() and found < self.head:
            self.migrate(connection)
        else:
            raise UnavailableError(
                f"{self.name} database: its schema is revision {found}, this release knows up to {self.head}; "
                "run the newer release of mailgate that wrote it"
            )

    def _version_of(self, connection: Connection) -> str | None:
        """None for an empty database: alembic is slow to import and to start, so its table is read directly."""
        tables = set(connection.scalars(text("SELECT name FROM sqlite_master")))
        if not tables:
            return None
        if "alembic_version" not in tables:
            raise UnavailableError(f"{self.name} database: it holds tables, but not those of mailgate")
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))

    def _create(self, connection: Connection) -> None:
        self.metadata.create_all(connection, checkfirst=False)
        connection.execute(text(_VERSION_TABLE))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": self.head})

    def migrate(self, connection: Connection) -> None:
        """Runs every migration that the database lacks; from an empty one the result is the same as made fresh."""
        from alembic import command  # imported here: it takes a second, and most processes never migrate
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", _escaped(MIGRATIONS))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", _escaped(self.versions))
        config.attributes.update(connection=connection, metadata=self.metadata)
        command.upgrade(config, "head")


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


REGISTRY = Schema("registry", RegistryBase.metadata, "0005", MIGRATIONS / "registry")
TENANT = Schema("tenant", TenantBase.metadata, "0010", MIGRATIONS / "tenant")
