"""Who is behind an address, asked at every recipient: answered from memory. Also the addresses that forwarded mail
comes back to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import TenantName
from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases.models import Upgrade
from mailgate.tenancy.mailboxes import address_map, srs
from mailgate.tenancy.mailboxes.address_maps import AddressMaps
from mailgate.tenancy.registry import Tenant
from mailgate.tenancy.storage import Storage

FOREIGN = Resolved("foreign")


class Recipients:
    """`hostname` is the gateway's own name."""

    def __init__(self, storage: Storage, maps: AddressMaps, hostname: str) -> None:
        self._registry = storage.registry
        self._keys = storage.keys
        self._clock = storage.clock
        self._maps = maps
        self._hostname = hostname.lower()
        with storage.registry_database.session() as session:
            ended = session.get(Upgrade, "short reverse-path tags")
            self._short_tags_until = None if ended is None else int(ended.at // 86_400)

    def resolve(
        self, local: str, domain: str, has_labels: Callable[[TenantName], bool] = lambda tenant: True
    ) -> Resolved:
        """Who is behind `local@domain` (a domain as A-label in lower case; empty for `<Postmaster>`)? `has_labels`: do
        `bob+shop@` and `bob@` lead to the same at this tenant?"""
        if not domain:
            return self.postmaster()
        tenant = self._registry.hosting(domain)
        if tenant is None:
            return FOREIGN
        if not tenant.is_active:
            return Resolved("disabled", tenant.name)
        try:
            if srs.is_rewritten(local):
                return self._bounce_to(tenant, local)
            return self._maps.of(tenant).resolve(local, domain, has_labels(tenant.name))
        except UnavailableError:
            return Resolved("unavailable", tenant.name)

    def quotas_of(self, found: Resolved) -> tuple[int | None, ...]:
        """The own quota in bytes of each mailbox that `resolve` has found; None where it has none of its own."""
        own = self._maps.of(self._registry.named(found.tenant)).quotas
        return tuple(own.get(mailbox) for mailbox in found.mailboxes)

    def postmaster(self) -> Resolved:
        """`<Postmaster>` without a domain (RFC 5321 section 4.5.1): the postmaster of the tenant that hosts our own
        host name or the nearest domain above it, else of the oldest active tenant that has a mailbox."""
        labels = self._hostname.split(".")
        for start in range(len(labels)):
            domain = ".".join(labels[start:])
            owner = self._registry.hosting(domain)
            if owner is not None and owner.is_active:
                return self.resolve(address_map.POSTMASTER, domain)
        for tenant in self._registry:
            if tenant.is_active and tenant.domains:
                found = self.resolve(address_map.POSTMASTER, tenant.domains[0])
                if found.kind == "mailbox":
                    return found
        return Resolved("unavailable")

    def return_path(self, name: str, forwarder: str, reverse_path: str) -> str:
        """The reverse-path for mail that `forwarder`, an address of the tenant, forwards; raises
        NotFoundError for no tenant, UnavailableError without the right master key."""
        domain = forwarder.rpartition("@")[2]
        return srs.rewritten(reverse_path, domain, self._forwarding_key(self._registry.named(name)), self._day)

    def _bounce_to(self, tenant: Tenant, local: str) -> Resolved:
        found = srs.original(local, self._forwarding_key(tenant), self._day, self._short_tags_until)
        if not found:
            return Resolved("unknown", tenant.name)
        return Resolved("bounce", tenant.name, forwards=(found,))

    def _forwarding_key(self, tenant: Tenant) -> bytes:
        key = self._keys.content_key(tenant.id, tenant.key_id)
        return hmac.digest(key, b"mailgate reverse-paths of forwarded mail", hashlib.sha256)

    @property
    def _day(self) -> int:
        return int(self._clock() // 86_400)
