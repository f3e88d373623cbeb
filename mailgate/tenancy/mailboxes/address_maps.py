"""Where the addresses of tenants lead, in memory: those that were asked for last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager

from mailgate.tenancy.databases.ids import TenantId
from mailgate.tenancy.mailboxes import address_map, aliases, mailboxes
from mailgate.tenancy.mailboxes.address_map import AddressMap
from mailgate.tenancy.registry import Tenant
from mailgate.tenancy.work import Work

ADDRESSES_IN_MEMORY = 200_000  # some 80 MB; tenants unused for longest are dropped beyond it


class AddressMaps:
    """A tenant's addresses are read by `looking_up` when the first of them is asked for."""

    def __init__(self, looking_up: Callable[[Tenant], AbstractContextManager[Work]]) -> None:
        self._looking_up = looking_up
        self._maps: OrderedDict[TenantId, AddressMap] = OrderedDict()
        self._held = 0

    def of(self, tenant: Tenant) -> AddressMap:
        """Raises UnavailableError where the tenant's database can't be read."""
        found = self._maps.get(tenant.id)
        if found is not None:
            self._maps.move_to_end(tenant.id)
            return found
        with self._looking_up(tenant) as work:
            found = address_map.build(
                tenant.name,
                aliases.all_targets(work),
                mailboxes.own_quotas(work),
                aliases.all_addresses(work),
                aliases.all_onward(work),
                mailboxes.logins_of_administrators(work),
            )
        self._maps[tenant.id] = found
        self._held += len(found.by_address)
        while self._held > ADDRESSES_IN_MEMORY and len(self._maps) > 1:
            self.drop(next(iter(self._maps)))
        return found

    def drop(self, tenant: TenantId) -> None:
        """It changed: read it again when it is asked for."""
        dropped = self._maps.pop(tenant, None)
        if dropped is not None:
            self._held -= len(dropped.by_address)
