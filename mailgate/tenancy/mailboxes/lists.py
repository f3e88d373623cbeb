"""What aliases lead to: mailboxes, groups, other addresses of the tenant, and people elsewhere. Mail for an alias goes
to all of them, once to each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import select

from mailgate.model.address import AddressError, parse_forward_path
from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.access import groups, visibility
from mailgate.tenancy.addresses import shown
from mailgate.tenancy.databases.models import AddressRow, Group, GroupTarget, Mailbox, Onward, Target
from mailgate.tenancy.mailboxes import aliases, mailboxes
from mailgate.tenancy.work import Work

MOST_LEADS = 1_000
MOST_FORWARDS = 100
"""Of one alias, what the addresses that it leads to lead to included."""


@dataclass(frozen=True, slots=True)
class Leads:
    """By name: `targets` are addresses of the tenant, `forwards` addresses elsewhere."""

    targets: Sequence[str] = ()
    groups: Sequence[str] = ()
    forwards: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any((self.targets, self.groups, self.forwards))


@dataclass(frozen=True, slots=True)
class Alias:
    """`mailboxes` by their addresses; `addresses` are others of the tenant that lead further."""

    address: str
    mailboxes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    forwards: tuple[str, ...] = ()

    @property
    def leads(self) -> list[str]:
        named = [f"group {name}" for name in self.groups]
        return [*self.mailboxes, *self.addresses, *named, *self.forwards]

    @property
    def facts(self) -> dict[str, list[str]]:
        return {each.name: list(getattr(self, each.name)) for each in fields(self) if each.name != "address"}


def add(work: Work, address: str, leads: Leads) -> Alias:
    """A new address; `@domain` takes what is for no other address there. Raises UserError, ConflictError where it
    exists or would lead back to itself, NotFoundError for what it can't lead to."""
    if not leads:
        raise UserError(f"alias {address}: name at least one mailbox, group or address that it leads to")
    found = aliases.claim(work, address)
    _extend(work, found, leads)
    return described(work, found)


def extend(work: Work, address: str, leads: Leads) -> Alias:
    """Leads an address further, also one of a mailbox, whose mail it then is besides. Raises like `add`."""
    found = aliases.known(work, address)
    _extend(work, found, leads)
    return described(work, found)


def shrink(work: Work, address: str, leads: Leads) -> Alias:
    """Takes some of what it leads to away. Raises NotFoundError for what it does not lead to, ConflictError where
    nothing would be left."""
    found = aliases.known(work, address)
    for name in leads.targets:
        _take_target(work, found, work.known_address(name))
    for name in leads.groups:
        group = groups.find_group(work, name)
        _take(work, found, f"group {group.name}", work.session.get(GroupTarget, (found, group.id)))
    for path in leads.forwards:
        _take(work, found, path, work.session.get(Onward, (found, _path(work, path))))
    work.session.flush()
    straight = select(Target.address).where(Target.address == found).limit(1)
    if work.session.scalar(straight) is None and not _leads_on(work, found):
        raise ConflictError(f"{found} would lead nowhere; see: mailgate alias remove")
    return described(work, found)


def described(work: Work, address: str) -> Alias:
    return next((alias for alias in listed(work) if alias.address == address), Alias(address))


def listed(work: Work) -> list[Alias]:
    """All aliases, and the addresses of mailboxes that lead further, in alphabetical order; as far as the mailboxes
    exist for the caller."""
    among = visibility.visible(work)
    rows = work.session.execute(
        select(Target.address, Mailbox.address, Mailbox.id).join(Mailbox, Mailbox.id == Target.mailbox_id)
    )
    led: dict[str, set[str]] = {}
    hidden: set[str] = set()
    for address, mailbox, mailbox_id in rows:
        if among is None or mailbox_id in among:
            led.setdefault(address, set()).add(mailbox)
        else:
            hidden.add(address)
    through: dict[str, set[str]] = {}
    for address, name in work.session.execute(
        select(GroupTarget.address, Group.name).join(Group, Group.id == GroupTarget.group_id)
    ):
        through.setdefault(address, set()).add(name)
    onward: dict[str, set[str]] = {}
    for address, to in work.session.execute(select(Onward.address, Onward.to)):
        onward.setdefault(address, set()).add(to)
    own = set(work.session.scalars(select(Mailbox.address)))
    names = set(work.session.scalars(select(AddressRow.address))) - (own - set(onward) - set(through))
    return [
        Alias(
            name,
            tuple(sorted(led.get(name, ()))),
            tuple(sorted(through.get(name, ()))),
            tuple(sorted(to for to in onward.get(name, ()) if work.is_inside(to))),
            tuple(sorted(to for to in onward.get(name, ()) if not work.is_inside(to))),
        )
        for name in sorted(names)
        if name in led or name not in hidden
    ]


def _extend(work: Work, address: str, leads: Leads) -> None:
    for name in dict.fromkeys(leads.targets):
        _lead_to(work, address, name)
    for name in dict.fromkeys(leads.groups):
        group = groups.find_group(work, name)
        work.session.merge(GroupTarget(address=address, group_id=group.id))
    for path in dict.fromkeys(leads.forwards):
        work.session.merge(Onward(address=address, to=_path(work, path)))
    work.session.flush()
    _check_reach(work, address)


def _lead_to(work: Work, address: str, name: str) -> None:
    """To the mailbox where the name stands for one and nothing else; else to the address, whatever it will lead to."""
    known = work.known_address(name)
    leads_on = _leads_on(work, known)
    if not leads_on:
        try:
            mailbox = mailboxes.find_mailbox(work, name)
        except UserError:
            leads_on = True  # to several mailboxes
        else:
            work.session.merge(Target(address=address, mailbox_id=mailbox.id))
            return
    if leads_on and not aliases.is_visible(work, known):
        raise NotFoundError(f"there is no {shown(name)} at tenant {work.tenant.name}")
    work.session.merge(Onward(address=address, to=known))


def _leads_on(work: Work, address: str) -> bool:
    to_groups = select(GroupTarget.address).where(GroupTarget.address == address)
    further = select(Onward.address).where(Onward.address == address)
    return work.session.scalar(to_groups.union_all(further).limit(1)) is not None


def _take_target(work: Work, address: str, target: str) -> None:
    mailbox = work.session.scalar(
        select(Mailbox)
        .join(Target, Target.mailbox_id == Mailbox.id)
        .where(Target.address == address, Mailbox.address == target)
    )
    if mailbox is None:
        _take(work, address, target, work.session.get(Onward, (address, target)))
    elif mailbox.address == address:
        raise ConflictError(f"{address} is the address of this mailbox; see: mailgate mailbox disable")
    else:
        _take(work, address, target, work.session.get(Target, (address, mailbox.id)))


def _take(work: Work, address: str, name: str, row: Target | GroupTarget | Onward | None) -> None:
    if row is None:
        raise NotFoundError(f"{address} does not lead to {shown(name)}")
    work.session.delete(row)


def _path(work: Work, path: str) -> str:
    try:
        found = parse_forward_path(path)
    except AddressError as error:
        raise UserError(f"{shown(path)}: {error}") from None
    if not found.domain or found.is_literal:
        raise UserError(f"{shown(path)}: write it as name@domain")
    if work.is_inside(str(found)):
        raise UserError(f"{found} is an address of this tenant: name it as a target, not as a forward")
    return str(found)


def _check_reach(work: Work, address: str) -> None:
    """Raises ConflictError for a loop, UserError for more than may be reached."""
    onward: dict[str, list[str]] = {}
    for start, to in work.session.execute(select(Onward.address, Onward.to)):
        onward.setdefault(start, []).append(to)
    starts = [address, *_leading_to(onward, address)]
    for start in starts:
        reached = _reached(onward, start)
        if start in reached:
            raise ConflictError(f"{start} would lead back to itself")
        inside = [to for to in reached if work.is_inside(to)]
        straight = select(Target.mailbox_id).where(Target.address.in_([start, *inside]))
        if len(set(work.session.scalars(straight))) + len(reached) > MOST_LEADS:
            raise UserError(f"{start} would lead to more than {MOST_LEADS} addresses and mailboxes")
        if len(reached) - len(inside) > MOST_FORWARDS:
            raise UserError(f"{start} would be forwarded to more than {MOST_FORWARDS} addresses elsewhere")


def _reached(onward: dict[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(onward.get(start, ()))
    while waiting:
        address = waiting.pop()
        if address not in found:
            found.add(address)
            waiting += onward.get(address, ())
    return found


def _leading_to(onward: dict[str, list[str]], address: str) -> Collection[str]:
    backward: dict[str, list[str]] = {}
    for start, ends in onward.items():
        for end in ends:
            backward.setdefault(end, []).append(start)
    return _reached(backward, address) - {address}
