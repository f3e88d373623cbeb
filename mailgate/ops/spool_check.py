"""Are the spool's database and the registry sound, and which mail in the spool is known to be damaged? Read beside a
gateway that runs; nothing is changed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw

from mailgate.ops.checks import Check, fail, ok, warn
from mailgate.ops.health import RESTORE_CONTENT, damaged_words
from mailgate.spool.damage import damaged
from mailgate.spool.schema import VERSION
from mailgate.spool.trouble import RESTORE
from mailgate.tenancy.databases.checking import look


def spool(data_dir: Path) -> Check:
    path, registry = data_dir / "spool" / "spool.db", data_dir / "registry.db"
    try:
        if not path.exists():
            return ok("spool", "no message was accepted yet")
    except OSError as error:
        return fail("spool", f"{path}: {error.strerror}", "see `permissions`")
    for database, table, advice in (
        (path, "message", RESTORE),
        (registry, "tenants", "stop the gateway and put it back from a backup (docs/operations.md, Backup)"),
    ):
        if database.exists() and (fault := look(database, table).fault):
            return fail("spool", f"{database} {fault}", advice)
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.set_busy_timeout(5_000)
        # an older one gets the list of damaged messages when the gateway starts
        found = damaged(connection) if connection.pragma("user_version") == VERSION else []
    if found:
        return warn("spool", damaged_words([each.queue_id for each in found]), RESTORE_CONTENT, damaged=len(found))
    return ok("spool", "its database is sound, and no message is known to be damaged")
