"""Logging in: who may, what as, and that every failure looks and costs the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mailgate.ipc.calls import Authenticated
from mailgate.model.envelope import TenantName
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.databases.models import UserState
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins import passwords
from mailgate.tenancy.logins.accounts import REFUSED
from mailgate.tenancy.people import people
from tests.tenancy.conftest import PASSWORD, Commands, authenticate

RIGHT = PASSWORD.encode()


class CountingHasher:
    """The real hasher; counts how many hashes it was asked to compute."""

    def __init__(self) -> None:
        self.computed = 0
        self._hasher = passwords.HASHER

    def verify(self, encoded: str, password: bytes) -> bool:
        self.computed += 1
        return self._hasher.verify(encoded, password)


@pytest.fixture
def hasher(two_tenants: Commands, monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    counting = CountingHasher()
    monkeypatch.setattr(passwords, "HASHER", counting)
    return counting


@pytest.mark.parametrize("login", ["bob@acme.example", "BOB@Acme.Example"])
def test_a_right_password_says_what_the_account_may_send_as(
    directory: Directory, two_tenants: Commands, login: str
) -> None:
    two_tenants("alias.add", tenant="acme", address="info@acme.example", targets=["team@acme.example"])
    assert authenticate(directory, login, RIGHT) == Authenticated(
        True,
        TenantName("acme"),
        "bob@acme.example",
        ("bob@acme.example", "info@acme.example", "team@acme.example"),
    )
    assert authenticate(directory, "alice@acme.example", RIGHT).send_as == ("alice@acme.example",)


def test_what_is_taken_away_or_switched_off_is_no_sender_any_more(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("mailbox.unassign", mailbox="team@acme.example", user="bob@acme.example")
    assert authenticate(directory, "bob@acme.example", RIGHT).send_as == ("bob@acme.example",)
    two_tenants("mailbox.disable", mailbox="bob@acme.example")
    assert authenticate(directory, "bob@acme.example", RIGHT).send_as == ()


def test_a_new_password_takes_the_place_of_the_old_one(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("user.passwd", login="bob@acme.example", password="battery-staple-8")
    assert authenticate(directory, "bob@acme.example", RIGHT) == REFUSED
    assert authenticate(directory, "bob@acme.example", b"battery-staple-8").ok


def test_disabled_and_locked_are_refused_until_enabled(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("user.disable", login="bob@acme.example")
    assert authenticate(directory, "bob@acme.example", RIGHT) == REFUSED
    two_tenants("user.enable", login="bob@acme.example")
    with directory.changing("acme") as work:
        people.set_state(work, "bob@acme.example", UserState.LOCKED)
    assert authenticate(directory, "bob@acme.example", RIGHT) == REFUSED
    two_tenants("user.enable", login="bob@acme.example")
    assert authenticate(directory, "bob@acme.example", RIGHT).ok


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("bob@acme.example", b"wrong-password"),
        ("bob@acme.example", b""),
        ("bob@acme.example", b"\xff\xfe not text"),
        ("nobody@acme.example", RIGHT),
        ("eve@acme.example", RIGHT),
        ("bob@bcme.example", RIGHT),
        ("bob@elsewhere.example", RIGHT),
        ("alice@acme.example", RIGHT),  # disabled
        ("eve@bcme.example", RIGHT),  # of a disabled tenant
        ("team@acme.example", RIGHT),  # a mailbox, not a user
        ("bob+x@acme.example", RIGHT),
        ("bob", RIGHT),
        ("", RIGHT),
        ("@", RIGHT),
        ("bob\0@acme.example", RIGHT),
        ("' OR 1=1 --@acme.example", RIGHT),
        ("b" * 1000 + "@acme.example", RIGHT),
    ],
)
def test_every_failure_is_one_answer_and_one_hash_computation(
    directory: Directory, two_tenants: Commands, hasher: CountingHasher, login: str, password: bytes
) -> None:
    two_tenants("user.disable", login="alice@acme.example")
    two_tenants("tenant.disable", name="bcme")
    assert authenticate(directory, "bob@acme.example", RIGHT).ok
    assert hasher.computed == 1
    assert authenticate(directory, login, password) == REFUSED
    assert hasher.computed == 2


def test_the_hash_can_be_checked_in_another_thread(directory: Directory, two_tenants: Commands) -> None:
    account = AccountBook(directory).account("bob@acme.example")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(account.check, RIGHT, "smtp", 0.0, 0).result().granted.ok
        assert pool.submit(account.check, b"wrong-password", "smtp", 0.0, 0).result().granted == REFUSED


def test_the_hash_does_not_leave_with_the_commands_answers(two_tenants: Commands) -> None:
    assert "argon2" not in str(two_tenants("user.list", tenant="acme"))
    assert "argon2" not in str(two_tenants("tenant.show", name="acme"))
