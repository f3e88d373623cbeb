"""Administrative commands on groups. Arguments and results are plain JSON values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mailgate.tenancy.access import groups
from mailgate.tenancy.databases.models import Group
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import people
from mailgate.tenancy.work import Work

Json = dict[str, Any]


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError, NotFoundError, ConflictError and
    UnavailableError; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def _add(directory: Directory, tenant: str, name: str, users: Sequence[str] = ()) -> Json:
    with directory.changing(tenant) as work:
        group = groups.add_group(work, name)
        for login in dict.fromkeys(users):
            groups.add_member(work, group, people.find_user(work, login))
        work.audit("group.add", group.name, None, _members(work, group))
        return _facts(work, group)


def _remove(directory: Directory, tenant: str, name: str) -> str:
    with directory.changing(tenant) as work:
        before = _members(work, groups.find_group(work, name))
        removed = groups.remove_group(work, name).name
        work.audit("group.remove", removed, before)
        return removed


def _list(directory: Directory, tenant: str) -> list[Json]:
    with directory.reading(tenant) as work:
        return [_facts(work, group) for group in groups.list_groups(work)]


def _member_add(directory: Directory, tenant: str, name: str, user: str) -> Json:
    with directory.changing(tenant) as work:
        group = groups.find_group(work, name)
        before = _members(work, group)
        groups.add_member(work, group, people.find_user(work, user))
        work.audit("group.member.add", group.name, before, _members(work, group))
        return _facts(work, group)


def _member_remove(directory: Directory, tenant: str, name: str, user: str) -> Json:
    with directory.changing(tenant) as work:
        group = groups.find_group(work, name)
        before = _members(work, group)
        groups.remove_member(work, group, people.find_user(work, user))
        work.audit("group.member.remove", group.name, before, _members(work, group))
        return _facts(work, group)


def _members(work: Work, group: Group) -> Json:
    """For the audit log."""
    return {"members": groups.members_of(work, group.id)}


def _facts(work: Work, group: Group) -> Json:
    members = groups.members_of(work, group.id)
    return {"name": group.name, "id": group.id, "members": members, "created_at": group.created_at}


_COMMANDS: dict[str, Callable[..., Any]] = {
    "group.add": _add,
    "group.remove": _remove,
    "group.list": _list,
    "group.member.add": _member_add,
    "group.member.remove": _member_remove,
}
