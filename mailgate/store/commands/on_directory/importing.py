"""Adding many users, some at a time. Arguments and results are plain JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.store.commands.on_directory.people import PeopleDesk
from mailgate.tenancy import addresses
from mailgate.tenancy.access import groups
from mailgate.tenancy.databases.models import User, UserRole
from mailgate.tenancy.logins import passwords
from mailgate.tenancy.mailboxes import aliases
from mailgate.tenancy.people import people
from mailgate.tenancy.work import Work

MOST_ROWS = 100  # in one call: recipients that are asked for meanwhile wait for its end

Row = Mapping[str, str]


def handlers(desk: PeopleDesk) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments; called from the directory's thread."""
    return {"user.import": partial(_import, desk), "user.import-check": partial(_check, desk)}


def _import(desk: PeopleDesk, tenant: str, rows: Sequence[Row]) -> list[str]:
    """Adds a user for each row that is right. What is wrong with each of the others; empty for those added.

    A row has `login`, and may have `password` (without it nobody can log in yet), `role` and `groups` (names with
    spaces between)."""
    _check_number(rows)
    with desk.directory.changing(tenant) as work:
        score = desk.rules(work.tenant.name).minimum_score
        faults = [_try(work, partial(_add, work, row, score)) for row in rows]
        added = [addresses.canonical(row["login"]) for row, fault in zip(rows, faults, strict=True) if not fault]
        if added:
            work.audit("user.import", work.tenant.name, None, {"users": added})
    return faults


def _check(desk: PeopleDesk, tenant: str, rows: Sequence[Row]) -> list[str]:
    """What `user.import` would answer. Adds nobody, and hashes no password, so it is fast."""
    _check_number(rows)
    with desk.directory.reading(tenant) as work, work.session.begin_nested() as trial:
        score = desk.rules(work.tenant.name).minimum_score
        faults = [_try(work, partial(_judge, work, row, score)) for row in rows]
        trial.rollback()
    return faults


def _check_number(rows: Sequence[Row]) -> None:
    if len(rows) > MOST_ROWS:
        raise UserError(f"{len(rows)} rows: give {MOST_ROWS} at most")


def _try(work: Work, step: Callable[[], None]) -> str:
    try:
        with work.session.begin_nested():
            step()
    except (UserError, ConflictError, NotFoundError) as error:
        return str(error)
    return ""


def _add(work: Work, row: Row, minimum_score: int) -> None:
    """The mailbox comes last, since its folder would stay behind where something else is wrong."""
    user = _person(work, row)
    if row.get("password"):
        user.password_hash = passwords.hashed(row["password"], user.login, work.tenant.name, minimum_score)
    people.add_own_mailbox(work, user)


def _judge(work: Work, row: Row, minimum_score: int) -> None:
    user = _person(work, row)
    if row.get("password"):
        passwords.check_strength(row["password"], user.login)
        passwords.check_score(row["password"], user.login, work.tenant.name, minimum_score)
    aliases.claim(work, user.login)


def _person(work: Work, row: Row) -> User:
    role = row.get("role") or UserRole.USER
    if role not in list(UserRole):
        raise UserError(f"role {addresses.shown(role)}: give {' or '.join(UserRole)}")
    user = people.add_without_password(work, row["login"])
    people.give_role(work, user, UserRole(role))
    for name in dict.fromkeys(row.get("groups", "").split()):
        groups.add_member(work, groups.find_group(work, name), user)
    return user
