"""Can every tenant's database be read? Looked at file by file, beside a gateway that runs; nothing is changed."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from pathlib import Path

import apsw

from mailgate.ops import privacy
from mailgate.ops.checks import Check, fail, ok
from mailgate.tenancy.databases.checking import look

MOST_NAMED = 5
RESTORE = "put back tenants/ID/tenant.db from a backup (docs/operations.md); until then mail for them is deferred"


def tenants(data_dir: Path) -> Check:
    """Fails where one can't be: its mail gets 451, the others go on."""
    try:
        listed = _listed(data_dir / "registry.db")
    except OSError as error:
        return fail("tenants", f"{error.filename}: {error.strerror}", _give_back(data_dir))
    except apsw.Error as error:
        return fail("tenants", f"{data_dir / 'registry.db'}: {error}", "put it back from a backup")
    faults = [
        f"{name}: {path}: {fault}"
        for name, tenant in listed
        if (fault := look(path := data_dir / "tenants" / tenant / "tenant.db", "alembic_version").fault)
    ]
    if not faults:
        return ok("tenants", f"databases that can be read: {len(listed)}", count=len(listed), damaged=0)
    more = len(faults) - MOST_NAMED
    told = "; ".join([*faults[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
    is_all_ours = not any(fault.endswith(os.strerror(errno.EACCES)) for fault in faults)
    advice = RESTORE if is_all_ours else _give_back(data_dir)
    return fail("tenants", told, advice, count=len(listed), damaged=len(faults))


def names(data_dir: Path) -> frozenset[str] | None:
    """The tenants that there are; None where nobody can say, as before the first start."""
    try:
        return frozenset(name for name, _ in _listed(data_dir / "registry.db")) or None
    except (OSError, apsw.Error):
        return None


def _give_back(data_dir: Path) -> str:
    return f"as root: {privacy.chown_line(data_dir)}; until then mail for them is deferred"


def _listed(registry: Path) -> list[tuple[str, str]]:
    """Name and id of each tenant; none before the first start."""
    try:
        with registry.open("rb"):
            pass
    except FileNotFoundError:
        return []
    with closing(apsw.Connection(str(registry), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return list(connection.execute("SELECT name, id FROM tenants ORDER BY name"))
