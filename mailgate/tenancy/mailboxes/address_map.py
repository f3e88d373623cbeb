"""Where the addresses of one tenant lead: built once from its database, then asked at every RCPT. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.tenancy.addresses import ON_DUTY, canonical_local, is_catch_all, skeleton, without_label


@dataclass(frozen=True, slots=True)
class AddressMap:
    """`administrators` are the mailboxes of the tenant's administrators. `quotas` in bytes, of the mailboxes that have
    one of their own (0: none). `shapes`: the skeletons of all addresses, where there is one for all others of a
    domain."""

    by_address: dict[str, Resolved]
    unknown: Resolved
    administrators: tuple[MailboxId, ...] = ()
    quotas: Mapping[MailboxId, int] = field(default_factory=dict)
    shapes: frozenset[str] = frozenset()

    def resolve(self, local: str, domain: str, has_labels: bool = True) -> Resolved:
        """The address itself comes first, then without its label (`bob+shop`) if `has_labels`, then the one for all
        others of the domain, but not for what only looks like an address that exists, nor for `ON_DUTY`."""
        folded = canonical_local(local)
        base = without_label(folded) if has_labels else folded
        found = self.by_address.get(f"{folded}@{domain}") or self.by_address.get(f"{base}@{domain}")
        if found is None and base not in ON_DUTY and self.shapes and skeleton(f"{base}@{domain}") not in self.shapes:
            found = self.by_address.get(f"@{domain}")
        return found or self.unknown


def build(
    tenant: TenantName,
    targets: Iterable[tuple[str, MailboxId, bool]],
    quotas: Mapping[MailboxId, int],
    addresses: Iterable[str] = (),
    onward: Iterable[tuple[str, str, bool]] = (),
    administrators: Iterable[str] = (),
) -> AddressMap:
    """`targets`: canonical address, mailbox, whether the mailbox is active. `onward`: address, where else it leads,
    whether that is inside. `addresses`: all there are. An address that leads to nothing active is disabled.
    `administrators`: logins."""
    active: dict[str, tuple[MailboxId, ...]] = dict.fromkeys(addresses, ())
    for address, mailbox, is_active in targets:
        active[address] = (*active.get(address, ()), mailbox) if is_active else active.get(address, ())
    forwards: dict[str, tuple[str, ...]] = {}
    inside: dict[str, tuple[str, ...]] = {}
    for address, to, is_inside in onward:
        found = inside if is_inside else forwards
        found[address] = (*found.get(address, ()), to)
    disabled = Resolved("disabled", tenant)
    by_address = {}
    for address in active:
        reached = _reached(inside, address)
        boxes = tuple(dict.fromkeys(box for each in reached for box in active.get(each, ())))
        paths = tuple(dict.fromkeys(path for each in reached for path in forwards.get(each, ())))
        by_address[address] = Resolved("mailbox", tenant, boxes, forwards=paths) if boxes or paths else disabled
    return AddressMap(
        by_address,
        Resolved("unknown", tenant),
        tuple(dict.fromkeys(box for login in administrators for box in _boxes(by_address, login))),
        quotas,
        frozenset(map(skeleton, active)) if any(is_catch_all(address) for address in active) else frozenset(),
    )


def _boxes(by_address: Mapping[str, Resolved], login: str) -> tuple[MailboxId, ...]:
    found = by_address.get(login)
    return found.mailboxes if found is not None else ()


def _reached(inside: Mapping[str, tuple[str, ...]], start: str) -> list[str]:
    """The address itself first, then those it leads to, each once, so a loop ends."""
    found = [start]
    for address in found:
        found += [to for to in inside.get(address, ()) if to not in found]
    return found
