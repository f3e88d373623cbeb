"""Who exists here: recipients, accounts and mailboxes, of all tenants. The one door to registry and tenant databases.

Everything is called from one thread. Answers for recipients come from memory; a tenant's addresses
are read when the first of them is asked for, and again after a change."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from mailgate.model.address import AddressError
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.model.errors import NotFoundError, UnavailableError
from mailgate.tenancy import acting, addresses
from mailgate.tenancy.access import assignments, visibility
from mailgate.tenancy.acting import Caller, Role
from mailgate.tenancy.audit import log as audit_log
from mailgate.tenancy.audit.chain import Head
from mailgate.tenancy.audit.log import AuditLog
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.ids import GATEWAY_MAILBOX, TenantId, tenant_of_mailbox
from mailgate.tenancy.databases.models import UserState
from mailgate.tenancy.lifecycle import TenantLife
from mailgate.tenancy.logins import failed_logins
from mailgate.tenancy.logins.operators import Operators
from mailgate.tenancy.mailboxes import mailboxes
from mailgate.tenancy.mailboxes.address_maps import AddressMaps
from mailgate.tenancy.people import people
from mailgate.tenancy.people.mail_access import MailAccess, MailboxPlace, access_of
from mailgate.tenancy.recipients import Recipients
from mailgate.tenancy.registry import Tenant, no_tenant
from mailgate.tenancy.storage import open_storage
from mailgate.tenancy.work import Work

RETRY_SECONDS = 30.0  # before a tenant database that could not be read is opened again

logger = logging.getLogger(__name__)


class Directory:
    """Raises UnavailableError where the registry can't be read. `hostname` is the gateway's own name. `recipients`
    answers who is behind an address, `life` makes and removes tenants, `operators` knows those of the gateway."""

    def __init__(
        self,
        data_dir: Path,
        clock: Callable[[], float] = time.time,
        master_key_file: Path | None = None,
        hostname: str = "",
    ) -> None:
        self._storage = storage = open_storage(data_dir, clock, master_key_file)
        self._registry = storage.registry
        self._clock = clock
        self.operators = Operators(storage.registry_database)
        self._maps = AddressMaps(self.looking_up)
        self.recipients = Recipients(storage, self._maps, hostname)
        self.life = TenantLife(storage, self.tenant, self.reading, self._forget, self._tell)
        self._failed_until: dict[TenantId, float] = {}
        self._listeners: list[Callable[[TenantName], None]] = []
        self._forgiven_listeners: list[Callable[[str], None]] = []
        self._damage_listeners: list[Callable[[int], None]] = []

    # Questions of the edge

    def tenant_at(self, domain: str) -> Tenant | None:
        """Who hosts it? `domain` as A-label in lower case."""
        return self._registry.hosting(domain)

    def maildir(self, mailbox: MailboxId) -> Path:
        """Needs no database. Raises NotFoundError for what is no mailbox id."""
        return self._storage.folders.maildir(mailbox)

    def mailbox_address(self, mailbox: MailboxId) -> str:
        """Empty where the mailbox is switched off, or gone. Raises UnavailableError where the database can't be
        read."""
        if mailbox == GATEWAY_MAILBOX:
            return ""
        owner = tenant_of_mailbox(mailbox)
        tenant = next((tenant for tenant in self._registry if tenant.id == owner), None)
        if tenant is None or not tenant.is_active:
            return ""
        with self.looking_up(tenant) as work:
            return mailboxes.active_address(work, mailbox)

    def mailboxes_of(self, login: str) -> tuple[TenantName, frozenset[MailboxId]]:
        """The tenant of a user, and the mailboxes that it may put mail into. Raises NotFoundError, UnavailableError."""
        tenant = self.tenant(self.tenant_of(login))
        with self.looking_up(tenant) as work:
            user = people.find_user(work, login)
            return tenant.name, assignments.writable(work, user.id)

    def mail_access(self, login: str) -> MailAccess:
        """What an IMAP session of the user gets. Raises NotFoundError where there is nothing that it may have,
        UnavailableError where the database can't be read."""
        with self.looking_up(self.tenant(self.tenant_of(login))) as work:
            return access_of(work, login)

    def mailbox_place(self, address: str) -> MailboxPlace:
        """Where mail for the address lies if it leads to one mailbox; raises like `mail_access`, or UserError."""
        with self.looking_up(self.tenant(self.tenant_of(address))) as work:
            mailbox = mailboxes.find_mailbox(work, address)
            return MailboxPlace(work.tenant.name, self.maildir(mailbox.id), mailbox.quota)

    # Changes

    def on_change(self, listener: Callable[[TenantName], None]) -> None:
        """`listener` is called after each committed change with the tenant's name, or with an empty one where domains
        came or went (what was foreign may not be so any more)."""
        self._listeners.append(listener)

    @property
    def registry_database(self) -> Database:
        """For what belongs to no tenant."""
        return self._storage.registry_database

    def on_forgiven(self, listener: Callable[[str], None]) -> None:
        """`listener` is called with a canonical login whose failed logins count no more."""
        self._forgiven_listeners.append(listener)

    def on_damage(self, listener: Callable[[int], None]) -> None:
        """`listener` is called with the number of tenants whose database can't be read, whenever it changes."""
        self._damage_listeners.append(listener)

    def forgive(self, login: str) -> None:
        failed_logins.forgive(self._storage.registry_database, login)
        for listener in self._forgiven_listeners:
            listener(login)

    @property
    def tenants(self) -> Iterable[Tenant]:
        """Those that exist for the caller."""
        caller = acting.current().caller
        return (tenant for tenant in self._registry if caller.sees(tenant.name))

    def tenant(self, name: str) -> Tenant:
        """Raises NotFoundError, also for a tenant that does not exist for the caller."""
        if not acting.current().caller.sees(name):
            raise no_tenant(name)
        return self._registry.named(name)

    def tenant_of(self, address: str) -> TenantName:
        """The tenant that hosts the address' domain; raises NotFoundError."""
        try:
            tenant = self._registry.hosting(addresses.canonical_or_catch_all(address).rpartition("@")[2])
        except AddressError:
            tenant = None
        if tenant is None or not acting.current().caller.sees(tenant.name):
            raise NotFoundError(f"{addresses.shown(address)} is at no domain that is hosted here")
        return tenant.name

    @property
    def now(self) -> float:
        return self._clock()

    def caller(self, login: str) -> Caller:
        """Whoever logged in under this name, as they stand now; NotFoundError where they may not go on."""
        tenant = self.tenant(self.tenant_of(login))
        with self.reading(tenant.name) as work:
            user = people.find_user(work, login)
            if not tenant.is_active or user.state is UserState.DISABLED:
                raise people.no_user(login, tenant.name)
            return Caller(user.login, Role(user.role), tenant.name, user.login)

    @contextmanager
    def reading(self, name: str) -> Iterator[Work]:
        """One transaction on the tenant's database."""
        tenant = self.tenant(name)
        with self._storage.databases.get(tenant.id).session() as session:
            yield Work(tenant, session, self._storage.folders, self._clock(), acting.current())

    def visible_mailboxes(self, name: str) -> frozenset[MailboxId]:
        """Those of the tenant that exist for the caller, who is no operator."""
        with self.reading(name) as work:
            return visibility.visible(work) or frozenset()

    def visible_addresses(self, name: str) -> frozenset[str]:
        """What the mailboxes are known by that exist for the caller."""
        with self.reading(name) as work:
            return frozenset(mailbox.address for mailbox in mailboxes.list_mailboxes(work))

    @contextmanager
    def _audited(self, name: str) -> Iterator[Work]:
        """Like `reading`; once committed, the registry notes how far the audit log reaches."""
        with self.reading(name) as work:
            yield work
        head = audit_log.appended(work.session)
        if head is not None:
            self._registry.note_audit(work.tenant.id, head)

    @contextmanager
    def changing(self, name: str) -> Iterator[Work]:
        """Like `reading`; once committed, the addresses in memory are dropped and the listeners told."""
        with self._audited(name) as work:
            yield work
        self._maps.drop(work.tenant.id)
        self._tell(work.tenant.name)

    @contextmanager
    def audit(self, tenant: str) -> Iterator[tuple[AuditLog, Session]]:
        """The audit log of the tenant, or of the gateway where the name is empty; one transaction."""
        if not tenant:
            with self._storage.registry_database.session() as session:
                yield audit_log.REGISTRY, session
            return
        with self.reading(tenant) as work:
            yield audit_log.TENANT, work.session

    def audit_checkpoint(self, name: str) -> Head | None:
        """How far the tenant's log reached by what the registry noted; None before the first change."""
        return self._registry.noted_audit(self.tenant(name).id)

    def note_deed(self, name: TenantName, action: str, object: str, facts: audit_log.Facts) -> None:
        """For a change outside the databases of this directory. It goes to the gateway's log where there is no such
        tenant, or where its database can't be read."""
        try:
            with self._audited(name) as work:
                work.audit(action, object, None, facts)
        except (NotFoundError, UnavailableError):
            with self._storage.registry_database.session() as session:
                told = {**facts, "tenant": name}
                audit_log.REGISTRY.append(session, acting.current(), self._clock(), action, object, None, told)

    def prune_audit(self, name: str, before: float) -> int:
        """Deletes entries from before this time, of the gateway's log where the name is empty; how many."""
        with self.audit(name) as (log, session):
            return log.prune(session, before)

    def content_key(self, name: str) -> bytes:
        """The key for the tenant's new contents (AES-256); raises UnavailableError without the right master key."""
        tenant = self.tenant(name)
        return self._storage.keys.content_key(tenant.id, tenant.key_id)

    def release_key(self, name: str) -> bytes:
        """The key of the tenant's release addresses; raises UnavailableError without the right master key."""
        return hmac.digest(self.content_key(name), b"mailgate release addresses", hashlib.sha256)

    def close(self) -> None:
        self._storage.close()

    # Inside

    @contextmanager
    def looking_up(self, tenant: Tenant) -> Iterator[Work]:
        """Like `reading`, for what the other processes ask. A damaged database is reported once and left alone for a
        while; the other tenants go on."""
        now = self._clock()
        if now < self._failed_until.get(tenant.id, now):
            raise UnavailableError(f"tenant {tenant.name}: its database can't be read")
        try:
            with self.reading(tenant.name) as work:
                yield work
        except UnavailableError as error:
            self._note_damage(tenant.id, now + RETRY_SECONDS)
            self._storage.databases.close(tenant.id)
            logger.error("tenant unavailable", extra={"tenant": tenant.name, "reason": str(error)})
            raise
        self._note_damage(tenant.id, None)

    def _forget(self, tenant: TenantId) -> None:
        self._maps.drop(tenant)
        self._note_damage(tenant, None)

    def _note_damage(self, tenant: TenantId, until: float | None) -> None:
        before = len(self._failed_until)
        if until is None:
            self._failed_until.pop(tenant, None)
        else:
            self._failed_until[tenant] = until
        for listener in self._damage_listeners if len(self._failed_until) != before else ():
            listener(len(self._failed_until))

    def _tell(self, tenant: TenantName) -> None:
        for listener in self._listeners:
            listener(tenant)
