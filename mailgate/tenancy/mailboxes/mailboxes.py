"""Mailboxes: folders for mail with an address. Nothing here deletes mail; who may use one is in `assignments.py`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.access import visibility
from mailgate.tenancy.access.rights import Right
from mailgate.tenancy.addresses import is_catch_all
from mailgate.tenancy.databases.ids import new_mailbox_id
from mailgate.tenancy.databases.models import (
    Mailbox,
    MailboxKind,
    MailboxState,
    Target,
    User,
    UserRole,
    UserState,
)
from mailgate.tenancy.mailboxes import aliases
from mailgate.tenancy.work import Work


def add_mailbox(work: Work, address: str, kind: MailboxKind) -> Mailbox:
    """A mailbox with its first address and its Maildir, assigned to nobody yet."""
    if is_catch_all(address):
        raise UserError(f"a mailbox has an address of its own; {address} can be an alias of it")
    found = aliases.claim(work, address)
    mailbox = Mailbox(
        id=new_mailbox_id(work.tenant.id),
        address=found,
        kind=kind,
        state=MailboxState.ACTIVE,
        created_at=work.now,
    )
    work.folders.make_maildir(mailbox.id)
    work.session.add(mailbox)
    work.session.flush()
    aliases.lead(work, found, mailbox.id)
    return mailbox


def find_mailbox(work: Work, name: str) -> Mailbox:
    """The one mailbox that the address `name` leads to; raises NotFoundError, also where it does not exist for the
    caller, or UserError where there are several."""
    return _only_one(work, name, visibility.visible(work))


def find_private(work: Work, name: str) -> Mailbox:
    """The same though it does not exist for the caller, who asks for access in an emergency."""
    return _only_one(work, name, None)


def find_to_administer(work: Work, name: str) -> Mailbox:
    """Like `find_mailbox`; UserError where the caller may use it, but not hand it on or switch it off."""
    found = find_mailbox(work, name)
    if not visibility.may_administer(work, found):
        raise UserError(f"mailbox {found.address}: your rights there don't include {Right.ADMINISTER}")
    return found


def _only_one(work: Work, name: str, among: frozenset[MailboxId] | None) -> Mailbox:
    address = work.known_address(name)
    led_to = work.session.scalars(
        select(Mailbox).join(Target, Target.mailbox_id == Mailbox.id).where(Target.address == address)
    )
    found = [mailbox for mailbox in led_to if among is None or mailbox.id in among]
    if not found:
        raise NotFoundError(f"there is no mailbox {address} at tenant {work.tenant.name}")
    if len(found) > 1:
        raise UserError(f"{address} leads to several mailboxes: {', '.join(sorted(box.address for box in found))}")
    return found[0]


def set_state(work: Work, name: str, state: MailboxState) -> Mailbox:
    mailbox = find_to_administer(work, name)
    if mailbox.state is state:
        raise ConflictError(f"mailbox {mailbox.address} is {state} already")
    mailbox.state = state
    return mailbox


def remove_mailbox(work: Work, name: str) -> Mailbox:
    """Forgets a mailbox that holds no mail, with the addresses that lead nowhere else. Its folder stays, so that mail
    on its way there is not lost. Raises ConflictError where it holds mail."""
    mailbox = find_to_administer(work, name)
    if work.folders.holds_mail(mailbox.id):
        raise ConflictError(
            f"mailbox {mailbox.address} holds mail: move or delete it with a mail program first; "
            "an operator may remove it together with its mail (--with-mail)"
        )
    work.session.execute(delete(Mailbox).where(Mailbox.id == mailbox.id))
    aliases.drop_dead_ends(work)
    aliases.forget_removed(work)
    return mailbox


def set_quota(work: Work, mailbox: Mailbox, quota: int | None) -> None:
    """In bytes; None for the policy's, 0 for none."""
    mailbox.quota = quota
    work.session.flush()


def own_quotas(work: Work) -> dict[MailboxId, int]:
    """Bytes, of the mailboxes that do not simply follow the policy."""
    rows = work.session.execute(select(Mailbox.id, Mailbox.quota).where(Mailbox.quota.is_not(None)))
    return {mailbox: quota for mailbox, quota in rows if quota is not None}


def list_mailboxes(work: Work) -> Sequence[Mailbox]:
    """Those that exist for the caller."""
    among = visibility.visible(work)
    found = work.session.scalars(select(Mailbox).order_by(Mailbox.address))
    return [mailbox for mailbox in found if among is None or mailbox.id in among]


def active_address(work: Work, mailbox: MailboxId) -> str:
    """The mailbox' own address; empty where it is switched off or gone."""
    found = work.session.get(Mailbox, mailbox)
    return found.address if found is not None and found.state is MailboxState.ACTIVE else ""


def addresses_of(work: Work, mailbox: MailboxId) -> list[str]:
    return sorted(work.session.scalars(select(Target.address).where(Target.mailbox_id == mailbox)))


def logins_of_administrators(work: Work) -> list[str]:
    """Of those who are not disabled."""
    chosen = select(User.login).where(User.role == UserRole.ADMINISTRATOR, User.state != UserState.DISABLED)
    return list(work.session.scalars(chosen.order_by(User.login)))
