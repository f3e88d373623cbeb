"""Which mailboxes exist for the caller. One that was ever assigned is private: it exists for those it is assigned to
and for nobody else of the tenant, its administrators included; when the last of them goes it does not come back into
sight."""

from __future__ import annotations

from sqlalchemy import exists, select

from mailgate.model.envelope import MailboxId
from mailgate.tenancy.access import assignments
from mailgate.tenancy.access.assignments import Grant
from mailgate.tenancy.access.rights import Right
from mailgate.tenancy.acting import Role
from mailgate.tenancy.databases.models import Assignment, GroupAssignment, Mailbox, User
from mailgate.tenancy.work import Work


def sees(work: Work, mailbox: Mailbox) -> bool:
    found = visible(work)
    return found is None or mailbox.id in found


def visible(work: Work) -> frozenset[MailboxId] | None:
    """None for an operator: all."""
    caller = work.acting.caller
    if caller.is_operator:
        return None
    found = {grant.mailbox.id for grant in own_grants(work)}
    if caller.role is Role.ADMINISTRATOR:
        never_assigned = select(Mailbox.id).where(
            Mailbox.private.is_(False),
            ~exists().where(Assignment.mailbox_id == Mailbox.id),
            ~exists().where(GroupAssignment.mailbox_id == Mailbox.id),
        )
        found |= set(work.session.scalars(never_assigned))
    return frozenset(found)


def own_grants(work: Work) -> list[Grant]:
    """What is assigned to the caller; nothing for an operator, who is no user."""
    user = work.session.scalar(select(User.id).where(User.login == work.acting.caller.login))
    return [] if user is None else assignments.grants_of(work, user)


def may_administer(work: Work, mailbox: Mailbox) -> bool:
    """May the caller assign it to others, switch it off, remove it? An administrator may while it is nobody's."""
    if work.acting.caller.is_operator:
        return True
    for grant in own_grants(work):
        if grant.mailbox.id == mailbox.id:
            return grant.rights.allows(Right.ADMINISTER)
    return sees(work, mailbox)
