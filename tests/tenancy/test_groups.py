"""Groups and roles: who belongs to what, and which names there may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.models import Assignment, User
from mailgate.tenancy.databases.schema import TENANT
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import people
from tests.tenancy.conftest import Commands

BOB, ALICE = "bob@acme.example", "alice@acme.example"


def members(run: Commands, name: str) -> list[str]:
    return next(group["members"] for group in run("group.list", tenant="acme") if group["name"] == name)


def test_people_join_and_leave_a_group(two_tenants: Commands) -> None:
    assert two_tenants("group.member.add", tenant="acme", name="STAFF", user=BOB)["members"] == [ALICE, BOB]
    assert two_tenants("group.member.remove", tenant="acme", name="staff", user=ALICE)["members"] == [BOB]
    assert members(two_tenants, "staff") == [BOB]


def test_a_group_may_stand_empty_and_a_user_in_several(two_tenants: Commands) -> None:
    assert two_tenants("group.add", tenant="acme", name="empty")["members"] == []
    two_tenants("group.add", tenant="acme", name="accounts", users=[ALICE, ALICE])
    alice = next(user for user in two_tenants("user.list", tenant="acme") if user["login"] == ALICE)
    assert alice["groups"] == ["accounts", "staff"]


def test_who_is_removed_is_in_no_group_and_a_removed_group_leaves_its_people(two_tenants: Commands) -> None:
    two_tenants("group.member.add", tenant="acme", name="staff", user=BOB)
    two_tenants("user.remove", login=ALICE)
    assert members(two_tenants, "staff") == [BOB]
    assert two_tenants("group.remove", tenant="acme", name="staff") == "staff"
    assert two_tenants("group.list", tenant="acme") == []
    assert [user["login"] for user in two_tenants("user.list", tenant="acme")] == [BOB]


def test_groups_belong_to_one_tenant(two_tenants: Commands) -> None:
    assert two_tenants("group.list", tenant="bcme") == []
    two_tenants("group.add", tenant="bcme", name="staff", users=["eve@bcme.example"])
    assert members(two_tenants, "staff") == [ALICE]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "it is empty"),
        ("a/b", "slashes"),
        ("..", "a dot can't stand first"),
        (".", "a dot can't stand first"),
        ("-rf", "'-' can't stand first"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("two words", "a space"),
        ("abc\u202ecba", "invisible character"),
        ("a\u200bb", "invisible character"),
        ("x" * 1000, "longer than 64 octets"),
        ("\uff41bc", "compatibility character"),
        ("st\u0430ff", "several scripts"),
    ],
)
def test_names_that_can_be_mistaken_are_refused(two_tenants: Commands, name: str, text: str) -> None:
    with pytest.raises(UserError, match=text) as refused:
        two_tenants("group.add", tenant="acme", name=name)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", ["staff", "Staff", "STAFF"])
def test_a_name_is_taken_in_any_case(two_tenants: Commands, name: str) -> None:
    with pytest.raises(ConflictError, match="group staff exists already"):
        two_tenants("group.add", tenant="acme", name=name)


def test_a_name_that_looks_like_another_is_refused(two_tenants: Commands) -> None:
    two_tenants("group.add", tenant="acme", name="cop")
    with pytest.raises(ConflictError, match="looks like cop"):
        two_tenants("group.add", tenant="acme", name="\u0441\u043e\u0440")


def test_the_same_member_twice_and_an_unknown_one_are_refused(two_tenants: Commands) -> None:
    with pytest.raises(ConflictError, match="a member of staff already"):
        two_tenants("group.member.add", tenant="acme", name="staff", user=ALICE)
    with pytest.raises(NotFoundError, match="not a member of staff"):
        two_tenants("group.member.remove", tenant="acme", name="staff", user=BOB)
    with pytest.raises(NotFoundError, match="no group 'nobody'"):
        two_tenants("group.member.add", tenant="acme", name="nobody", user=BOB)


def test_a_group_with_an_unknown_member_is_not_made_at_all(two_tenants: Commands) -> None:
    with pytest.raises(NotFoundError):
        two_tenants("group.add", tenant="acme", name="new", users=[ALICE, "nobody@acme.example"])
    assert [group["name"] for group in two_tenants("group.list", tenant="acme")] == ["staff"]


def test_administrators_are_made_and_unmade(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("user.role", login=ALICE, role="administrator")
    two_tenants("user.role", login=BOB, role="administrator")
    two_tenants("user.disable", login=BOB)
    with directory.reading("acme") as work:
        assert [user.login for user in people.administrators(work)] == [ALICE]
    two_tenants("user.role", login=ALICE, role="user")
    with directory.reading("acme") as work:
        assert people.administrators(work) == []


def test_a_role_that_is_none_is_refused(two_tenants: Commands) -> None:
    with pytest.raises(UserError, match="role 'root': give user or administrator"):
        two_tenants("user.role", login=BOB, role="root")
    with pytest.raises(ConflictError, match="is user already"):
        two_tenants("user.role", login=BOB, role="user")


def test_people_of_an_older_release_keep_their_mailboxes_and_are_ordinary_users(tmp_path: Path) -> None:
    """The table of users gets more columns; a copy of it in place of the old one would take the assignments along."""
    versions = tmp_path / "versions"
    versions.mkdir()
    for script in ("r0001_first.py", "r0002_dkim_keys.py"):
        (versions / script).write_text((TENANT.versions / script).read_text())
    path = tmp_path / "tenant.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        replace(TENANT, head="0002", versions=versions).migrate(connection)
        for row in (
            "addresses VALUES ('bob@acme.example', 'bob@acme.example', 0)",
            "users VALUES ('u', 'bob@acme.example', '', 'active', 0, 0)",
            "mailboxes VALUES ('m', 'bob@acme.example', 'personal', 'active', 0)",
            "assignments VALUES ('m', 'u', 0)",
        ):
            connection.execute(text(f"INSERT INTO {row}"))
    engine.dispose()
    database = Database(path, TENANT)
    with database.session() as session:
        user = session.scalars(select(User)).one()
        assert (user.login, user.role, user.locked_until) == ("bob@acme.example", "user", None)
        assert session.scalars(select(Assignment.user_id)).all() == ["u"]
    database.close()
