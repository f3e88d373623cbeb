"""The tables of an audit log. The registry has one, and each tenant's database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import DDL, Column, Double, Integer, LargeBinary, MetaData, String, Table, event

from mailgate.tenancy.databases.models import RegistryBase, TenantBase

# The database itself refuses to change an entry, and to delete one that the anchor does not cover.
APPEND_ONLY = (
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
    "WHEN OLD.n > (SELECT coalesce(max(n), 0) FROM audit_anchor) "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
)


@dataclass(frozen=True, slots=True)
class AuditTables:
    """`anchor` holds number and hash of the last entry that was deleted because of its age."""

    entries: Table
    anchor: Table


def _made(metadata: MetaData) -> AuditTables:
    entries = Table(
        "audit",
        metadata,
        Column("n", Integer, primary_key=True, autoincrement=False),
        Column("at", Double, nullable=False, index=True),
        Column("actor", String, nullable=False),
        Column("action", String, nullable=False),
        Column("object", String, nullable=False, index=True),
        Column("before", String),
        Column("after", String),
        Column("reason", String, nullable=False),
        Column("request", String, nullable=False),
        Column("hash", LargeBinary, nullable=False),
    )
    anchor = Table(
        "audit_anchor",
        metadata,
        Column("n", Integer, primary_key=True, autoincrement=False),
        Column("hash", LargeBinary, nullable=False),
    )
    for statement in APPEND_ONLY:
        event.listen(anchor, "after_create", DDL(statement))  # type: ignore[no-untyped-call]
    return AuditTables(entries, anchor)


REGISTRY_AUDIT = _made(RegistryBase.metadata)
TENANT_AUDIT = _made(TenantBase.metadata)
