"""Who may use a mailbox, and what for. A mailbox that is assigned to nobody is read by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.tenancy.access import break_glass
from mailgate.tenancy.access.rights import Right, Rights, effective, rights_of
from mailgate.tenancy.databases.ids import UserId
from mailgate.tenancy.databases.models import (
    Assignment,
    Group,
    GroupAssignment,
    GroupMember,
    Mailbox,
    MailboxState,
    Target,
    User,
)
from mailgate.tenancy.work import Work

Holder = User | Group
"""Who a mailbox is assigned to."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user may do in a mailbox, by all that is assigned to them."""

    mailbox: Mailbox
    rights: Rights


def assign(work: Work, mailbox: Mailbox, holder: Holder, rights: Rights) -> None:
    """Raises ConflictError where it is assigned to the holder already."""
    name = name_of(holder)
    option = f"--group {name}" if isinstance(holder, Group) else name
    if _found(work, mailbox, holder) is not None:
        raise ConflictError(
            f"mailbox {mailbox.address} is assigned to {name} already; "
            f"other rights: mailgate mailbox rights {mailbox.address} {option} --set RIGHTS"
        )
    row: Assignment | GroupAssignment
    if isinstance(holder, Group):
        row = GroupAssignment(group_id=holder.id)
    else:
        row = Assignment(user_id=holder.id)
    row.mailbox_id, row.rights, row.created_at = mailbox.id, rights.letters, work.now
    work.session.add(row)
    mailbox.private = True
    work.session.flush()


def unassign(work: Work, mailbox: Mailbox, holder: Holder) -> None:
    """A mailbox without any holder goes on receiving mail, and nobody can read it until it is assigned again."""
    work.session.delete(_existing(work, mailbox, holder))
    work.session.flush()


def set_rights(work: Work, mailbox: Mailbox, holder: Holder, rights: Rights) -> None:
    """Raises NotFoundError where the mailbox is not assigned to the holder."""
    _existing(work, mailbox, holder).rights = rights.letters
    work.session.flush()


def name_of(holder: Holder) -> str:
    return holder.name if isinstance(holder, Group) else holder.login


def _found(work: Work, mailbox: Mailbox, holder: Holder) -> Assignment | GroupAssignment | None:
    if isinstance(holder, Group):
        return work.session.get(GroupAssignment, (mailbox.id, holder.id))
    return work.session.get(Assignment, (mailbox.id, holder.id))


def _existing(work: Work, mailbox: Mailbox, holder: Holder) -> Assignment | GroupAssignment:
    found = _found(work, mailbox, holder)
    if found is None:
        raise NotFoundError(f"mailbox {mailbox.address} is not assigned to {name_of(holder)}")
    return found


def holders(work: Work, mailbox: MailboxId) -> list[tuple[str, Rights]]:
    """Logins of the users that the mailbox itself is assigned to, in alphabetical order, and what each may do."""
    query = select(User.login, Assignment.rights).join(Assignment, Assignment.user_id == User.id)
    rows = work.session.execute(query.where(Assignment.mailbox_id == mailbox).order_by(User.login))
    return [(login, rights_of(letters)) for login, letters in rows]


def holding_groups(work: Work, mailbox: MailboxId) -> list[tuple[str, Rights]]:
    """Names of the groups that the mailbox is assigned to, in alphabetical order, and what their members may do."""
    query = select(Group.name, GroupAssignment.rights).join(GroupAssignment, GroupAssignment.group_id == Group.id)
    rows = work.session.execute(query.where(GroupAssignment.mailbox_id == mailbox).order_by(Group.name))
    return [(name, rights_of(letters)) for name, letters in rows]


def users_of(work: Work, mailbox: MailboxId) -> list[str]:
    """Logins of everybody for whom the mailbox exists, through a group or without one, in alphabetical order."""
    through_groups = (
        select(User.login)
        .join(GroupMember, GroupMember.user_id == User.id)
        .join(GroupAssignment, GroupAssignment.group_id == GroupMember.group_id)
        .where(GroupAssignment.mailbox_id == mailbox)
    )
    return sorted({login for login, _ in holders(work, mailbox)}.union(work.session.scalars(through_groups)))


def grants_of(work: Work, user: UserId) -> list[Grant]:
    """Every mailbox that exists for the user, by address."""
    direct = (
        select(Mailbox, Assignment.rights)
        .join(Assignment, Assignment.mailbox_id == Mailbox.id)
        .where(Assignment.user_id == user)
    )
    through_groups = (
        select(Mailbox, GroupAssignment.rights)
        .join(GroupAssignment, GroupAssignment.mailbox_id == Mailbox.id)
        .join(GroupMember, GroupMember.group_id == GroupAssignment.group_id)
        .where(GroupMember.user_id == user)
    )
    found: dict[MailboxId, Mailbox] = {}
    granted: dict[MailboxId, list[Rights]] = {}
    for query in (direct, through_groups):
        for mailbox, letters in work.session.execute(query):
            found[mailbox.id] = mailbox
            granted.setdefault(mailbox.id, []).append(rights_of(letters))
    for mailbox in break_glass.open_to(work, user):
        found[mailbox.id] = mailbox
        granted.setdefault(mailbox.id, []).append(break_glass.RIGHTS)
    by_address = sorted(found.values(), key=lambda mailbox: mailbox.address)
    return [Grant(mailbox, effective(granted[mailbox.id])) for mailbox in by_address]


def assigned_to(work: Work, user: UserId) -> Sequence[Mailbox]:
    return [grant.mailbox for grant in grants_of(work, user)]


def writable(work: Work, user: UserId) -> frozenset[MailboxId]:
    """The mailboxes that the user may put mail into."""
    return frozenset(grant.mailbox.id for grant in grants_of(work, user) if grant.rights.allows(Right.WRITE))


def send_as(work: Work, user: UserId) -> tuple[str, ...]:
    """Every address that leads to an active mailbox which the user may send as, in alphabetical order."""
    allowed = [
        grant.mailbox.id
        for grant in grants_of(work, user)
        if grant.rights.allows(Right.SEND_AS) and grant.mailbox.state is MailboxState.ACTIVE
    ]
    led = select(Target.address).where(Target.mailbox_id.in_(allowed)).distinct().order_by(Target.address)
    # to get whatever else is sent to a domain makes nobody its master
    return tuple(address for address in work.session.scalars(led) if not address.startswith("@"))
