"""The tables of the registry (one for the gateway) and of a tenant's database (one each). Times: seconds since 1970."""

from __future__ import annotations

import enum

from sqlalchemy import Double, Enum, ForeignKey, Index, MetaData, String, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mailgate.model.envelope import MailboxId
from mailgate.tenancy.databases.ids import AppPasswordId, GroupId, KeyId, TenantId, UserId

# Constraints need names, or a later migration can't drop them.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_COLUMN_TYPES = {
    AppPasswordId: String(),
    GroupId: String(),
    KeyId: String(),
    MailboxId: String(),
    TenantId: String(),
    UserId: String(),
    float: Double(),
}


class TenantState(enum.StrEnum):
    """DISABLED: mail is refused with 550 5.2.1 and nobody can log in; nothing is deleted."""

    ACTIVE = "active"
    DISABLED = "disabled"


class UserState(enum.StrEnum):
    """DISABLED is set by people: nobody can log in. LOCKED by too many wrong passwords: one can only from networks that
    the user has logged in from before, or with an app password. Mail arrives in each."""

    ACTIVE = "active"
    DISABLED = "disabled"
    LOCKED = "locked"


class UserRole(enum.StrEnum):
    """An ADMINISTRATOR looks after the people and mailboxes of the own tenant; it opens nobody's mailbox."""

    USER = "user"
    ADMINISTRATOR = "administrator"


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


class FailedLogins(RegistryBase):
    """Back-off after failed logins of a network, an account, or an account from a network, whether there is such an
    account or not. `key` is made of digests, so that the list names nobody."""

    __tablename__ = "failed_logins"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[float]
    blocked_until: Mapped[float]


class Upgrade(RegistryBase):
    """When a form of data that earlier releases wrote came to its end here, as `name` says."""

    __tablename__ = "upgrades"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[float]


class TenantKeyRow(RegistryBase):
    """A tenant's content key, wrapped by the master key whose fingerprint is `master_key`."""

    __tablename__ = "tenant_keys"

    id: Mapped[KeyId] = mapped_column(primary_key=True)
    tenant_id: Mapped[TenantId] = mapped_column(ForeignKey("tenants.id"), index=True)
    master_key: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[float]


class AuditCheckpoint(RegistryBase):
    """How far a tenant's audit log reached: what is cut off its end in the tenant's own database is missed here."""

    __tablename__ = "audit_checkpoints"

    tenant_id: Mapped[TenantId] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    n: Mapped[int]
    hash: Mapped[bytes]


class Operator(RegistryBase):
    """Who may look after the gateway: `key` is an Ed25519 public key, its 32 octets."""

    __tablename__ = "operators"

    name: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[float]


class TenantBase(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = _COLUMN_TYPES


class User(TenantBase):
    """`login` is a canonical address; `password_hash` an encoded argon2id hash. `locked_until`: when a lock
    ends by itself, None where somebody must unlock the user. `role_since`: when the present role was given. `made_by`:
    logins with a space between, of who made the user or gave the role, and of who had made those, and so on."""

    __tablename__ = "users"

    id: Mapped[UserId] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    state: Mapped[UserState] = mapped_column(_stored(UserState))
    password_changed_at: Mapped[float]
    created_at: Mapped[float]
    role: Mapped[UserRole] = mapped_column(_stored(UserRole), default=UserRole.USER, server_default=UserRole.USER)
    locked_until: Mapped[float | None]
    role_since: Mapped[float] = mapped_column(default=0.0, server_default="0")
    made_by: Mapped[str] = mapped_column(default="", server_default="")


class AppPassword(TenantBase):
    """A password for one mail program: long and random, so that `digest` may be a fast hash. `scopes`: protocols that
    it opens, sorted, with a space between."""

    __tablename__ = "app_passwords"

    id: Mapped[AppPasswordId] = mapped_column(primary_key=True)
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    digest: Mapped[bytes]
    scopes: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    last_used_at: Mapped[float | None]


class Group(TenantBase):
    """People who are given rights together. `skeleton` finds names that look alike."""

    __tablename__ = "groups"

    id: Mapped[GroupId] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    skeleton: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[float]


class GroupMember(TenantBase):
    __tablename__ = "group_members"

    group_id: Mapped[GroupId] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[float]


class Login(TenantBase):
    """Tries to log in as the user that were alike (`protocol`, `address`, `result`, `app_password`) and less than an
    hour apart: `times` in all from `first_at` to `last_at`."""

    __tablename__ = "logins"
    __table_args__ = (Index("ix_logins_user_id_last_at", "user_id", "last_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    protocol: Mapped[str]
    address: Mapped[str]
    result: Mapped[str]
    app_password: Mapped[str]
    first_at: Mapped[float]
    last_at: Mapped[float]
    times: Mapped[int]


class KnownNetwork(TenantBase):
    """A network that the user has logged in from, last on `day` (days since 1970); `network` is a digest."""

    __tablename__ = "known_networks"

    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    network: Mapped[bytes] = mapped_column(primary_key=True)
    day: Mapped[int]


class SentHour(TenantBase):
    """What the user submitted in the hour that began `hour` hours after 1970."""

    __tablename__ = "sent_hours"

    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    messages: Mapped[int]
    recipients: Mapped[int]


class Brake(TenantBase):
    """Mail that the user submits is held since `created_at`, because of `reason`."""

    __tablename__ = "brakes"

    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    reason: Mapped[str]
    created_at: Mapped[float]


class Mailbox(TenantBase):
    """`address` is the one that people know it by, canonical; more lead to it through `targets`. `quota` in bytes; None
    for the policy's, 0 for none. `private` from its first assignment on: it exists for those it is assigned to only,
    also once nobody is left."""

    __tablename__ = "mailboxes"

    id: Mapped[MailboxId] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(ForeignKey("addresses.address"), unique=True)
    kind: Mapped[MailboxKind] = mapped_column(_stored(MailboxKind))
    state: Mapped[MailboxState] = mapped_column(_stored(MailboxState))
    created_at: Mapped[float]
    quota: Mapped[int | None]
    private: Mapped[bool] = mapped_column(default=False, server_default=false())


class Assignment(TenantBase):
    """What the user may do in the mailbox (`rights`: letters, see `rights.py`). Who has no assignment must not learn
    that it exists."""

    __tablename__ = "assignments"

    mailbox_id: Mapped[MailboxId] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    rights: Mapped[str]
    created_at: Mapped[float]


class GroupAssignment(TenantBase):
    """What every member of the group may do in the mailbox, besides what is assigned to them."""

    __tablename__ = "group_assignments"

    mailbox_id: Mapped[MailboxId] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[GroupId] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True)
    rights: Mapped[str]
    created_at: Mapped[float]


class AddressRow(TenantBase):
    """A canonical address, with an empty local part for all others of its domain; `skeleton` finds those that look
    alike. It leads to the mailboxes of its `targets`, to those of a group, and `onward` to other addresses."""

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


class GroupTarget(TenantBase):
    """Mail for the address goes to every member of the group, into the mailbox that has the member's login as its
    address."""

    __tablename__ = "group_targets"

    address: Mapped[str] = mapped_column(ForeignKey("addresses.address", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[GroupId] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True)


class Onward(TenantBase):
    """Mail for the address goes where `to` leads: a canonical address of the tenant, or a path elsewhere."""

    __tablename__ = "onward"

    address: Mapped[str] = mapped_column(ForeignKey("addresses.address", ondelete="CASCADE"), primary_key=True)
    to: Mapped[str] = mapped_column(primary_key=True, index=True)


class BreakGlass(TenantBase):
    """An administrator's access to a mailbox that is not theirs: asked for with a reason, open once a second one has
    confirmed it, until `expires_at` or until somebody ends it. Names are logins, so that they outlive the users."""

    __tablename__ = "break_glass"

    id: Mapped[str] = mapped_column(primary_key=True)
    mailbox_id: Mapped[MailboxId] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), index=True)
    requested_by: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str]
    hours: Mapped[int]
    requested_at: Mapped[float]
    confirmed_by: Mapped[str | None]
    expires_at: Mapped[float | None]
    ended_at: Mapped[float | None]


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
