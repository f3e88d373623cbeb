"""Looking accounts up by what people type as their login name, and writing down what came of it. Called from the
directory's thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from sqlalchemy import select

from mailgate.ipc.calls import Authenticated, Protocol
from mailgate.model.address import AddressError
from mailgate.model.errors import NotFoundError, UnavailableError
from mailgate.tenancy import addresses
from mailgate.tenancy.access import assignments
from mailgate.tenancy.addresses import canonical_local
from mailgate.tenancy.databases.models import User, UserState
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins import app_passwords, failed_logins, known_networks
from mailgate.tenancy.logins import history as login_history
from mailgate.tenancy.logins.accounts import NO_ACCOUNT, REFUSED, Account
from mailgate.tenancy.logins.failed_logins import Failures
from mailgate.tenancy.logins.history import LoginTry
from mailgate.tenancy.registry import Tenant
from mailgate.tenancy.work import Work

TENANT_SEPARATOR = "/"  # stands in no address that can be created here

_log = logging.getLogger(__name__)


class AccountBook:
    """`directory` is the one door to the databases; the methods raise what it raises."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def account(self, login: str) -> Account:
        """`user@domain`, `tenant/user@domain`, or `tenant/user` where only one user of the tenant has this local part.
        An account that no password opens where there is none. Raises UnavailableError where the tenant's database
        can't be read."""
        found = self._candidates(login)
        if found is None:
            return NO_ACCOUNT
        tenant, logins = found
        with self._directory.looking_up(tenant) as work:
            users = work.session.scalars(select(User).where(User.login.in_(logins))).all()
            if len(users) == 1:
                return _account(work, users[0])
            return replace(NO_ACCOUNT, counted_as=min(logins, default=""))

    def _candidates(self, login: str) -> tuple[Tenant, list[str]] | None:
        """The tenant, and the canonical logins that may be meant."""
        name, separator, user = login.partition(TENANT_SEPARATOR)
        try:
            if separator and "@" not in user:
                tenant = self._directory.tenant(name.lower())
                return tenant, [f"{canonical_local(user)}@{domain}" for domain in tenant.domains]
            address = addresses.canonical(user if separator else login)
        except (AddressError, NotFoundError):
            return None
        owner = self._directory.tenant_at(address.rpartition("@")[2])
        if owner is None or (separator and owner.name != name.lower()):
            return None
        return owner, [address]

    def renew(self, login: str, app_password: str, since: float, protocol: Protocol, now: float) -> Authenticated:
        """What a login at `since`, with this app password or (where empty) the own one, is worth now. A lock keeps out
        new logins, not those that were right: else whoever guesses could end the owner's sessions."""
        account = self.account(login)
        if not account.granted.ok:
            return REFUSED
        if app_password:
            keys = [key for key in account.keys if key.id == app_password]
            holds = bool(keys) and keys[0].opens(protocol, now)
        else:
            holds = account.password_changed_at <= since
        return account.granted if holds else REFUSED

    def lock(self, account: Account, until: float | None) -> None:
        """After too many failed logins, until then (None: for good). Nothing happens to a user who was disabled
        meanwhile, or who is locked already."""
        with self._directory.changing(account.granted.tenant) as work:
            user = work.session.get(User, account.user)
            if user is None or user.state is UserState.DISABLED or _account(work, user).is_locked(work.now):
                return
            before = {"state": user.state}
            user.state, user.locked_until = UserState.LOCKED, until
            work.audit("user.lock", user.login, before, {"state": UserState.LOCKED, "locked_until": until})

    def record(self, tries: Sequence[LoginTry]) -> None:
        """Into the history of each tenant; one whose database can't be read goes without."""
        names = {tenant.id: tenant for tenant in self._directory.tenants}
        ordered = sorted(tries, key=lambda each: (each.tenant, each.at))
        for tenant_id, own in groupby(ordered, key=lambda each: each.tenant):
            tenant = names.get(tenant_id)
            try:
                if tenant is not None:
                    with self._directory.looking_up(tenant) as work:
                        login_history.record(work, list(own))
            except UnavailableError as error:
                _log.warning("logins are missing from the history: %s", error)

    def tenants(self) -> list[Tenant]:
        return list(self._directory.tenants)

    def forget_logins(self, tenant: Tenant, before: float) -> None:
        with self._directory.looking_up(tenant) as work:
            login_history.forget_before(work, before)

    def failures(self, since: float) -> dict[bytes, Failures]:
        return failed_logins.load(self._directory.registry_database, since)

    def save_failures(self, changed: Mapping[bytes, Failures | None], since: float) -> None:
        failed_logins.save(self._directory.registry_database, changed, since)


def _account(work: Work, user: User) -> Account:
    can_log_in = work.tenant.is_active and user.state is not UserState.DISABLED
    granted = Authenticated(True, work.tenant.name, user.login, assignments.send_as(work, user.id))
    return Account(
        login=user.login,
        tenant=work.tenant.id,
        user=user.id,
        password_hash=user.password_hash,
        granted=granted if can_log_in else REFUSED,
        state=user.state,
        locked_until=user.locked_until,
        password_changed_at=user.password_changed_at,
        keys=app_passwords.keys_of(work, user.id),
        networks=known_networks.known_to(work, user.id),
    )
