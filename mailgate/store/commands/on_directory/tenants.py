"""Administrative commands on tenants and aliases. Arguments and results are plain JSON values.

Each command works on one tenant, so none can reach or betray another's people. Those that act on one existing thing
take its address alone: a domain belongs to one tenant. Nothing here deletes mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mailgate.model.address import AddressError
from mailgate.model.errors import UnavailableError, UserError
from mailgate.tenancy import addresses
from mailgate.tenancy.databases.models import TenantState
from mailgate.tenancy.databases.schema import TENANT
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.mailboxes import aliases, lists
from mailgate.tenancy.mailboxes.lists import Alias, Leads
from mailgate.tenancy.people import people
from mailgate.tenancy.registry import Tenant
from mailgate.tenancy.work import Work

Json = dict[str, Any]


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError, NotFoundError, ConflictError (it exists
    already, or is in use) and UnavailableError; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def _tenant_add(directory: Directory, name: str, domains: Sequence[str] = (), postmaster: str = "") -> Json:
    """`postmaster` gets what comes for postmaster@ and abuse@ the domains; it can't lie at one of them, where
    nobody has a mailbox yet."""
    try:
        reader = addresses.canonical(postmaster) if postmaster else ""
    except AddressError as error:
        raise UserError(f"{addresses.shown(postmaster)}: {error}") from None
    if reader.rpartition("@")[2] in {addresses.new_domain(domain) for domain in domains}:
        raise UserError(
            f"{addresses.shown(postmaster)} does not exist yet: add the tenant and that mailbox, then "
            f"`mailgate alias add {name} postmaster@DOMAIN {addresses.shown(postmaster)}`, and the same for abuse@"
        )
    tenant = directory.life.add(name, domains)
    if reader:
        for address in (f"{local}@{domain}" for domain in tenant.domains for local in sorted(addresses.ON_DUTY)):
            _alias_add(directory, name, address, forwards=[reader])
    return _tenant_facts(tenant)


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


def _tenant_migrate(directory: Directory, name: str) -> str:
    """The revision of the schema. Opening a database brings it up, in one transaction; UnavailableError where that
    can't be done, or where a newer release wrote it."""
    with directory.reading(name):
        return TENANT.head


def _tenant_state(state: TenantState, directory: Directory, name: str) -> None:
    directory.life.set_state(name, state)


def _domain_add(directory: Directory, tenant: str, domain: str) -> str:
    return directory.life.add_domain(tenant, domain)


def _domain_remove(directory: Directory, tenant: str, domain: str) -> str:
    return directory.life.remove_domain(tenant, domain)


def _alias_add(
    directory: Directory,
    tenant: str,
    address: str,
    targets: Sequence[str] = (),
    groups: Sequence[str] = (),
    forwards: Sequence[str] = (),
) -> Json:
    with directory.changing(tenant) as work:
        alias = lists.add(work, address, Leads(targets, groups, forwards))
        work.audit("alias.add", alias.address, None, alias.facts)
        return _alias_facts(alias)


def _alias_change(
    change: Callable[[Work, str, Leads], Alias],
    action: str,
    directory: Directory,
    address: str,
    targets: Sequence[str] = (),
    groups: Sequence[str] = (),
    forwards: Sequence[str] = (),
) -> Json:
    leads = Leads(targets, groups, forwards)
    if not leads:
        raise UserError("name at least one mailbox, group or address")
    with directory.changing(directory.tenant_of(address)) as work:
        before = lists.described(work, aliases.known(work, address))
        after = change(work, address, leads)
        work.audit(action, after.address, before.facts, after.facts)
        return _alias_facts(after)


def _alias_list(directory: Directory, tenant: str) -> list[Json]:
    with directory.reading(tenant) as work:
        return [_alias_facts(alias) for alias in lists.listed(work)]


def _alias_remove(directory: Directory, address: str) -> str:
    with directory.changing(directory.tenant_of(address)) as work:
        before = lists.described(work, aliases.known(work, address))
        alias = aliases.remove_alias(work, address)
        work.audit("alias.remove", alias, before.facts)
        return alias


def _alias_facts(alias: Alias) -> Json:
    return {"address": alias.address, "leads": alias.leads, **alias.facts}


def _tenant_facts(tenant: Tenant) -> Json:
    return {
        "name": tenant.name,
        "id": tenant.id,
        "state": str(tenant.state),
        "domains": list(tenant.domains),
        "key_id": tenant.key_id,
        "created_at": tenant.created_at,
    }


_COMMANDS: dict[str, Callable[..., Any]] = {
    "tenant.add": _tenant_add,
    "tenant.list": _tenant_list,
    "tenant.show": _tenant_show,
    "tenant.migrate": _tenant_migrate,
    "tenant.disable": partial(_tenant_state, TenantState.DISABLED),
    "tenant.enable": partial(_tenant_state, TenantState.ACTIVE),
    "tenant.domain.add": _domain_add,
    "tenant.domain.remove": _domain_remove,
    "alias.add": _alias_add,
    "alias.extend": partial(_alias_change, lists.extend, "alias.extend"),
    "alias.shrink": partial(_alias_change, lists.shrink, "alias.shrink"),
    "alias.list": _alias_list,
    "alias.remove": _alias_remove,
}
