"""Users of a tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy import addresses
from mailgate.tenancy.access import assignments, groups, rights
from mailgate.tenancy.databases.ids import new_user_id
from mailgate.tenancy.databases.models import (
    AppPassword,
    Assignment,
    Brake,
    GroupMember,
    KnownNetwork,
    Mailbox,
    MailboxKind,
    MailboxState,
    SentHour,
    User,
    UserRole,
    UserState,
)
from mailgate.tenancy.logins import app_passwords, passwords
from mailgate.tenancy.mailboxes import mailboxes
from mailgate.tenancy.work import Work


@dataclass(frozen=True, slots=True)
class Left:
    """What ended when somebody left, and where the mailboxes are that only they had."""

    login: str
    mailboxes: tuple[str, ...]
    groups: tuple[str, ...]
    app_passwords: int
    passed_on: tuple[str, ...]
    switched_off: tuple[str, ...]


def add_user(work: Work, login: str, password: str, minimum_score: int = 0) -> User:
    """A user with a personal mailbox whose address is the login; raises UserError or ConflictError. `minimum_score` as
    in `passwords.check_score`."""
    user = add_without_password(work, login)
    user.password_hash = passwords.hashed(password, user.login, work.tenant.name, minimum_score)
    add_own_mailbox(work, user)
    return user


def add_without_password(work: Work, login: str) -> User:
    """A user whom no password opens yet, and who has no mailbox; raises UserError or ConflictError."""
    found = work.new_address(login)
    if _user(work, found) is not None:
        raise ConflictError(f"user {found} exists already")
    user = User(
        id=new_user_id(),
        login=found,
        password_hash=passwords.NOBODY,
        state=UserState.ACTIVE,
        role=UserRole.USER,
        role_since=work.now,
        password_changed_at=work.now,
        created_at=work.now,
    )
    _note_maker(work, user)
    work.session.add(user)
    work.session.flush()
    return user


def add_own_mailbox(work: Work, user: User) -> None:
    assignments.assign(work, mailboxes.add_mailbox(work, user.login, MailboxKind.PERSONAL), user, rights.ALL)


def find_user(work: Work, login: str) -> User:
    found = work.known_address(login)
    user = _user(work, found)
    if user is None:
        raise no_user(found, work.tenant.name)
    return user


def no_user(login: str, tenant: str) -> NotFoundError:
    return NotFoundError(f"there is no user {addresses.shown(login)} at tenant {tenant}")


def _user(work: Work, login: str) -> User | None:
    return work.session.scalar(select(User).where(User.login == login))


def set_password(work: Work, login: str, password: str, minimum_score: int = 0) -> User:
    user = find_user(work, login)
    user.password_hash = passwords.hashed(password, user.login, work.tenant.name, minimum_score)
    user.password_changed_at = work.now
    return user


def set_state(work: Work, login: str, state: UserState) -> User:
    user = find_user(work, login)
    if user.state is state:
        raise ConflictError(f"user {user.login} is {state} already")
    user.state = state
    user.locked_until = None
    return user


def unlock(work: Work, login: str) -> User:
    """ConflictError for a user who is disabled: that was somebody's decision."""
    user = find_user(work, login)
    if user.state is UserState.DISABLED:
        raise ConflictError(f"user {user.login} is disabled, not locked; see: mailgate user enable")
    user.state = UserState.ACTIVE
    user.locked_until = None
    return user


def set_role(work: Work, login: str, role: UserRole) -> User:
    user = find_user(work, login)
    if user.role is role:
        raise ConflictError(f"the role of {user.login} is {role} already")
    give_role(work, user, role)
    return user


def give_role(work: Work, user: User, role: UserRole) -> None:
    """Notes since when, and through whom; nothing changes where it is the role already."""
    if user.role is not role:
        user.role, user.role_since = role, work.now
        _note_maker(work, user)


def _note_maker(work: Work, user: User) -> None:
    """An operator is above suspicion; a maker's own makers are noted too, since they may be gone when it matters."""
    login = work.acting.caller.login
    maker = _user(work, login) if login else None
    before = [*(user.made_by or "").split(), login, *(maker.made_by.split() if maker is not None else [])]
    user.made_by = " ".join(dict.fromkeys(name for name in before if name))


def administrators(work: Work) -> Sequence[User]:
    """The tenant's administrators who are not disabled."""
    chosen = select(User).where(User.role == UserRole.ADMINISTRATOR, User.state != UserState.DISABLED)
    return work.session.scalars(chosen.order_by(User.login)).all()


def remove_user(work: Work, login: str) -> tuple[User, list[str]]:
    """The user leaves. Mailboxes stay with all their mail; the personal ones that nobody else uses are switched off,
    and their addresses are returned."""
    user = find_user(work, login)
    kept = []
    for mailbox in _only_theirs(work, user):
        mailbox.state = MailboxState.DISABLED
        kept.append(mailbox.address)
    work.session.flush()
    work.session.delete(user)
    return user, kept


def leave(work: Work, login: str, successor: str) -> Left:
    """The user's access ends: password, app passwords, groups, role and every assignment. The personal mailboxes that
    nobody else uses stay as private as they were: they go to `successor` with all rights, or (empty) are switched off
    and read by nobody. The name stays taken, so that nobody gets it by chance."""
    user = find_user(work, login)
    heir = find_user(work, successor) if successor else None
    if heir is user:
        raise UserError(f"{user.login} can't be the own successor")
    own = _only_theirs(work, user)
    left = Left(
        login=user.login,
        mailboxes=tuple(mailbox.address for mailbox in assignments.assigned_to(work, user.id)),
        groups=tuple(groups.groups_of(work, user.id)),
        app_passwords=len(app_passwords.list_of(work, user.id)),
        passed_on=tuple(mailbox.address for mailbox in own if heir is not None),
        switched_off=tuple(mailbox.address for mailbox in own if heir is None),
    )
    for table in (AppPassword, GroupMember, Assignment, Brake, SentHour, KnownNetwork):
        work.session.execute(delete(table).where(table.user_id == user.id))
    for mailbox in own:
        if heir is None:
            mailbox.state = MailboxState.DISABLED
        else:
            assignments.assign(work, mailbox, heir, rights.ALL)
    user.state, user.locked_until = UserState.DISABLED, None
    give_role(work, user, UserRole.USER)
    user.password_hash, user.password_changed_at = passwords.NOBODY, work.now
    work.session.flush()
    return left


def _only_theirs(work: Work, user: User) -> list[Mailbox]:
    """The personal mailboxes that would be left without anybody."""
    return [
        mailbox
        for mailbox in assignments.assigned_to(work, user.id)
        if mailbox.kind is MailboxKind.PERSONAL and assignments.users_of(work, mailbox.id) == [user.login]
    ]


def list_users(work: Work) -> Sequence[User]:
    return work.session.scalars(select(User).order_by(User.login)).all()


def count(work: Work) -> tuple[int, int]:
    """How many users and how many mailboxes the tenant has."""
    users = work.session.scalar(select(func.count()).select_from(User)) or 0
    boxes = work.session.scalar(select(func.count()).select_from(Mailbox)) or 0
    return users, boxes
