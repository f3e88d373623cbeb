"""Reading a tenant's roster from its database, and making the database equal to another one. In the transaction of the
`Work` it is given: all of it happens, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import select

from mailgate.model.errors import ConflictError, MailgateError
from mailgate.tenancy.access import assignments, groups
from mailgate.tenancy.access.assignments import Holder
from mailgate.tenancy.access.rights import Rights, rights_of
from mailgate.tenancy.databases.models import (
    Assignment,
    Group,
    GroupAssignment,
    GroupMember,
    Mailbox,
    MailboxState,
    User,
    UserState,
)
from mailgate.tenancy.mailboxes import aliases, lists, mailboxes
from mailgate.tenancy.people import people
from mailgate.tenancy.people.roster import (
    Name,
    Roster,
    RosterAlias,
    RosterGroup,
    RosterMailbox,
    RosterUser,
    differences,
    retired,
)
from mailgate.tenancy.work import Work


class EntryError(ConflictError):
    """One entry of a roster can't be made true; nothing was changed."""

    def __init__(self, name: Name, text: str) -> None:
        super().__init__(text)
        self.name = name


def read(work: Work) -> Roster:
    return Roster(_users(work), _groups(work), _mailboxes(work), _aliases(work))


def reachable(work: Work, wanted: Roster) -> Roster:
    """`wanted`, and the mailboxes that are not in it and hold mail: nothing here deletes mail, so they are retired."""
    kept = {
        address: retired(found)
        for address, found in _mailboxes(work).items()
        if address not in wanted.mailboxes and _holds_mail(work, address)
    }
    return Roster(wanted.users, wanted.groups, {**wanted.mailboxes, **kept}, wanted.aliases)


def apply(work: Work, target: Roster) -> None:
    """Afterwards `read` returns `target`, which `reachable` made. Raises EntryError."""
    for step in (_clear_aliases, _clear_users, _clear_groups, _clear_mailboxes):
        step(work, target)
    for step in (_set_users, _set_groups, _set_mailboxes, _set_holders, _set_aliases):
        step(work, target)
    work.session.flush()
    left = differences(read(work), target)
    if left:
        raise EntryError(left[0].name, f"can't be made true: {left[0]}")


# Reading


def _users(work: Work) -> dict[str, RosterUser]:
    return {user.login: RosterUser(user.role, user.state is not UserState.DISABLED) for user in people.list_users(work)}


def _groups(work: Work) -> dict[str, RosterGroup]:
    members: dict[str, set[str]] = {group.name: set() for group in groups.list_groups(work)}
    query = select(Group.name, User.login).join(GroupMember, GroupMember.group_id == Group.id)
    for name, login in work.session.execute(query.join(User, User.id == GroupMember.user_id)):
        members[name].add(login)
    return {name: RosterGroup(frozenset(logins)) for name, logins in members.items()}


def _mailboxes(work: Work) -> dict[str, RosterMailbox]:
    users: dict[str, dict[str, Rights]] = {}
    by_user = select(Assignment.mailbox_id, User.login, Assignment.rights).join(User, User.id == Assignment.user_id)
    for mailbox_id, login, letters in work.session.execute(by_user):
        users.setdefault(mailbox_id, {})[login] = rights_of(letters)
    through: dict[str, dict[str, Rights]] = {}
    by_group = select(GroupAssignment.mailbox_id, Group.name, GroupAssignment.rights)
    for mailbox_id, name, letters in work.session.execute(by_group.join(Group, Group.id == GroupAssignment.group_id)):
        through.setdefault(mailbox_id, {})[name] = rights_of(letters)
    return {
        found.address: RosterMailbox(
            found.kind,
            found.state is MailboxState.ACTIVE,
            found.quota,
            users.get(found.id, {}),
            through.get(found.id, {}),
        )
        for found in work.session.scalars(select(Mailbox))
    }


def _aliases(work: Work) -> dict[str, RosterAlias]:
    """Those that lead to mailboxes only; what leads further is not in rosters, and stays as it is."""
    plain = (alias for alias in lists.listed(work) if not (alias.groups or alias.addresses or alias.forwards))
    return {alias.address: RosterAlias(frozenset(alias.mailboxes)) for alias in plain}


def _holds_mail(work: Work, address: str) -> bool:
    return work.folders.holds_mail(_mailbox(work, address).id)


# Taking away, so that what is wanted finds its names free


def _clear_aliases(work: Work, target: Roster) -> None:
    for alias, found in _aliases(work).items():
        if target.aliases.get(alias) != found:
            with _about("alias", alias):
                aliases.remove_alias(work, alias)


def _clear_users(work: Work, target: Roster) -> None:
    for login in _users(work).keys() - target.users.keys():
        with _about("user", login):
            people.remove_user(work, login)


def _clear_groups(work: Work, target: Roster) -> None:
    for name in _groups(work).keys() - target.groups.keys():
        with _about("group", name):
            groups.remove_group(work, name)


def _clear_mailboxes(work: Work, target: Roster) -> None:
    work.session.flush()
    for address in _mailboxes(work).keys() - target.mailboxes.keys():
        with _about("mailbox", address):
            mailboxes.remove_mailbox(work, address)


# Making what is wanted true


def _set_users(work: Work, target: Roster) -> None:
    """The state LOCKED is left to time and to administrators."""
    existing = {user.login: user for user in people.list_users(work)}
    for login, wanted in target.users.items():
        with _about("user", login):
            user = existing.get(login) or people.add_without_password(work, login)
        people.give_role(work, user, wanted.role)
        if wanted.is_active != (user.state is not UserState.DISABLED):
            user.state = UserState.ACTIVE if wanted.is_active else UserState.DISABLED
            user.locked_until = None


def _set_groups(work: Work, target: Roster) -> None:
    existing = _groups(work)
    for name, wanted in target.groups.items():
        with _about("group", name):
            group = groups.find_group(work, name) if name in existing else groups.add_group(work, name)
            members = existing.get(name, RosterGroup()).members
            for login in sorted(members - wanted.members):
                groups.remove_member(work, group, people.find_user(work, login))
            for login in sorted(wanted.members - members):
                groups.add_member(work, group, people.find_user(work, login))


def _set_mailboxes(work: Work, target: Roster) -> None:
    existing = {found.address: found for found in work.session.scalars(select(Mailbox))}
    for address, wanted in target.mailboxes.items():
        with _about("mailbox", address):
            found = existing.get(address) or mailboxes.add_mailbox(work, address, wanted.kind)
        found.kind = wanted.kind
        found.state = MailboxState.ACTIVE if wanted.is_active else MailboxState.DISABLED
        found.quota = wanted.quota


def _set_holders(work: Work, target: Roster) -> None:
    work.session.flush()
    existing = _mailboxes(work)
    for address, wanted in target.mailboxes.items():
        found = existing[address]
        if (found.users, found.groups) == (wanted.users, wanted.groups):
            continue
        with _about("mailbox", address):
            mailbox = _mailbox(work, address)
            by_login = {login: people.find_user(work, login) for login in found.users.keys() | wanted.users.keys()}
            _hold(work, mailbox, by_login, found.users, wanted.users)
            by_name = {name: groups.find_group(work, name) for name in found.groups.keys() | wanted.groups.keys()}
            _hold(work, mailbox, by_name, found.groups, wanted.groups)


def _hold(
    work: Work,
    mailbox: Mailbox,
    holders: Mapping[str, Holder],
    before: Mapping[str, Rights],
    after: Mapping[str, Rights],
) -> None:
    for name, holder in holders.items():
        if name not in after:
            assignments.unassign(work, mailbox, holder)
        elif name not in before:
            assignments.assign(work, mailbox, holder, after[name])
        elif before[name] != after[name]:
            assignments.set_rights(work, mailbox, holder, after[name])


def _set_aliases(work: Work, target: Roster) -> None:
    existing = _aliases(work)
    for alias, wanted in target.aliases.items():
        if alias not in existing:
            with _about("alias", alias):
                aliases.add_alias(work, alias, [_mailbox(work, address) for address in sorted(wanted.mailboxes)])


def _mailbox(work: Work, address: str) -> Mailbox:
    """By the address that it is known by, whoever asks."""
    return work.session.scalars(select(Mailbox).where(Mailbox.address == address)).one()


@contextmanager
def _about(kind: str, name: str) -> Iterator[None]:
    try:
        yield
    except EntryError:
        raise
    except MailgateError as error:
        raise EntryError((kind, name), str(error)) from error
