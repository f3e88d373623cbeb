"""How the store ended the last time. After an end that was not in order (a crash, a power failure) its databases are
looked through before it goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from mailgate.model.errors import UserError
from mailgate.spool import durable
from mailgate.spool.trouble import RESTORE
from mailgate.tenancy.databases.checking import look

SECONDS = 10.0  # of a start that a look through the spool may take

_log = logging.getLogger(__name__)


class Running:
    """The file DATA_DIR/spool/running, there while the store works and after it has crashed."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "spool" / "running"

    def begin(self) -> bool:
        """Whether the last end was in order."""
        was_in_order = not self._file.exists()
        self._file.touch(mode=0o600)
        durable.sync_folder(self._file.parent)
        return was_in_order

    def end(self) -> None:
        """In good order. Not synced: where it comes back the next start looks once more than it must."""
        self._file.unlink(missing_ok=True)


def look_through(data_dir: Path) -> None:
    """Blocking. UserError where the spool's database or the registry is damaged."""
    _log.warning("the store did not end in good order the last time; its databases are looked through")
    spool, registry = data_dir / "spool" / "spool.db", data_dir / "registry.db"
    for path, table, advice in (
        (spool, "message", RESTORE),
        (registry, "tenants", "stop the gateway and put registry.db back from a backup (docs/operations.md, Backup)"),
    ):
        if not path.exists():
            continue
        found = look(path, table, SECONDS)
        if found.fault:
            raise UserError(f"{path} {found.fault}: {advice}")
        if not found.is_whole:
            _log.warning(
                "%s was looked through in part, for %.0f s; `mailgate doctor` looks at all of it", path, SECONDS
            )


async def look_through_tenants(databases: Mapping[str, Path]) -> None:
    """One after the other, beside the work. One that is damaged costs its tenant only."""
    for tenant, path in databases.items():
        found = await asyncio.to_thread(look, path, "alembic_version", SECONDS)
        if found.fault:
            _log.error(
                "the database of tenant %s, %s, %s; put it back from a backup (docs/operations.md, Damage)",
                tenant,
                path,
                found.fault,
            )
