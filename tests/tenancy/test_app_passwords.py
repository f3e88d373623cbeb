"""App passwords: made, listed, taken back; and login names in each of their forms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.errors import NotFoundError, UserError
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins import app_passwords
from mailgate.tenancy.logins import history as login_history
from mailgate.tenancy.logins.accounts import NO_ACCOUNT, Result
from mailgate.tenancy.logins.history import LoginTry
from tests.support.clock import ManualClock
from tests.tenancy.conftest import PASSWORD, Commands

BOB, ALICE = "bob@acme.example", "alice@acme.example"
DAY = 86_400.0


def result(directory: Directory, password: str, protocol: str, now: float) -> Result:
    return AccountBook(directory).account(BOB).check(password.encode(), protocol, now, 0).result


def test_it_opens_what_it_is_for_until_its_end(directory: Directory, two_tenants: Commands, clock: ManualClock) -> None:
    made = two_tenants("apppassword.add", login=BOB, name="phone", scopes=["imap"], days=2)
    assert result(directory, made["password"], "imap", clock()) is Result.OK
    assert result(directory, made["password"], "smtp", clock()) is Result.NOT_FOR_THIS
    assert result(directory, made["password"], "imap", clock() + 2 * DAY) is Result.NOT_FOR_THIS


def test_it_opens_nothing_once_it_is_revoked_or_its_user_is_disabled(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    made = two_tenants("apppassword.add", login=BOB, name="phone")
    two_tenants("user.disable", login=BOB)
    assert result(directory, made["password"], "imap", clock()) is Result.SWITCHED_OFF
    two_tenants("user.enable", login=BOB)
    assert result(directory, made["password"], "imap", clock()) is Result.OK
    two_tenants("apppassword.revoke", login=BOB, id=made["id"])
    assert result(directory, made["password"], "imap", clock()) is Result.WRONG


def test_a_new_own_password_leaves_app_passwords_alone(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    made = two_tenants("apppassword.add", login=BOB, name="phone")
    two_tenants("user.passwd", login=BOB, password="battery-staple-8")
    assert result(directory, made["password"], "imap", clock()) is Result.OK


def test_the_text_is_shown_once_and_kept_nowhere(two_tenants: Commands) -> None:
    made = two_tenants("apppassword.add", login=BOB, name="phone")
    (listed,) = two_tenants("apppassword.list", login=BOB)
    assert listed == {key: value for key, value in made.items() if key != "password"}
    assert made["password"] not in str(two_tenants("user.list", tenant="acme"))


def test_nobody_revokes_or_lists_what_is_anothers(two_tenants: Commands) -> None:
    made = two_tenants("apppassword.add", login=BOB, name="phone")
    assert two_tenants("apppassword.list", login=ALICE) == []
    with pytest.raises(NotFoundError, match="has no app password"):
        two_tenants("apppassword.revoke", login=ALICE, id=made["id"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": ""}, "1 to 60 visible"),
        ({"name": " "}, "1 to 60 visible"),
        ({"name": "x" * 61}, "1 to 60 visible"),
        ({"name": "a\nb"}, "1 to 60 visible"),
        ({"name": "a\u202eb"}, "1 to 60 visible"),
        ({"name": "phone", "scopes": []}, "imap or smtp"),
        ({"name": "phone", "scopes": ["imap", "pop3"]}, "imap or smtp"),
        ({"name": "phone", "days": 0}, "1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(two_tenants: Commands, arguments: dict[str, object], text: str) -> None:
    with pytest.raises(UserError, match=text):
        two_tenants("apppassword.add", login=BOB, **arguments)


def test_there_is_a_most_of_them(two_tenants: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_passwords, "MOST", 2)
    for _ in range(2):
        two_tenants("apppassword.add", login=BOB, name="phone")
    with pytest.raises(UserError, match="revoke one first"):
        two_tenants("apppassword.add", login=BOB, name="phone")


def test_they_are_long_and_never_the_same() -> None:
    made = {app_passwords.generate() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(text.replace("-", "")) == 25 for text in made)


@given(st.binary(max_size=60))
def test_the_digest_of_anything_can_be_had(password: bytes) -> None:
    assert app_passwords.digest(password) == app_passwords.digest(password.upper() + b" - ")


@pytest.mark.parametrize(
    "login", [BOB, "BOB@ACME.example", "acme/bob", "ACME/Bob", "acme/bob@acme.example", "acme/BOB@Acme.Example"]
)
def test_each_form_of_the_login_name_finds_the_account(directory: Directory, two_tenants: Commands, login: str) -> None:
    assert AccountBook(directory).account(login).login == BOB


@pytest.mark.parametrize(
    "login",
    [
        "bcme/bob",
        "bcme/bob@acme.example",
        "nowhere/bob",
        "/bob",
        "acme/",
        "acme/bob/",
        "acme\\bob",
        "bob",
        "acme/acme/bob",
    ],
)
def test_no_other_form_does(directory: Directory, two_tenants: Commands, login: str) -> None:
    assert replace(AccountBook(directory).account(login), counted_as="") == NO_ACCOUNT


def test_a_short_name_that_two_people_have_finds_neither(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("tenant.domain.add", tenant="acme", domain="acme.test")
    assert AccountBook(directory).account("acme/bob").login == BOB
    two_tenants("user.add", tenant="acme", login="bob@acme.test", password=PASSWORD)
    assert replace(AccountBook(directory).account("acme/bob"), counted_as="") == NO_ACCOUNT
    assert AccountBook(directory).account("acme/bob@acme.test").login == "bob@acme.test"


def tries(directory: Directory, at: float, count: int, **others: object) -> list[LoginTry]:
    account = AccountBook(directory).account(BOB)
    facts = {"protocol": "imap", "address": "192.0.2.1", "result": Result.OK, **others}
    return [LoginTry(account.tenant, account.user, at=at + number, **facts) for number in range(count)]  # type: ignore[arg-type]


def test_the_history_gathers_what_is_alike_by_the_hour(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    book = AccountBook(directory)
    book.record(tries(directory, 1000.0, 3))
    book.record(tries(directory, 1010.0, 2))
    book.record(tries(directory, 1020.0, 1, result=Result.WRONG))
    book.record(tries(directory, 1000.0 + login_history.LINE_SECONDS, 1))
    lines = [(line["result"], line["times"], line["first_at"]) for line in two_tenants("user.logins", login=BOB)]
    assert lines == [("ok", 1, 4600.0), ("wrong password", 1, 1020.0), ("ok", 5, 1000.0)]
    assert two_tenants("user.logins", login=ALICE) == []
    assert len(two_tenants("user.logins", login=BOB, limit=1)) == 1


def test_the_history_is_bounded_and_forgets(
    directory: Directory, two_tenants: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_history, "MOST_LINES", 5)
    book = AccountBook(directory)
    for number in range(9):
        book.record(tries(directory, float(number), 1, address=f"192.0.2.{number}"))
    assert [line["last_at"] for line in two_tenants("user.logins", login=BOB)] == [8.0, 7.0, 6.0, 5.0, 4.0]
    book.forget_logins(directory.tenant("acme"), 7.0)
    assert [line["last_at"] for line in two_tenants("user.logins", login=BOB)] == [8.0, 7.0]


def test_tries_on_who_is_gone_are_dropped(directory: Directory, two_tenants: Commands) -> None:
    late = tries(directory, 5.0, 1)
    two_tenants("user.remove", login=BOB)
    AccountBook(directory).record(late)


def test_the_last_use_of_an_app_password_shows(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("apppassword.add", login=BOB, name="phone")
    (key,) = AccountBook(directory).account(BOB).keys
    AccountBook(directory).record(tries(directory, 77.0, 1, app=key))
    AccountBook(directory).record(tries(directory, 99.0, 1, app=key, result=Result.NOT_FOR_THIS))
    assert two_tenants("apppassword.list", login=BOB)[0]["last_used_at"] == 77.0


def test_locked_for_a_while_means_no_longer(directory: Directory, two_tenants: Commands, clock: ManualClock) -> None:
    book = AccountBook(directory)
    book.lock(book.account(BOB), clock() + 60.0)
    assert result(directory, PASSWORD, "smtp", clock()) is Result.LOCKED
    assert two_tenants("user.list", tenant="acme")[1]["state"] == "locked"
    assert result(directory, PASSWORD, "smtp", clock() + 60.0) is Result.OK
    two_tenants("user.unlock", login=BOB)
    assert result(directory, PASSWORD, "smtp", clock()) is Result.OK


def test_a_lock_does_not_soften_disabled(directory: Directory, two_tenants: Commands, clock: ManualClock) -> None:
    book = AccountBook(directory)
    account = book.account(BOB)
    two_tenants("user.disable", login=BOB)
    book.lock(account, clock())
    assert result(directory, PASSWORD, "smtp", clock() + 1.0) is Result.SWITCHED_OFF


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_every_way_to_write_a_login_counts_as_one_whether_there_is_an_account_or_not(
    directory: Directory, two_tenants: Commands, name: str
) -> None:
    """Else mixing them would tell who exists: guesses at an account add up, those at nobody would not."""
    book = AccountBook(directory)
    forms = (f"{name}@acme.example", f"acme/{name}", f"acme/{name}@acme.example", f"ACME/{name.upper()}@Acme.Example")
    found = [book.account(form) for form in forms]
    assert {account.login or account.counted_as for account in found} == {f"{name}@acme.example"}
