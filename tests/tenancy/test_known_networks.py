"""The networks that a user has logged in from: kept as long as the history, few for each, there after an upgrade."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select

from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.models import KnownNetwork, UserState
from mailgate.tenancy.databases.schema import TENANT
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins import known_networks
from mailgate.tenancy.logins.accounts import Account, Result
from mailgate.tenancy.logins.history import MOST_LINES, LoginTry, forget_before, logins_of, record
from mailgate.tenancy.people import people
from tests.support.clock import ManualClock
from tests.tenancy.conftest import PASSWORD, Commands
from tests.tenancy.test_schema import version_before

BOB = "bob@acme.example"
HOME, HERE = "2001:db8:1:2::/64", "2001:db8:1:2::99"


def bob(directory: Directory) -> Account:
    return AccountBook(directory).account(BOB)


def tried(account: Account, address: str, at: float, result: Result = Result.OK) -> LoginTry:
    return LoginTry(account.tenant, account.user, "imap", address, result, at)


def test_a_network_is_known_once_a_login_from_there_was_right(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    book = AccountBook(directory)
    book.record([tried(bob(directory), HERE, clock(), Result.WRONG)])
    assert not bob(directory).knows(HOME)
    book.record([tried(bob(directory), HERE, clock())] * 3)
    assert bob(directory).knows(HOME)
    assert not AccountBook(directory).account("alice@acme.example").knows(HOME)


def test_neither_addresses_nor_times_are_kept(directory: Directory, two_tenants: Commands, clock: ManualClock) -> None:
    AccountBook(directory).record([tried(bob(directory), "192.0.2.1", clock())])
    with directory.reading("acme") as work:
        row = work.session.scalars(select(KnownNetwork)).one()
        assert (len(row.network), row.day) == (16, clock() // 86_400)


def test_they_go_with_the_login_history_and_with_the_user(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    account = bob(directory)
    AccountBook(directory).record([tried(account, HERE, clock()), tried(account, "192.0.2.1", clock() - 50 * 86_400)])
    with directory.changing("acme") as work:
        forget_before(work, clock() - 30 * 86_400)
        assert work.session.scalar(select(func.count()).select_from(KnownNetwork)) == 1
    two_tenants("user.leave", login=BOB)
    with directory.reading("acme") as work:
        assert work.session.scalar(select(func.count()).select_from(KnownNetwork)) == 0


def test_few_are_kept_of_each_user(directory: Directory, two_tenants: Commands, clock: ManualClock) -> None:
    account = bob(directory)
    days = known_networks.MOST + 10
    AccountBook(directory).record([tried(account, f"192.0.2.{n}", clock() + n * 86_400) for n in range(days)])
    assert [n for n in range(days) if bob(directory).knows(f"192.0.2.{n}")] == list(range(10, days))


def test_guessers_do_not_push_good_logins_out_of_the_history(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    account = bob(directory)
    with directory.reading("acme") as work:
        record(work, [tried(account, HERE, clock())])
        many = [tried(account, f"10.0.{n // 250}.{n % 250}", clock() + n, Result.WRONG) for n in range(MOST_LINES + 20)]
        record(work, many)
        lines = logins_of(work, account.user, MOST_LINES + 1)
        assert len(lines) == MOST_LINES
        assert [line.address for line in lines if line.result == "ok"] == [HERE]


def test_a_locked_account_is_open_where_it_is_known(
    directory: Directory, two_tenants: Commands, clock: ManualClock
) -> None:
    AccountBook(directory).record([tried(bob(directory), HERE, clock())])
    AccountBook(directory).lock(bob(directory), clock() + 60.0)
    right = PASSWORD.encode()
    assert bob(directory).check(right, "imap", clock(), 0, "192.0.2.1").result is Result.LOCKED
    assert bob(directory).check(right, "imap", clock(), 0, HOME).result is Result.OK
    clock.advance(61.0)
    assert bob(directory).check(right, "imap", clock(), 0, "192.0.2.1").result is Result.OK
    AccountBook(directory).lock(bob(directory), None)
    assert bob(directory).check(right, "imap", clock(), 0, "192.0.2.1").result is Result.LOCKED, (
        "again, after the first"
    )
    assert directory.caller(BOB).login == BOB, "commands go on"
    with directory.reading("acme") as work:
        assert people.find_user(work, BOB).state is UserState.LOCKED


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", HERE])
def test_after_an_upgrade_the_networks_of_the_history_are_known(tmp_path: Path, address: str) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}")
    with engine.begin() as connection:
        version_before("known_networks", tmp_path).migrate(connection)
        for row in (
            "users (id, login, password_hash, state, password_changed_at, created_at, role) VALUES "
            "('u', 'b@a', '', 'active', 1, 1, 'user')",
            "logins (user_id, protocol, address, result, app_password, first_at, last_at, times) VALUES "
            f"('u', 'imap', '{address}', 'ok', '', 1, 864000, 1), ('u', 'imap', '{address}', 'ok', '', 1, 86400, 1), "
            "('u', 'imap', '198.51.100.1', 'wrong password', '', 1, 864000, 1)",
        ):
            connection.exec_driver_sql(f"INSERT INTO {row}")
    engine.dispose()
    Database(tmp_path / "db", TENANT).close()
    with sqlite3.connect(tmp_path / "db") as connection:
        kept = connection.execute("SELECT user_id, network, day FROM known_networks").fetchall()
    network = HOME if address == HERE else "192.0.2.1"
    assert kept == [("u", known_networks.digest("u", network), 10)]  # type: ignore[arg-type]
