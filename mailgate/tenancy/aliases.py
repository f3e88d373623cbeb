"""Addresses and the mailboxes that they lead to."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy import visibility
from mailgate.tenancy.addresses import skeleton
from mailgate.tenancy.models import AddressRow, Mailbox, MailboxState, Target
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
    """An address that leads to each of `mailboxes`."""
    if not mailboxes:
        raise UserError(f"alias {address}: name at least one mailbox that it leads to")
    found = claim(work, address)
    for mailbox_id in dict.fromkeys(mailbox.id for mailbox in mailboxes):
        lead(work, found, mailbox_id)
    return found


def remove_alias(work: Work, address: str) -> str:
    """Takes the address back; mail in the mailboxes stays. Raises NotFoundError, or ConflictError for the address that
    a mailbox is known by."""
    found = work.known_address(address)
    row = work.session.get(AddressRow, found)
    if row is None or not _is_visible(work, found):
        raise NotFoundError(f"there is no alias {found}")
    if work.session.scalar(select(Mailbox.id).where(Mailbox.address == found)):
        raise ConflictError(f"{found} is the address of a mailbox, not an alias; see: mailgate mailbox disable")
    work.session.delete(row)
    return found


def _is_visible(work: Work, address: str) -> bool:
    """Does every mailbox that the address leads to exist for the caller?"""
    among = visibility.visible(work)
    led_to = work.session.scalars(select(Target.mailbox_id).where(Target.address == address))
    return among is None or set(led_to) <= among


def list_aliases(work: Work) -> list[tuple[str, list[str]]]:
    """Each alias with the addresses of the mailboxes it leads to, in alphabetical order; of those that exist for the
    caller."""
    among = visibility.visible(work)
    rows = work.session.execute(
        select(Target.address, Mailbox.address, Mailbox.id)
        .join(Mailbox, Mailbox.id == Target.mailbox_id)
        .where(Target.address.not_in(select(Mailbox.address)))
        .order_by(Target.address, Mailbox.address)
    )
    found: dict[str, list[str]] = {}
    for alias, mailbox, mailbox_id in rows:
        if among is None or mailbox_id in among:
            found.setdefault(alias, []).append(mailbox)
    return list(found.items())


def all_targets(work: Work) -> list[tuple[str, MailboxId, bool]]:
    """Each address, a mailbox it leads to, and whether that mailbox is active."""
    rows = work.session.execute(
        select(Target.address, Mailbox.id, Mailbox.state)
        .join(Mailbox, Mailbox.id == Target.mailbox_id)
        .order_by(Target.address, Mailbox.created_at, Mailbox.id)
    )
    return [(address, mailbox, state is MailboxState.ACTIVE) for address, mailbox, state in rows]


def drop_dead_ends(work: Work) -> None:
    """Removes addresses that lead nowhere any more."""
    work.session.execute(delete(AddressRow).where(AddressRow.address.not_in(select(Target.address))))
