"""How the store ended the last time. After an end that was not in order (a crash, a power failure) its databases are
looked through before it goes on."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from mailgate.model.errors import UserError
from mailgate.spool import durable
from mailgate.spool.trouble import RESTORE
from mailgate.tenancy.databases import checking
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
    """One after the other, beside the work and in a process of its own, since this one works on them by another copy of
    SQLite. One that is damaged costs its tenant only."""
    command = (sys.executable, "-P", "-m", checking.__name__)
    child = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(msgspec.json.encode({tenant: str(path) for tenant, path in databases.items()}))
        child.stdin.close()
        async for line in child.stdout:
            tenant, fault = msgspec.json.decode(line, type=tuple[str, str])
            if fault:
                _log.error(
                    "the database of tenant %s, %s, %s; put it back from a backup (docs/operations.md, Damage)",
                    tenant,
                    databases[tenant],
                    fault,
                )
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
        await child.wait()
