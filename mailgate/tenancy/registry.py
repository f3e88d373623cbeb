"""Which tenants there are and which domains they host. All in memory: the question comes with every recipient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailgate.model.envelope import TenantName
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.tenancy import acting
from mailgate.tenancy.addresses import shown
from mailgate.tenancy.audit import log as audit_log
from mailgate.tenancy.audit.chain import Head
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.ids import KeyId, TenantId
from mailgate.tenancy.databases.models import AuditCheckpoint, DomainRow, TenantKeyRow, TenantRow, TenantState


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as the registry knows it; `domains` are A-labels, the oldest first."""

    id: TenantId
    name: TenantName
    state: TenantState
    key_id: KeyId
    created_at: float
    domains: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        return self.state is TenantState.ACTIVE


class Registry:
    """Every change is committed before memory follows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_name: dict[TenantName, Tenant] = {}
        self._by_domain: dict[str, Tenant] = {}
        with database.session() as session:
            domains: dict[TenantId, list[str]] = {}
            for tenant_id, domain in session.execute(
                select(DomainRow.tenant_id, DomainRow.name).order_by(DomainRow.created_at, DomainRow.name)
            ):
                domains.setdefault(tenant_id, []).append(domain)
            rows = session.execute(
                select(TenantRow.id, TenantRow.name, TenantRow.state, TenantRow.key_id, TenantRow.created_at).order_by(
                    TenantRow.created_at, TenantRow.name
                )
            )
            for tenant_id, name, state, key_id, created_at in rows:
                hosted = tuple(domains.get(tenant_id, ()))
                self._remember(Tenant(tenant_id, TenantName(name), state, key_id, created_at, hosted))

    def __iter__(self) -> Iterator[Tenant]:
        """The oldest first."""
        return iter(self._by_name.values())

    def hosting(self, domain: str) -> Tenant | None:
        return self._by_domain.get(domain)

    def named(self, name: str) -> Tenant:
        tenant = self._by_name.get(TenantName(name))
        if tenant is None:
            raise no_tenant(name)
        return tenant

    def check_free(self, name: str, domains: Iterable[str]) -> None:
        """Raises ConflictError where the name or one of the domains is taken."""
        if name in self._by_name:
            raise ConflictError(f"tenant {name} exists already")
        for domain in domains:
            if domain in self._by_domain:
                raise ConflictError(f"domain {domain} is hosted here already")

    def add(self, tenant: Tenant, key: TenantKeyRow) -> None:
        self.check_free(tenant.name, tenant.domains)
        row = TenantRow(
            id=tenant.id, name=tenant.name, state=tenant.state, key_id=tenant.key_id, created_at=tenant.created_at
        )
        with self._database.session() as session:
            session.add(row)
            session.flush()
            session.add(key)
            for domain in tenant.domains:
                session.add(DomainRow(name=domain, tenant_id=tenant.id, created_at=tenant.created_at))
            _audit(session, tenant.created_at, "tenant.add", tenant, None, {"domains": tenant.domains})
        self._remember(tenant)

    def add_domain(self, tenant: Tenant, domain: str, now: float) -> None:
        self.check_free("", [domain])
        with self._database.session() as session:
            session.add(DomainRow(name=domain, tenant_id=tenant.id, created_at=now))
            _audit(session, now, "tenant.domain.add", tenant, None, {"domain": domain})
        self._remember(replace(tenant, domains=(*tenant.domains, domain)))

    def set_state(self, tenant: Tenant, state: TenantState, now: float) -> None:
        action = "tenant.enable" if state is TenantState.ACTIVE else "tenant.disable"
        with self._database.session() as session:
            session.execute(update(TenantRow).where(TenantRow.id == tenant.id).values(state=state))
            _audit(session, now, action, tenant, {"state": tenant.state}, {"state": state})
        self._remember(replace(tenant, state=state))

    def remove_domain(self, tenant: Tenant, domain: str, now: float) -> None:
        with self._database.session() as session:
            session.execute(delete(DomainRow).where(DomainRow.name == domain))
            _audit(session, now, "tenant.domain.remove", tenant, {"domain": domain}, None)
        del self._by_domain[domain]
        self._remember(replace(tenant, domains=tuple(other for other in tenant.domains if other != domain)))

    def remove(self, tenant: Tenant, now: float, facts: audit_log.Facts) -> None:
        """With its keys: what they encrypted can be read by nobody from then on. The audit log keeps the fact."""
        before = {"id": tenant.id, "domains": tenant.domains, "created_at": tenant.created_at}
        with self._database.session() as session:
            for table in (AuditCheckpoint, DomainRow, TenantKeyRow):
                session.execute(delete(table).where(table.tenant_id == tenant.id))
            session.execute(delete(TenantRow).where(TenantRow.id == tenant.id))
            _audit(session, now, "tenant.remove", tenant, before, facts)
        del self._by_name[tenant.name]
        for domain in tenant.domains:
            del self._by_domain[domain]

    def key(self, key_id: KeyId) -> TenantKeyRow:
        """Raises NotFoundError."""
        with self._database.session() as session:
            row = session.get(TenantKeyRow, key_id)
        if row is None:
            raise NotFoundError(f"key {key_id} is not in the registry")
        return row

    def master_key_in_use(self) -> str:
        """Fingerprint of the master key that wrapped the tenants' keys; empty before the first tenant."""
        with self._database.session() as session:
            return session.scalar(select(TenantKeyRow.master_key).limit(1)) or ""

    def note_audit(self, tenant: TenantId, head: Head) -> None:
        """How far the tenant's audit log reaches now."""
        with self._database.session() as session:
            session.merge(AuditCheckpoint(tenant_id=tenant, n=head.n, hash=head.hash))

    def noted_audit(self, tenant: TenantId) -> Head | None:
        with self._database.session() as session:
            row = session.get(AuditCheckpoint, tenant)
            return None if row is None else Head(row.n, row.hash)

    def _remember(self, tenant: Tenant) -> None:
        self._by_name[tenant.name] = tenant
        for domain in tenant.domains:
            self._by_domain[domain] = tenant


def no_tenant(name: str) -> NotFoundError:
    return NotFoundError(f"there is no tenant {shown(name)}; see: mailgate tenant list")


def _audit(
    session: Session,
    now: float,
    action: str,
    tenant: Tenant,
    before: audit_log.Facts | None,
    after: audit_log.Facts | None,
) -> None:
    audit_log.REGISTRY.append(session, acting.current(), now, action, tenant.name, before, after)
