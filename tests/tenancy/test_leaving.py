"""Somebody leaves: all of it ends in one transaction, and nothing that was private becomes public."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.access import assignments
from mailgate.tenancy.access.rights import Rights
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.databases.models import Assignment, Mailbox, User
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins.accounts import REFUSED
from mailgate.tenancy.mailboxes import mailboxes
from mailgate.tenancy.people import people
from mailgate.tenancy.work import Work
from tests.support.clock import ManualClock
from tests.tenancy.conftest import PASSWORD, Commands, authenticate

BOB, ALICE, TEAM = "bob@acme.example", "alice@acme.example", "team@acme.example"


def user(run: Commands, login: str) -> dict[str, object]:
    return next(each for each in run("user.list", tenant="acme") if each["login"] == login)


def users_of(directory: Directory, address: str) -> Sequence[str]:
    with directory.reading("acme") as work:
        return assignments.users_of(work, mailboxes.find_mailbox(work, address).id)


@pytest.fixture
def bob(two_tenants: Commands) -> Commands:
    """With everything that can be taken from him."""
    two_tenants("user.role", login=BOB, role="administrator")
    two_tenants("group.member.add", tenant="acme", name="staff", user=BOB)
    two_tenants("apppassword.add", login=BOB, name="phone")
    return two_tenants


def test_everything_ends(directory: Directory, bob: Commands) -> None:
    left = json.loads(json.dumps(bob("user.leave", login=BOB)))
    assert left == {
        "login": BOB,
        "mailboxes": [BOB, TEAM],
        "groups": ["staff"],
        "app_passwords": 1,
        "passed_on": [],
        "switched_off": [BOB],
    }
    facts = user(bob, BOB)
    assert (facts["state"], facts["role"], facts["groups"], facts["mailboxes"]) == ("disabled", "user", [], [])
    assert bob("apppassword.list", login=BOB) == []
    assert authenticate(directory, BOB, PASSWORD.encode()) == REFUSED
    bob("user.enable", login=BOB)
    assert authenticate(directory, BOB, PASSWORD.encode()) == REFUSED, "the password is gone as well"


def test_what_nobody_has_any_more_is_read_by_nobody(directory: Directory, bob: Commands) -> None:
    bob("user.leave", login=BOB)
    assert users_of(directory, BOB) == users_of(directory, TEAM) == []
    assert directory.recipients.resolve("bob", "acme.example").kind == "disabled"
    assert directory.recipients.resolve("team", "acme.example").kind == "mailbox", "a shared one goes on taking mail"


def test_a_successor_gets_the_personal_mailbox_and_nothing_else(directory: Directory, bob: Commands) -> None:
    left = bob("user.leave", login=BOB, successor=ALICE)
    assert (left["passed_on"], left["switched_off"]) == ((BOB,), ())
    assert users_of(directory, BOB) == [ALICE]
    assert users_of(directory, TEAM) == []
    assert directory.recipients.resolve("bob", "acme.example").kind == "mailbox"


@pytest.mark.parametrize(
    ("successor", "error"),
    [(BOB, UserError), ("nobody@acme.example", NotFoundError), ("eve@bcme.example", NotFoundError)],
)
def test_a_successor_that_makes_no_sense_changes_nothing(
    directory: Directory, bob: Commands, successor: str, error: type[Exception]
) -> None:
    before = user(bob, BOB)
    with pytest.raises(error):
        bob("user.leave", login=BOB, successor=successor)
    assert user(bob, BOB) == before


def test_a_failure_in_the_middle_takes_nothing(
    directory: Directory, bob: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(work: Work, mailbox: Mailbox, heir: User, rights: Rights) -> Assignment:
        raise OSError(28, "No space left on device")

    before = user(bob, BOB)
    monkeypatch.setattr(assignments, "assign", fail)
    with pytest.raises(OSError, match="No space"):
        bob("user.leave", login=BOB, successor=ALICE)
    assert user(bob, BOB) == before
    assert len(bob("apppassword.list", login=BOB)) == 1
    assert authenticate(directory, BOB, PASSWORD.encode()).ok


def test_open_sessions_lose_their_login(directory: Directory, bob: Commands, clock: ManualClock) -> None:
    (key,) = AccountBook(directory).account(BOB).keys

    def renewed(app: str) -> bool:
        return AccountBook(directory).renew(BOB, app, clock(), "smtp", clock()).ok

    assert renewed("")
    assert renewed(key.id)
    clock.advance(1.0)
    since = clock() - 1.0
    bob("user.leave", login=BOB)
    bob("user.enable", login=BOB)
    assert not AccountBook(directory).renew(BOB, "", since, "smtp", clock()).ok
    assert not renewed(key.id)


@pytest.mark.parametrize(
    ("command", "arguments", "own", "app"),
    [
        ("user.disable", {"login": BOB}, False, False),
        ("user.remove", {"login": BOB}, False, False),
        ("tenant.disable", {"name": "acme"}, False, False),
        ("user.passwd", {"login": BOB, "password": "battery-staple-8"}, False, True),
        ("apppassword.revoke", {"login": BOB}, True, False),
        ("user.role", {"login": ALICE, "role": "administrator"}, True, True),
    ],
)
def test_what_ends_which_sessions(
    directory: Directory,
    bob: Commands,
    clock: ManualClock,
    command: str,
    arguments: dict[str, str],
    own: bool,
    app: bool,
) -> None:
    book, since = AccountBook(directory), clock()
    (key,) = book.account(BOB).keys
    clock.advance(1.0)
    bob(command, **(arguments | ({"id": key.id} if command == "apppassword.revoke" else {})))
    assert book.renew(BOB, "", since, "smtp", clock()).ok is own
    assert book.renew(BOB, key.id, since, "smtp", clock()).ok is app
    assert not book.renew(BOB, key.id, since, "command", clock()).ok


def test_two_administrators_at_once_lose_no_change(directory: Directory, bob: Commands) -> None:
    """The directory's one thread makes each change a transaction after the other: what contradicts is told, what does
    not is kept from both."""

    def change(command: str, arguments: dict[str, object]) -> str:
        try:
            bob(command, **arguments)
        except ConflictError:
            return "conflict"
        return "done"

    wanted: list[tuple[str, dict[str, object]]] = [
        ("user.role", {"login": ALICE, "role": "administrator"}),
        ("user.disable", {"login": ALICE}),
        ("user.role", {"login": ALICE, "role": "administrator"}),
        ("group.member.remove", {"tenant": "acme", "name": "staff", "user": ALICE}),
        ("user.passwd", {"login": ALICE, "password": "battery-staple-8"}),
        ("user.disable", {"login": ALICE}),
    ]
    with ThreadPoolExecutor(1) as directory_thread, ThreadPoolExecutor(6) as administrators:
        asked = [
            administrators.submit(lambda each=each: directory_thread.submit(change, *each).result()) for each in wanted
        ]
        assert sorted(each.result() for each in asked) == ["conflict"] * 2 + ["done"] * 4
    facts = user(bob, ALICE)
    assert (facts["role"], facts["state"], facts["groups"]) == ("administrator", "disabled", [])
    with directory.reading("acme") as work:
        assert people.find_user(work, ALICE).password_hash
