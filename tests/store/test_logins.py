"""Logins: the hash is spared for those who were right a moment ago, and guessing gets slow."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailgate.ipc.calls import Authenticate, Authenticated
from mailgate.model.envelope import TenantName
from mailgate.store.logins import GOOD_SECONDS, Logins
from tests.support.clock import ManualClock

GRANTED = Authenticated(True, TenantName("acme"), "bob@acme.example", ("bob@acme.example",))


class FakeAccount:
    def __init__(self, directory: FakeDirectory) -> None:
        self.directory = directory

    def answer(self, password: bytes) -> Authenticated:
        self.directory.hashed += 1
        return GRANTED if password == self.directory.password else Authenticated(ok=False)


class FakeDirectory:
    def __init__(self) -> None:
        self.password = b"right"
        self.hashed = 0

    async def find(self, login: str) -> FakeAccount:
        return FakeAccount(self)


class Desk:
    def __init__(self) -> None:
        self.directory = FakeDirectory()
        self.clock = ManualClock()
        self.pool = ThreadPoolExecutor(1)
        self.logins = Logins(self.directory.find, self.pool, self.clock)  # type: ignore[arg-type]

    def ask(self, password: str = "right", peer: str = "192.0.2.1", login: str = "bob@acme.example") -> Authenticated:
        return asyncio.run(self.logins.answer(Authenticate(login, password.encode(), peer)))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_good_login_is_hashed_once_a_minute(desk: Desk) -> None:
    assert desk.ask() == GRANTED
    assert desk.ask(peer="198.51.100.1") == GRANTED
    assert desk.directory.hashed == 1
    desk.clock.advance(GOOD_SECONDS)
    assert desk.ask() == GRANTED
    assert desk.directory.hashed == 2


def test_only_the_very_same_login_is_known(desk: Desk) -> None:
    desk.ask()
    assert not desk.ask("righ").ok
    assert not desk.ask("rightright").ok
    assert not desk.ask("ht", login="bob@acme.examplerig").ok
    assert desk.directory.hashed == 4


def test_a_bad_login_is_never_remembered(desk: Desk) -> None:
    desk.ask("wrong")
    desk.ask("wrong")
    assert desk.directory.hashed == 2


@pytest.mark.parametrize(("tenant", "known"), [("acme", False), ("", False), ("globex", True)])
def test_changes_in_the_directory_forget(desk: Desk, tenant: str, known: bool) -> None:
    desk.ask()
    desk.logins.forget(TenantName(tenant))
    desk.directory.password = b"new"
    assert desk.ask().ok == known


def test_a_change_while_hashing_is_not_outlived(desk: Desk) -> None:
    async def find(login: str) -> FakeAccount:
        desk.logins.forget(TenantName("acme"))
        return FakeAccount(desk.directory)

    desk.logins._find = find  # type: ignore[assignment]
    assert desk.ask() == GRANTED
    desk.directory.password = b"new"
    assert not desk.ask().ok


def test_guessing_from_one_address_gets_slow(desk: Desk) -> None:
    answers = [desk.ask("guess", login=f"user{n}@acme.example") for n in range(12)]
    assert [answer.retry_after for answer in answers[:11]] == [0.0] * 11
    assert answers[11].retry_after > 0
    assert desk.directory.hashed == 11
    assert desk.ask(peer="198.51.100.1").ok, "another address is not held up"


def test_guessing_one_account_from_many_addresses_gets_slow(desk: Desk) -> None:
    answers = [desk.ask("guess", peer=f"192.0.2.{n}") for n in range(12)]
    assert answers[11].retry_after > 0
    assert desk.ask("guess", peer="198.51.100.9", login="BOB@acme.example").retry_after > 0


def test_who_was_right_before_is_not_kept_out_by_guessers(desk: Desk) -> None:
    assert desk.ask().ok
    for n in range(12):
        desk.ask("guess", peer=f"192.0.2.{n + 10}")
    assert desk.ask().ok


def test_the_wait_ends(desk: Desk) -> None:
    for _ in range(12):
        wait = desk.ask("guess").retry_after
    desk.clock.advance(wait)
    assert desk.ask().ok
