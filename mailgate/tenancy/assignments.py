"""Who may use a mailbox, and what for. A mailbox that is assigned to nobody is read by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from mailgate.model.envelope import MailboxId
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.tenancy.ids import UserId
from mailgate.tenancy.models import Assignment, Mailbox, MailboxState, Target, User
from mailgate.tenancy.rights import Right, Rights, effective, rights_of
from mailgate.tenancy.work import Work


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user may do in a mailbox, by all that is assigned to them."""

    mailbox: Mailbox
    rights: Rights


def assign(work: Work, mailbox: Mailbox, user: User, rights: Rights) -> None:
    """Raises ConflictError where it is assigned to the user already."""
    if work.session.get(Assignment, (mailbox.id, user.id)) is not None:
        raise ConflictError(
            f"mailbox {mailbox.address} is assigned to {user.login} already; "
            f"other rights: mailgate mailbox rights {mailbox.address} {user.login} RIGHTS"
        )
    work.session.add(Assignment(mailbox_id=mailbox.id, user_id=user.id, rights=rights.letters, created_at=work.now))
    work.session.flush()


def unassign(work: Work, mailbox: Mailbox, user: User) -> None:
    """A mailbox without any user goes on receiving mail, and nobody can read it until it is assigned again."""
    work.session.delete(_assignment(work, mailbox, user))
    work.session.flush()


def set_rights(work: Work, mailbox: Mailbox, user: User, rights: Rights) -> None:
    """Raises NotFoundError where the mailbox is not assigned to the user."""
    _assignment(work, mailbox, user).rights = rights.letters
    work.session.flush()


def _assignment(work: Work, mailbox: Mailbox, user: User) -> Assignment:
    assignment = work.session.get(Assignment, (mailbox.id, user.id))
    if assignment is None:
        raise NotFoundError(f"mailbox {mailbox.address} is not assigned to {user.login}")
    return assignment


def holders(work: Work, mailbox: MailboxId) -> list[tuple[str, Rights]]:
    """Logins of the users that the mailbox is assigned to, in alphabetical order, and what each may do."""
    query = select(User.login, Assignment.rights).join(Assignment, Assignment.user_id == User.id)
    rows = work.session.execute(query.where(Assignment.mailbox_id == mailbox).order_by(User.login))
    return [(login, rights_of(letters)) for login, letters in rows]


def users_of(work: Work, mailbox: MailboxId) -> list[str]:
    """Logins of the users that the mailbox is assigned to."""
    return [login for login, _ in holders(work, mailbox)]


def grants_of(work: Work, user: UserId) -> list[Grant]:
    """Every mailbox that exists for the user, by address."""
    query = select(Mailbox, Assignment.rights).join(Assignment, Assignment.mailbox_id == Mailbox.id)
    rows = work.session.execute(query.where(Assignment.user_id == user).order_by(Mailbox.address))
    return [Grant(mailbox, effective(rights_of(letters), ())) for mailbox, letters in rows]


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
    query = select(Target.address).where(Target.mailbox_id.in_(allowed)).distinct().order_by(Target.address)
    return tuple(work.session.scalars(query))
