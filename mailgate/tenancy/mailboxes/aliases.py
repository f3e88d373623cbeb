"""Addresses and the mailboxes that they lead to; where else they lead is in `lists.py`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.tenancy.access import visibility
from mailgate.tenancy.addresses import skeleton
from mailgate.tenancy.databases.models import (
    AddressRow,
    GroupMember,
    GroupTarget,
    Mailbox,
    MailboxState,
    Onward,
    Target,
    User,
)
from mailgate.tenancy.work import Work


def claim(work: Work, address: str) -> str:
    """Takes a new address for the tenant and returns its canonical form; raises UserError or ConflictError."""
    found = work.new_address(address)
    shape = skeleton(found)
    for taken in work.session.scalars(select(AddressRow.address).where(AddressRow.skeleton == shape)):
        if taken == found:
            raise ConflictError(f"address {found} exists already")
        # who may not know of the other address learns no more than that
        other = taken if work.acting.caller.is_operator else "another address"
        raise ConflictError(f"address {found} looks like {other}, which exists already")
    work.session.add(AddressRow(address=found, skeleton=shape, created_at=work.now))
    work.session.flush()
    return found


def lead(work: Work, address: str, mailbox: MailboxId) -> None:
    work.session.add(Target(address=address, mailbox_id=mailbox))
    work.session.flush()


def add_alias(work: Work, address: str, mailboxes: Sequence[Mailbox]) -> str:
    """An address that leads to each of `mailboxes`, and nowhere else."""
    found = claim(work, address)
    for mailbox_id in dict.fromkeys(mailbox.id for mailbox in mailboxes):
        lead(work, found, mailbox_id)
    return found


def remove_alias(work: Work, address: str) -> str:
    """Takes the address back; mail in the mailboxes stays. Raises NotFoundError, or ConflictError for the address that
    a mailbox is known by."""
    found = known(work, address)
    if work.session.scalar(select(Mailbox.id).where(Mailbox.address == found)):
        raise ConflictError(f"{found} is the address of a mailbox, not an alias; see: mailgate mailbox disable")
    leading = work.session.scalar(select(Onward.address).where(Onward.to == found).order_by(Onward.address))
    if leading is not None:
        raise ConflictError(f"{leading} leads to {found}; take that away first: mailgate alias shrink")
    work.session.execute(delete(AddressRow).where(AddressRow.address == found))
    return found


def is_visible(work: Work, address: str) -> bool:
    """Does every mailbox that the address leads to exist for the caller?"""
    among = visibility.visible(work)
    led_to = work.session.scalars(select(Target.mailbox_id).where(Target.address == address))
    return among is None or set(led_to) <= among


def known(work: Work, address: str) -> str:
    """The canonical form of an address that exists for the caller, wherever it leads; NotFoundError for any other."""
    found = work.known_address(address)
    if work.session.get(AddressRow, found) is None or not is_visible(work, found):
        raise NotFoundError(f"there is no alias {found}")
    return found


def all_targets(work: Work) -> list[tuple[str, MailboxId, bool]]:
    """Each address, a mailbox it leads to by itself or through a group, and whether that mailbox is active."""
    straight = select(Target.address, Mailbox.id, Mailbox.state, Mailbox.created_at).join(
        Mailbox, Mailbox.id == Target.mailbox_id
    )
    through_groups = (
        select(GroupTarget.address, Mailbox.id, Mailbox.state, Mailbox.created_at)
        .join(GroupMember, GroupMember.group_id == GroupTarget.group_id)
        .join(User, User.id == GroupMember.user_id)
        .join(Mailbox, Mailbox.address == User.login)
    )
    found = {
        (address, created_at, mailbox, state is MailboxState.ACTIVE)
        for query in (straight, through_groups)
        for address, mailbox, state, created_at in work.session.execute(query)
    }
    return [(address, mailbox, is_active) for address, _, mailbox, is_active in sorted(found)]


def all_addresses(work: Work) -> list[str]:
    return list(work.session.scalars(select(AddressRow.address).order_by(AddressRow.address)))


def all_onward(work: Work) -> list[tuple[str, str, bool]]:
    """Each address, another that it leads to, and whether that is one of the tenant's."""
    rows = work.session.execute(select(Onward.address, Onward.to).order_by(Onward.address, Onward.to))
    return [(address, to, work.is_inside(to)) for address, to in rows]


def drop_dead_ends(work: Work) -> None:
    """Removes addresses that lead nowhere any more."""
    led = select(Target.address).union_all(select(GroupTarget.address), select(Onward.address))
    work.session.execute(delete(AddressRow).where(AddressRow.address.not_in(led)))


def forget_removed(work: Work) -> None:
    """Nothing leads on to addresses of the tenant that are no more."""
    for row in work.session.scalars(select(Onward)).all():
        if work.is_inside(row.to) and work.session.get(AddressRow, row.to) is None:
            work.session.execute(delete(Onward).where(Onward.address == row.address, Onward.to == row.to))
