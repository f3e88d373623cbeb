"""Assignments with rights: what they change for sending, and what stays private when they go."""

from __future__ import annotations

import pytest

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.access import assignments
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import people
from tests.tenancy.conftest import PASSWORD, Commands, authenticate

BOB, ALICE, TEAM = "bob@acme.example", "alice@acme.example", "team@acme.example"


def visible_to(directory: Directory, login: str) -> dict[str, str]:
    """Address and letters of every mailbox that exists for the user."""
    with directory.reading(directory.tenant_of(login)) as work:
        user = people.find_user(work, login)
        return {grant.mailbox.address: grant.rights.letters for grant in assignments.grants_of(work, user.id)}


def test_an_assignment_has_rights_and_the_own_mailbox_has_all(directory: Directory, two_tenants: Commands) -> None:
    assert visible_to(directory, BOB) == {BOB: "lrswipkxtea", TEAM: "lrswipkxte"}
    two_tenants("mailbox.assign", mailbox=TEAM, user=ALICE, rights="read,send-as")
    assert visible_to(directory, ALICE) == {ALICE: "lrswipkxtea", TEAM: "lrsp"}
    assert two_tenants("mailbox.show", mailbox=TEAM)["assignments"] == [
        {"user": ALICE, "rights": ["read", "send-as"], "letters": "lrsp"},
        {"user": BOB, "rights": ["read", "write", "delete", "send-as"], "letters": "lrswipkxte"},
    ]


def test_only_the_right_to_send_as_lets_one_send(directory: Directory, two_tenants: Commands) -> None:
    def may_send() -> bool:
        return TEAM in authenticate(directory, ALICE, PASSWORD.encode()).send_as

    assert not may_send()
    two_tenants("mailbox.assign", mailbox=TEAM, user=ALICE, rights="read,write,delete,administer")
    assert not may_send()
    two_tenants("mailbox.rights", mailbox=TEAM, user=ALICE, rights="send-as")
    assert may_send()
    two_tenants("mailbox.disable", mailbox=TEAM)
    assert not may_send()


def test_without_assignee_the_mailbox_takes_mail_and_exists_for_nobody(
    directory: Directory, two_tenants: Commands
) -> None:
    two_tenants("mailbox.unassign", mailbox=TEAM, user=BOB)
    assert directory.recipients.resolve("team", "acme.example").kind == "mailbox"
    for login in (BOB, ALICE):
        assert TEAM not in visible_to(directory, login)
        assert TEAM not in authenticate(directory, login, PASSWORD.encode()).send_as
    two_tenants("user.add", tenant="acme", login="new@acme.example", password=PASSWORD)
    assert TEAM not in visible_to(directory, "new@acme.example")


def test_rights_change_only_where_the_mailbox_is_assigned(two_tenants: Commands) -> None:
    with pytest.raises(NotFoundError, match="not assigned to alice"):
        two_tenants("mailbox.rights", mailbox=TEAM, user=ALICE, rights="read")
    with pytest.raises(UserError, match="right 'everything'"):
        two_tenants("mailbox.assign", mailbox=TEAM, user=ALICE, rights="everything")
    with pytest.raises(ConflictError, match="mailgate mailbox rights team@acme"):
        two_tenants("mailbox.assign", mailbox=TEAM, user=BOB, rights="read")


def test_a_group_gives_its_members_what_it_has_as_long_as_they_are_members(
    directory: Directory, two_tenants: Commands
) -> None:
    two_tenants("group.add", tenant="acme", name="sales", users=[ALICE])
    two_tenants("mailbox.assign", mailbox=TEAM, group="sales", rights="read")
    assert visible_to(directory, ALICE)[TEAM] == "lrs"
    two_tenants("mailbox.assign", mailbox=TEAM, user=ALICE, rights="send-as")
    assert visible_to(directory, ALICE)[TEAM] == "lrsp", "rights add up"
    assert visible_to(directory, BOB)[TEAM] == "lrswipkxte"
    two_tenants("mailbox.unassign", mailbox=TEAM, user=ALICE)
    two_tenants("mailbox.rights", mailbox=TEAM, group="sales", rights="read,write")
    assert visible_to(directory, ALICE)[TEAM] == "lrswik"
    two_tenants("group.member.remove", tenant="acme", name="sales", user=ALICE)
    assert TEAM not in visible_to(directory, ALICE)


def test_without_the_group_and_any_user_the_mailbox_exists_for_nobody(
    directory: Directory, two_tenants: Commands
) -> None:
    two_tenants("group.add", tenant="acme", name="sales", users=[ALICE, BOB])
    two_tenants("mailbox.assign", mailbox=TEAM, group="sales")
    two_tenants("mailbox.unassign", mailbox=TEAM, user=BOB)
    assert [TEAM in visible_to(directory, login) for login in (ALICE, BOB)] == [True, True]
    two_tenants("group.remove", tenant="acme", name="sales")
    assert [TEAM in visible_to(directory, login) for login in (ALICE, BOB)] == [False, False]
    shown = two_tenants("mailbox.show", mailbox=TEAM)
    assert (shown["users"], shown["groups"], shown["state"]) == ([], [], "active")


def test_a_mailbox_of_a_group_stays_on_when_its_owner_leaves(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("group.add", tenant="acme", name="sales", users=[ALICE])
    two_tenants("mailbox.assign", mailbox=BOB, group="sales", rights="read")
    assert two_tenants("user.remove", login=BOB)["kept"] == []
    assert directory.recipients.resolve("bob", "acme.example").kind == "mailbox"


@pytest.mark.parametrize("holder", [{}, {"user": BOB, "group": "sales"}])
def test_one_holder_is_named(two_tenants: Commands, holder: dict[str, str]) -> None:
    with pytest.raises(UserError, match="name a user or a group"):
        two_tenants("mailbox.assign", mailbox=TEAM, **holder)
