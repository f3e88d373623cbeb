"""The tables of the registry (one for the gateway) and of a tenant's database (one each). Times: seconds since 1970."""

from __future__ import annotations

import enum

from sqlalchemy import Double, Enum, ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mailgate.model.envelope import MailboxId
from mailgate.tenancy.ids import KeyId, TenantId, UserId

# Constraints need names, or a later migration can't drop them.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_COLUMN_TYPES = {TenantId: String(), UserId: String(), KeyId: String(), MailboxId: String(), float: Double()}


class TenantState(enum.StrEnum):
    """DISABLED: mail is refused with 550 5.2.1 and nobody can log in; nothing is deleted."""

    ACTIVE = "active"
    DISABLED = "disabled"


class UserState(enum.StrEnum):
    """Only ACTIVE can log in. DISABLED is set by people, LOCKED by too many wrong passwords. Mail arrives in each."""

    ACTIVE = "active"
    DISABLED = "disabled"
    LOCKED = "locked"


class MailboxKind(enum.StrEnum):
    PERSONAL = "personal"
    SHARED = "shared"


class MailboxState(enum.StrEnum):
    """DISABLED: new mail is refused with 550 5.2.1; what lies in it stays."""

    ACTIVE = "active"
    DISABLED = "disabled"


def _stored(kind: type[enum.StrEnum]) -> Enum:
    """By value, as plain text: a state can be added without rebuilding the table."""
    return Enum(kind, native_enum=False, length=16, values_callable=lambda members: [str(member) for member in members])


class RegistryBase(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = _COLUMN_TYPES


class TenantRow(RegistryBase):
    """`name` is what people and policy files say, `id` what paths say; `key_id` is the key for new contents."""

    __tablename__ = "tenants"

    id: Mapped[TenantId] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    state: Mapped[TenantState] = mapped_column(_stored(TenantState))
    key_id: Mapped[KeyId]
    created_at: Mapped[float]


class DomainRow(RegistryBase):
    """`name` is an A-label in lower case; a domain belongs to one tenant."""

    __tablename__ = "domains"

    name: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[TenantId] = mapped_column(ForeignKey("tenants.id"), index=True)
    created_at: Mapped[float]


class TenantKeyRow(RegistryBase):
    """A tenant's content key, wrapped by the master key whose fingerprint is `master_key`."""

    __tablename__ = "tenant_keys"

    id: Mapped[KeyId] = mapped_column(primary_key=True)
    tenant_id: Mapped[TenantId] = mapped_column(ForeignKey("tenants.id"), index=True)
    master_key: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[float]


class TenantBase(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = _COLUMN_TYPES


class User(TenantBase):
    """`login` is a canonical address; `password_hash` an encoded argon2id hash."""

    __tablename__ = "users"

    id: Mapped[UserId] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    state: Mapped[UserState] = mapped_column(_stored(UserState))
    password_changed_at: Mapped[float]
    created_at: Mapped[float]


class Mailbox(TenantBase):
    """`address` is the one that people know it by, canonical; more lead to it through `targets`."""

    __tablename__ = "mailboxes"

    id: Mapped[MailboxId] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(ForeignKey("addresses.address"), unique=True)
    kind: Mapped[MailboxKind] = mapped_column(_stored(MailboxKind))
    state: Mapped[MailboxState] = mapped_column(_stored(MailboxState))
    created_at: Mapped[float]


class Assignment(TenantBase):
    """What the user may do in the mailbox (`rights`: letters, see `rights.py`). Who has no assignment must not learn
    that it exists."""

    __tablename__ = "assignments"

    mailbox_id: Mapped[MailboxId] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    rights: Mapped[str]
    created_at: Mapped[float]


class AddressRow(TenantBase):
    """A canonical address; `skeleton` finds those that look alike. It leads to the mailboxes of its `targets`."""

    __tablename__ = "addresses"

    address: Mapped[str] = mapped_column(primary_key=True)
    skeleton: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float]


class Target(TenantBase):
    """Mail for the address goes into the mailbox."""

    __tablename__ = "targets"

    address: Mapped[str] = mapped_column(ForeignKey("addresses.address", ondelete="CASCADE"), primary_key=True)
    mailbox_id: Mapped[MailboxId] = mapped_column(
        ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class DkimKey(TenantBase):
    """A signing key of one of the tenant's domains: `kind` as in key records, `sealed` the private key encrypted by the
    content key `key_id`, `record` what is to be published. `retired_at` is when a newer key took its place."""

    __tablename__ = "dkim_keys"

    domain: Mapped[str] = mapped_column(primary_key=True)
    selector: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    key_id: Mapped[KeyId]
    sealed: Mapped[bytes]
    record: Mapped[str]
    created_at: Mapped[float]
    retired_at: Mapped[float | None]
