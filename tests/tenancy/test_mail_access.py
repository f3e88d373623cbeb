"""What a user gets from an IMAP server, and the file that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.errors import NotFoundError
from mailgate.tenancy.databases.models import UserState
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import people
from mailgate.tenancy.people.mail_access import acl_text, distinct_names
from tests.support.clock import ManualClock
from tests.tenancy.conftest import PASSWORD, Commands

BOB, ALICE, TEAM = "bob@acme.example", "alice@acme.example", "team@acme.example"


def test_the_own_mailbox_and_the_shared_ones(directory: Directory, two_tenants: Commands) -> None:
    found = directory.mail_access("Bob@ACME.example")
    assert found.login == BOB
    assert found.maildir == Path(two_tenants("mailbox.path", mailbox=BOB))
    assert [(box.name, box.maildir) for box in found.shared] == [
        (TEAM, Path(two_tenants("mailbox.path", mailbox=TEAM)))
    ]
    assert acl_text(found) == (
        "* owner lrswipkxte\n"
        '"Shared/team@acme.example" user=bob@acme.example lrswipkxte\n'
        '"Shared/team@acme.example/*" user=bob@acme.example lrswipkxte\n'
    )


@pytest.mark.parametrize("rights", ["write", "send-as", "l", "r", "administer"])
def test_what_cannot_be_read_is_not_there(directory: Directory, two_tenants: Commands, rights: str) -> None:
    two_tenants("mailbox.rights", mailbox=TEAM, user=BOB, rights=rights)
    assert directory.mail_access(BOB).shared == ()


def test_another_persons_mailbox_is_shared_and_never_the_inbox(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("mailbox.assign", mailbox=BOB, user=ALICE, rights="read")
    found = directory.mail_access(ALICE)
    assert found.maildir == Path(two_tenants("mailbox.path", mailbox=ALICE))
    assert [box.name for box in found.shared] == [BOB]


def test_a_lock_keeps_sessions_and_a_disabled_user_has_none(directory: Directory, two_tenants: Commands) -> None:
    with directory.changing("acme") as work:
        people.set_state(work, BOB, UserState.LOCKED)
    assert directory.mail_access(BOB).login == BOB
    two_tenants("user.disable", login=ALICE)
    with pytest.raises(NotFoundError):
        directory.mail_access(ALICE)
    two_tenants("tenant.disable", name="acme")
    with pytest.raises(NotFoundError):
        directory.mail_access(BOB)


def test_a_new_password_makes_another_access(directory: Directory, two_tenants: Commands, clock: ManualClock) -> None:
    before = directory.mail_access(BOB)
    assert directory.mail_access(BOB) == before
    clock.advance(1)
    two_tenants("user.passwd", login=BOB, password=f"{PASSWORD} anew")
    assert directory.mail_access(BOB) != before


def test_an_app_password_for_imap_counts_until_it_ends(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    bare = directory.mail_access(BOB)
    two_tenants("apppassword.add", login=BOB, name="printer", scopes=["smtp"], days=1)
    assert directory.mail_access(BOB) == bare
    made = two_tenants("apppassword.add", login=BOB, name="phone", scopes=["imap"], days=2)
    found = directory.mail_access(BOB)
    assert (found.app_passwords, found.until) == ({made["id"]}, made["expires_at"])
    assert found.still_holds(bare)
    clock.advance(2 * 86_400)
    over = directory.mail_access(BOB)
    assert over == bare
    assert not over.still_holds(found)


@given(st.lists(st.text("ab*?_~2", min_size=1, max_size=4), unique=True, max_size=8))
def test_names_are_distinct_and_hold_no_wildcard(addresses: list[str]) -> None:
    names = distinct_names(addresses)
    assert len(names) == len(addresses) == len(set(names))
    assert not any(char in name for name in names for char in "*?")
