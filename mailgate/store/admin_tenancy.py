"""Administrative commands on tenants, users and aliases. Arguments and results are plain JSON values.

Each command works on one tenant, so none can reach or betray another's people. Those that act on one existing thing
take its address alone: a domain belongs to one tenant. Nothing here deletes mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mailgate.model.errors import UnavailableError, UserError
from mailgate.tenancy import aliases, assignments, groups, mailboxes, people
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.models import TenantState, User, UserRole, UserState
from mailgate.tenancy.registry import Tenant
from mailgate.tenancy.work import Work

Json = dict[str, Any]


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError, NotFoundError, ConflictError (it exists
    already, or is in use) and UnavailableError; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def _tenant_add(directory: Directory, name: str, domains: Sequence[str] = ()) -> Json:
    return _tenant_facts(directory.add_tenant(name, domains))


def _tenant_list(directory: Directory) -> list[Json]:
    return [_tenant_facts(tenant) for tenant in directory.tenants]


def _tenant_show(directory: Directory, name: str) -> Json:
    """`database` and `key` are `ok` or say what is wrong."""
    facts = _tenant_facts(directory.tenant(name))
    try:
        with directory.reading(name) as work:
            users, boxes = people.count(work)
        facts |= {"users": users, "mailboxes": boxes, "database": "ok"}
    except UnavailableError as error:
        facts |= {"users": None, "mailboxes": None, "database": str(error)}
    try:
        directory.content_key(name)
        facts["key"] = "ok"
    except UnavailableError as error:
        facts["key"] = str(error)
    return facts


def _tenant_state(state: TenantState, directory: Directory, name: str) -> None:
    directory.set_tenant_state(name, state)


def _domain_add(directory: Directory, tenant: str, domain: str) -> str:
    return directory.add_domain(tenant, domain)


def _domain_remove(directory: Directory, tenant: str, domain: str) -> str:
    return directory.remove_domain(tenant, domain)


def _user_add(directory: Directory, tenant: str, login: str, password: str) -> Json:
    with directory.changing(tenant) as work:
        user = _user_facts(work, people.add_user(work, login, password))
        work.audit("user.add", user["login"], None, {"id": user["id"], "mailboxes": user["mailboxes"]})
        return user


def _user_list(directory: Directory, tenant: str) -> list[Json]:
    with directory.reading(tenant) as work:
        return [_user_facts(work, user) for user in people.list_users(work)]


def _user_passwd(directory: Directory, login: str, password: str) -> str:
    with directory.changing(directory.tenant_of(login)) as work:
        before = people.find_user(work, login).password_changed_at
        user = people.set_password(work, login, password)
        changed = {"password_changed_at": user.password_changed_at}
        work.audit("user.passwd", user.login, {"password_changed_at": before}, changed)
        return user.login


def _user_state(state: UserState, directory: Directory, login: str) -> str:
    with directory.changing(directory.tenant_of(login)) as work:
        before = people.find_user(work, login).state
        user = people.set_state(work, login, state)
        action = "user.enable" if state is UserState.ACTIVE else "user.disable"
        work.audit(action, user.login, {"state": before}, {"state": state})
        return user.login


def _user_role(directory: Directory, login: str, role: str) -> str:
    if role not in list(UserRole):
        raise UserError(f"role {role!r}: give {' or '.join(UserRole)}")
    with directory.changing(directory.tenant_of(login)) as work:
        before = people.find_user(work, login).role
        user = people.set_role(work, login, UserRole(role))
        work.audit("user.role", user.login, {"role": before}, {"role": role})
        return user.login


def _user_remove(directory: Directory, login: str) -> Json:
    """`kept`: the mailboxes that are switched off now because nobody else uses them; their mail stays."""
    with directory.changing(directory.tenant_of(login)) as work:
        before = [mailbox.address for mailbox in assignments.assigned_to(work, people.find_user(work, login).id)]
        user, kept = people.remove_user(work, login)
        work.audit("user.remove", user.login, {"id": user.id, "mailboxes": before}, {"switched_off": kept})
        return {"login": user.login, "kept": kept}


def _alias_add(directory: Directory, tenant: str, address: str, targets: Sequence[str]) -> Json:
    with directory.changing(tenant) as work:
        found = [mailboxes.find_mailbox(work, target) for target in targets]
        alias = aliases.add_alias(work, address, found)
        targets = sorted({mailbox.address for mailbox in found})
        work.audit("alias.add", alias, None, {"mailboxes": targets})
        return {"address": alias, "mailboxes": targets}


def _alias_list(directory: Directory, tenant: str) -> list[Json]:
    with directory.reading(tenant) as work:
        return [{"address": alias, "mailboxes": targets} for alias, targets in aliases.list_aliases(work)]


def _alias_remove(directory: Directory, address: str) -> str:
    with directory.changing(directory.tenant_of(address)) as work:
        before = dict(aliases.list_aliases(work)).get(work.known_address(address), [])
        alias = aliases.remove_alias(work, address)
        work.audit("alias.remove", alias, {"mailboxes": before})
        return alias


def _tenant_facts(tenant: Tenant) -> Json:
    return {
        "name": tenant.name,
        "id": tenant.id,
        "state": str(tenant.state),
        "domains": list(tenant.domains),
        "key_id": tenant.key_id,
        "created_at": tenant.created_at,
    }


def _user_facts(work: Work, user: User) -> Json:
    return {
        "login": user.login,
        "id": user.id,
        "state": str(user.state),
        "role": str(user.role),
        "groups": groups.groups_of(work, user.id),
        "mailboxes": [mailbox.address for mailbox in assignments.assigned_to(work, user.id)],
        "password_changed_at": user.password_changed_at,
        "created_at": user.created_at,
    }


_COMMANDS: dict[str, Callable[..., Any]] = {
    "tenant.add": _tenant_add,
    "tenant.list": _tenant_list,
    "tenant.show": _tenant_show,
    "tenant.disable": partial(_tenant_state, TenantState.DISABLED),
    "tenant.enable": partial(_tenant_state, TenantState.ACTIVE),
    "tenant.domain.add": _domain_add,
    "tenant.domain.remove": _domain_remove,
    "user.add": _user_add,
    "user.list": _user_list,
    "user.passwd": _user_passwd,
    "user.disable": partial(_user_state, UserState.DISABLED),
    "user.enable": partial(_user_state, UserState.ACTIVE),
    "user.role": _user_role,
    "user.remove": _user_remove,
    "alias.add": _alias_add,
    "alias.list": _alias_list,
    "alias.remove": _alias_remove,
}
