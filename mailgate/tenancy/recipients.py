"""Who is behind an address, asked at every recipient: answered from memory. Also the addresses that forwarded mail
comes back to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import TenantName
from mailgate.model.errors import UnavailableError
from mailgate.tenancy.addresses import is_on_duty
from mailgate.tenancy.databases.ids import GATEWAY_MAILBOX
from mailgate.tenancy.databases.models import Upgrade
from mailgate.tenancy.mailboxes import srs
from mailgate.tenancy.mailboxes.address_maps import AddressMaps
from mailgate.tenancy.registry import Tenant
from mailgate.tenancy.storage import Storage

FOREIGN = Resolved("foreign")


@dataclass(frozen=True, slots=True)
class Rules:
    """What policies say of addresses: do `bob+shop@` and `bob@` lead to the same at a tenant; is a domain's mail for a
    server of the tenant; who reads the mail for a tenant's postmaster, and for the gateway's (addresses, or empty)."""

    has_labels: Callable[[TenantName], bool] = lambda tenant: True
    is_routed: Callable[[TenantName, str], bool] = lambda tenant, domain: False
    postmaster: Callable[[TenantName], str] = lambda tenant: ""
    operator: str = ""


NO_RULES = Rules()


class Recipients:
    """`hostname` is the gateway's own name."""

    def __init__(self, storage: Storage, maps: AddressMaps, hostname: str) -> None:
        self._registry = storage.registry
        self._keys = storage.keys
        self._folders = storage.folders
        self._clock = storage.clock
        self._maps = maps
        self._hostname = hostname.lower()
        with storage.registry_database.session() as session:
            ended = session.get(Upgrade, "short reverse-path tags")
            self._short_tags_until = None if ended is None else int(ended.at // 86_400)

    def resolve(self, local: str, domain: str, rules: Rules = NO_RULES) -> Resolved:
        """Who is behind `local@domain` (a domain as A-label in lower case; empty for `<Postmaster>`)?"""
        if not domain or (domain == self._hostname and is_on_duty(local, has_labels=True)):
            return self._operator(rules)
        tenant = self._registry.hosting(domain)
        if tenant is None:
            return FOREIGN
        if not tenant.is_active:
            return Resolved("disabled", tenant.name)
        try:
            if srs.is_rewritten(local):
                return self._bounce_to(tenant, local)
            has_labels = rules.has_labels(tenant.name)
            found = self._maps.of(tenant).resolve(local, domain, has_labels)
            if found.kind != "mailbox" and is_on_duty(local, has_labels):
                return found if rules.is_routed(tenant.name, domain) else self._on_duty(tenant, rules)
            return found
        except UnavailableError:
            return Resolved("unavailable", tenant.name)

    def quotas_of(self, found: Resolved) -> tuple[int | None, ...]:
        """The own quota in bytes of each mailbox that `resolve` has found; None where it has none of its own."""
        own = self._maps.of(self._registry.named(found.tenant)).quotas
        return tuple(own.get(mailbox) for mailbox in found.mailboxes)

    def _on_duty(self, tenant: Tenant, rules: Rules) -> Resolved:
        """Who reads the tenant's mail for the postmaster and about abuse, for which it has no address: never somebody
        who was not asked, such as its first user."""
        named = rules.postmaster(tenant.name)
        found = self._led_to(tenant.name, named, rules) if named else None
        if found is not None:
            return found
        administrators = self._maps.of(tenant).administrators
        if administrators:
            return Resolved("mailbox", tenant.name, administrators)
        return replace(self._operator(rules), tenant=tenant.name)

    def _operator(self, rules: Rules) -> Resolved:
        """Who runs the gateway. While nobody is named, or the address is none of ours: a mailbox that is no
        tenant's, since the mail belongs to none of them."""
        domain = rules.operator.rpartition("@")[2]
        owner = self._registry.hosting(domain) if domain else None
        if owner is not None and owner.is_active:
            try:
                found = self._led_to(owner.name, rules.operator, rules)
            except UnavailableError:
                return Resolved("unavailable", owner.name)
            if found is not None:
                return found
        if not self._folders.maildir(GATEWAY_MAILBOX).exists():
            self._folders.make_maildir(GATEWAY_MAILBOX)
        return Resolved("mailbox", TenantName(""), (GATEWAY_MAILBOX,))

    def _led_to(self, tenant: TenantName, named: str, rules: Rules) -> Resolved | None:
        """Where an address leads that somebody has named; None where it leads nowhere. One elsewhere, or on a server of
        its own tenant, is forwarded to, in the name of `tenant`."""
        local, _, domain = named.rpartition("@")
        owner = self._registry.hosting(domain)
        if owner is None:
            return Resolved("mailbox", tenant, forwards=(named,))
        if rules.is_routed(owner.name, domain):
            return Resolved("mailbox", tenant, forwards=(named,), via=named)
        found = self._maps.of(owner).resolve(local, domain, rules.has_labels(owner.name))
        return replace(found, tenant=tenant, via=named) if found.kind == "mailbox" else None

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
