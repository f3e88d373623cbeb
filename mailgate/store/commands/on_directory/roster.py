"""Commands on all of a tenant's people and mailboxes at once. Arguments and results are plain JSON values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mailgate.model.errors import ConflictError
from mailgate.store.commands.on_directory import roster_file
from mailgate.store.commands.on_directory.roster_check import Checker
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import roster_tables
from mailgate.tenancy.people.roster import Change, differences
from mailgate.tenancy.people.roster_tables import EntryError
from mailgate.tenancy.work import Work

Json = dict[str, Any]


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError, NotFoundError, ConflictError and
    UnavailableError; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def _export(directory: Directory, tenant: str) -> str:
    """The text of a file that `directory.apply` takes."""
    with directory.reading(tenant) as work:
        return roster_file.render(roster_tables.read(work), work.tenant.name)


def _compare(directory: Directory, tenant: str, text: str, source: str) -> Json:
    """What `directory.apply` would change. `source` is how the file is called; `plan` names these very changes."""
    tables, problems = roster_file.read_tables(text, source)
    with directory.reading(tenant) as work:
        wanted = Checker(work.tenant.domains, problems).roster(tables)
        return _told(differences(roster_tables.read(work), roster_tables.reachable(work, wanted)))


def _apply(directory: Directory, tenant: str, text: str, source: str, plan: str) -> Json:
    """In one transaction. ConflictError where the changes are others meanwhile than those that `plan` names, or where
    one of them is not possible: then nothing was changed."""
    tables, problems = roster_file.read_tables(text, source)
    with directory.changing(tenant) as work:
        checker = Checker(work.tenant.domains, problems)
        target = roster_tables.reachable(work, checker.roster(tables))
        found = differences(roster_tables.read(work), target)
        if _plan(found) != plan:
            raise ConflictError(f"the directory of tenant {tenant} was changed meanwhile; compare again")
        try:
            roster_tables.apply(work, target)
        except EntryError as error:
            line = problems.lines.line(checker.places.get(error.name, ()))
            raise ConflictError(f"{source}:{line}: {error}; nothing was changed") from error
        _audit(work, found)
    return _told(found)


def _audit(work: Work, found: Sequence[Change]) -> None:
    if found:
        work.audit("directory.apply", work.tenant.name, None, {"changes": list(map(str, found))})


def _told(found: Sequence[Change]) -> Json:
    """`without_password`: the new users, for whom somebody must set one."""
    new = [change.name[1] for change in found if change.sign == "+" and change.name[0] == "user"]
    changes = [
        {"sign": change.sign, "kind": change.name[0], "name": change.name[1], "facts": list(change.facts)}
        for change in found
    ]
    return {"changes": changes, "plan": _plan(found), "without_password": new}


def _plan(found: Sequence[Change]) -> str:
    return hashlib.blake2b("\n".join(map(str, found)).encode(), digest_size=16).hexdigest()


_COMMANDS: dict[str, Callable[..., Any]] = {
    "directory.export": _export,
    "directory.compare": _compare,
    "directory.apply": _apply,
}
