"""Where the addresses of one tenant lead: built once from its database, then asked at every RCPT. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.tenancy.addresses import canonical_local, without_label

POSTMASTER = "postmaster"


@dataclass(frozen=True, slots=True)
class AddressMap:
    """`postmaster` answers for the postmaster of a domain that has no such address of its own. `quotas` in bytes, of
    the mailboxes that have one of their own (0: none)."""

    by_address: dict[str, Resolved]
    postmaster: Resolved
    unknown: Resolved
    quotas: Mapping[MailboxId, int] = field(default_factory=dict)

    def resolve(self, local: str, domain: str, has_labels: bool = True) -> Resolved:
        """The address itself comes first, then without its label (`bob+shop`) if `has_labels`, then the postmaster (RFC
        5321 section 4.5.1: every domain has one, so an address that is switched off does not take it away)."""
        folded = canonical_local(local)
        base = without_label(folded) if has_labels else folded
        found = self.by_address.get(f"{folded}@{domain}") or self.by_address.get(f"{base}@{domain}")
        if base == POSTMASTER and (found is None or found.kind != "mailbox"):
            return self.postmaster
        return found or self.unknown


def build(
    tenant: TenantName,
    targets: Iterable[tuple[str, MailboxId, bool]],
    postmaster: MailboxId | None,
    quotas: Mapping[MailboxId, int],
) -> AddressMap:
    """`targets`: canonical address, mailbox, whether the mailbox is active. An address whose mailboxes are all
    switched off is disabled. A tenant without any mailbox has no postmaster yet: 451, the sender tries again; mail for
    it never goes to another tenant."""
    active: dict[str, tuple[MailboxId, ...]] = {}
    for address, mailbox, is_active in targets:
        active[address] = (*active.get(address, ()), mailbox) if is_active else active.get(address, ())
    disabled = Resolved("disabled", tenant)
    return AddressMap(
        {address: Resolved("mailbox", tenant, boxes) if boxes else disabled for address, boxes in active.items()},
        Resolved("mailbox", tenant, (postmaster,)) if postmaster else Resolved("unavailable", tenant),
        Resolved("unknown", tenant),
        quotas,
    )
