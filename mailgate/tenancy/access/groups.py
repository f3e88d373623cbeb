"""Groups of a tenant's users: who is given a right as a group has it from the next question on."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.tenancy.addresses import canonical_local, name_skeleton, new_group_name, shown
from mailgate.tenancy.databases.ids import GroupId, UserId, new_group_id
from mailgate.tenancy.databases.models import Group, GroupMember, User
from mailgate.tenancy.work import Work


def add_group(work: Work, name: str) -> Group:
    """A group without members; raises UserError, or ConflictError where there is one of this name or one like it."""
    found = new_group_name(name)
    shape = name_skeleton(found)
    taken = work.session.scalar(select(Group.name).where(Group.skeleton == shape))
    if taken == found:
        raise ConflictError(f"group {found} exists already")
    if taken is not None:
        raise ConflictError(f"group {found} looks like {taken}, which exists already")
    group = Group(id=new_group_id(), name=found, skeleton=shape, created_at=work.now)
    work.session.add(group)
    work.session.flush()
    return group


def find_group(work: Work, name: str) -> Group:
    """Raises NotFoundError."""
    group = work.session.scalar(select(Group).where(Group.name == canonical_local(name)))
    if group is None:
        raise NotFoundError(f"there is no group {shown(name)} at tenant {work.tenant.name}")
    return group


def remove_group(work: Work, name: str) -> Group:
    """What the group was allowed ends for its members, too; the people stay."""
    group = find_group(work, name)
    work.session.execute(delete(Group).where(Group.id == group.id))
    return group


def list_groups(work: Work) -> Sequence[Group]:
    return work.session.scalars(select(Group).order_by(Group.name)).all()


def add_member(work: Work, group: Group, user: User) -> None:
    if work.session.get(GroupMember, (group.id, user.id)) is not None:
        raise ConflictError(f"{user.login} is a member of {group.name} already")
    work.session.add(GroupMember(group_id=group.id, user_id=user.id, created_at=work.now))
    work.session.flush()


def remove_member(work: Work, group: Group, user: User) -> None:
    member = work.session.get(GroupMember, (group.id, user.id))
    if member is None:
        raise NotFoundError(f"{user.login} is not a member of {group.name}")
    work.session.delete(member)
    work.session.flush()


def members_of(work: Work, group: GroupId) -> list[str]:
    """Logins of the members, in alphabetical order."""
    query = select(User.login).join(GroupMember, GroupMember.user_id == User.id).where(GroupMember.group_id == group)
    return sorted(work.session.scalars(query))


def groups_of(work: Work, user: UserId) -> list[str]:
    """Names of the groups that the user belongs to, in alphabetical order."""
    query = select(Group.name).join(GroupMember, GroupMember.group_id == Group.id).where(GroupMember.user_id == user)
    return sorted(work.session.scalars(query))
