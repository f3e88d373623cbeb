"""Tenants and their domains: made, switched off and on, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from mailgate.model.envelope import TenantName
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.tenancy import addresses
from mailgate.tenancy.audit import log as audit_log
from mailgate.tenancy.databases.ids import TenantId, new_tenant_id
from mailgate.tenancy.databases.models import TenantState
from mailgate.tenancy.mailboxes import aliases
from mailgate.tenancy.registry import Tenant
from mailgate.tenancy.storage import Storage
from mailgate.tenancy.work import Work


class TenantLife:
    """`tenant` and `reading` are the directory's; `forget` drops what is held in memory of a tenant, `tell` is called
    with the tenant whose state changed, or with an empty name where domains came or went."""

    def __init__(
        self,
        storage: Storage,
        tenant: Callable[[str], Tenant],
        reading: Callable[[str], AbstractContextManager[Work]],
        forget: Callable[[TenantId], None],
        tell: Callable[[TenantName], None],
    ) -> None:
        self._storage = storage
        self._tenant = tenant
        self._reading = reading
        self._forget = forget
        self._tell = tell

    def add(self, name: str, domains: Iterable[str]) -> Tenant:
        """Folder and database first, the registry last: a crash in between leaves nothing that anyone can see."""
        tenant_name = addresses.new_tenant_name(name)
        hosted = tuple(dict.fromkeys(addresses.new_domain(domain) for domain in domains))
        self._storage.registry.check_free(tenant_name, hosted)
        tenant_id, now = new_tenant_id(), self._storage.clock()
        key = self._storage.keys.new(tenant_id, now)
        self._storage.folders.make_tenant(tenant_id)
        self._storage.databases.create(tenant_id)
        tenant = Tenant(tenant_id, tenant_name, TenantState.ACTIVE, key.id, now, hosted)
        self._storage.registry.add(tenant, key)
        self._tell(TenantName(""))
        return tenant

    def set_state(self, name: str, state: TenantState) -> None:
        tenant = self._tenant(name)
        if tenant.state is state:
            raise ConflictError(f"tenant {name} is {state} already")
        self._storage.registry.set_state(tenant, state, self._storage.clock())
        self._tell(tenant.name)

    def leaving(self, name: str) -> tuple[Tenant, Path]:
        """The tenant, and the folder with all that is its own, for whoever deletes that. Nothing here holds it open any
        more. Raises ConflictError while the tenant is active."""
        tenant = self._tenant(name)
        if tenant.is_active:
            raise ConflictError(f"tenant {name} is active; first: mailgate tenant disable {name}")
        self._forget(tenant.id)
        self._storage.databases.close(tenant.id)
        return tenant, self._storage.folders.database(tenant.id).parent

    def remove(self, name: str, facts: audit_log.Facts) -> None:
        """Name, domains and keys, once its folder is gone; `facts` go into the gateway's audit log."""
        tenant, _ = self.leaving(name)
        self._storage.registry.remove(tenant, self._storage.clock(), facts)
        self._tell(TenantName(""))

    def add_domain(self, name: str, domain: str) -> str:
        tenant, found = self._tenant(name), addresses.new_domain(domain)
        self._storage.registry.add_domain(tenant, found, self._storage.clock())
        self._tell(TenantName(""))
        return found

    def remove_domain(self, name: str, domain: str) -> str:
        """Raises ConflictError while the tenant has an address at the domain."""
        tenant, found = self._tenant(name), addresses.new_domain(domain)
        if found not in tenant.domains:
            raise NotFoundError(f"{found} is not a domain of tenant {name}")
        with self._reading(name) as work:
            taken = [address for address in aliases.all_addresses(work) if address.endswith(f"@{found}")]
        if taken:
            raise ConflictError(f"domain {found} is in use: {taken[0]} is one of {len(set(taken))} addresses there")
        self._storage.registry.remove_domain(tenant, found, self._storage.clock())
        self._tell(TenantName(""))
        return found
