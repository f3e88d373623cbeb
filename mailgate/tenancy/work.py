"""One transaction on one tenant's database: what the functions of people, mailboxes and aliases work on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from mailgate.model.address import AddressError
from mailgate.model.errors import NotFoundError, UserError
from mailgate.tenancy.acting import Acting
from mailgate.tenancy.addresses import canonical_or_catch_all, is_catch_all, new_address, new_domain, shown
from mailgate.tenancy.audit import log as audit_log
from mailgate.tenancy.databases.folders import Folders
from mailgate.tenancy.registry import Tenant


@dataclass(frozen=True, slots=True)
class Work:
    """`session` reaches this tenant's database and no other. `now`: seconds since 1970. `acting`: who wants it."""

    tenant: Tenant
    session: Session
    folders: Folders
    now: float
    acting: Acting

    def audit(
        self,
        action: str,
        object: str,
        before: audit_log.Facts | None = None,
        after: audit_log.Facts | None = None,
    ) -> None:
        """Notes a change in the tenant's audit log, in this transaction. One entry for each command that changes
        something: `action` is its name, `object` what it changed (an address, a domain), the facts hold no secret."""
        audit_log.TENANT.append(self.session, self.acting, self.now, action, object, before, after)

    def new_address(self, address: str) -> str:
        """The canonical form of an address to be created, or of `@domain`; raises UserError, also where the domain is
        another's."""
        found = f"@{new_domain(address[1:])}" if is_catch_all(address) else new_address(address)
        domain = found.rpartition("@")[2]
        if domain not in self.tenant.domains:
            raise UserError(f"address {shown(address)}: {domain} is not a domain of tenant {self.tenant.name}")
        return found

    def is_inside(self, address: str) -> bool:
        """Is a path at one of the tenant's domains?"""
        return address.rpartition("@")[2] in self.tenant.domains

    def known_address(self, address: str) -> str:
        """The canonical form of an address that should exist; raises NotFoundError where it can't."""
        try:
            return canonical_or_catch_all(address)
        except AddressError:
            raise NotFoundError(f"there is no {shown(address)} at tenant {self.tenant.name}") from None
