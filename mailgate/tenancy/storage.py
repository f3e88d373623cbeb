"""What lies on disk: registry, tenants' databases and folders, keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailgate.tenancy.databases.database import Database, TenantDatabases
from mailgate.tenancy.databases.folders import Folders
from mailgate.tenancy.databases.schema import REGISTRY
from mailgate.tenancy.keys import KeyRing
from mailgate.tenancy.registry import Registry


@dataclass(frozen=True, slots=True)
class Storage:
    registry_database: Database
    registry: Registry
    databases: TenantDatabases
    folders: Folders
    keys: KeyRing
    clock: Callable[[], float]

    def close(self) -> None:
        self.databases.close_all()
        self.registry_database.close()


def open_storage(data_dir: Path, clock: Callable[[], float], master_key_file: Path | None) -> Storage:
    """Raises UnavailableError where the registry can't be read. A master key is made only at its own place in the data
    directory, never at one that was named."""
    folders, database = Folders(data_dir), Database(data_dir / "registry.db", REGISTRY)
    registry = Registry(database)
    keys = KeyRing(registry, master_key_file or data_dir / "master.key", master_key_file is None)
    return Storage(database, registry, TenantDatabases(folders.database, clock), folders, keys, clock)
