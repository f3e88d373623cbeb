"""Logins: the hash is spared for those who were right a moment ago, guessing gets slow, and what came of it is kept."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mailgate.ipc.calls import Authenticate, Authenticated, Protocol, Renew
from mailgate.model.envelope import TenantName
from mailgate.policy.schema import Passwords
from mailgate.store.logins.checking import FAILURE_TICK, GOOD_SECONDS, Logins
from mailgate.store.logins.guessing import LONGEST_DELAY
from mailgate.store.logins.records import LoginRecords
from mailgate.tenancy.databases.ids import AppPasswordId, TenantId, UserId
from mailgate.tenancy.databases.models import UserState
from mailgate.tenancy.logins import app_passwords, known_networks, passwords
from mailgate.tenancy.logins.accounts import NO_ACCOUNT, Account, Result
from mailgate.tenancy.logins.app_passwords import AppKey
from mailgate.tenancy.logins.failed_logins import Failures
from mailgate.tenancy.logins.history import LoginTry
from tests.support.clock import ManualClock

BOB = "bob@acme.example"
GRANTED = Authenticated(True, TenantName("acme"), BOB, (BOB,))
PHONE = "abcde-fghij-kmnpq-rstuv-wxyz2"


class Book:
    """One account, bob's; counts hashes, and keeps what is written down."""

    def __init__(self, clock: ManualClock) -> None:
        self.password = b"right"
        self.hashed = 0
        self.tries: list[LoginTry] = []
        self.locked: list[float | None] = []
        self.before_hash: Callable[[], object] = lambda: None
        self.kept: dict[bytes, Failures] = {}
        key = AppKey(AppPasswordId("phone"), "phone", app_passwords.digest(PHONE.encode()), frozenset({"imap"}), None)
        self.bob = Account(BOB, TenantId("t"), UserId("b"), "bob's", GRANTED, password_changed_at=clock(), keys=(key,))

    def account(self, login: str) -> Account:
        return self.bob if login.casefold() in (BOB, "acme/bob") else NO_ACCOUNT

    def verify(self, password_hash: str, password: bytes) -> bool:
        self.hashed += 1
        self.before_hash()
        return password_hash == "bob's" and password == self.password

    def record(self, tries: Sequence[LoginTry]) -> None:
        self.tries += tries

    def knows(self, *networks: str) -> None:
        self.bob = replace(
            self.bob, networks=frozenset(known_networks.digest(self.bob.user, each) for each in networks)
        )

    def lock(self, account: Account, until: float | None) -> None:
        self.locked.append(until)

    def failures(self, since: float) -> dict[bytes, Failures]:
        return {key: found for key, found in self.kept.items() if found.last_at > since}

    def save_failures(self, changed: Mapping[bytes, Failures | None], since: float) -> None:
        for key, found in changed.items():
            self.kept.pop(key, None)
            if found is not None:
                self.kept[key] = found


class Desk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.book = Book(self.clock)
        self.rules = Passwords()
        self.pool = ThreadPoolExecutor(1)
        monkeypatch.setattr(passwords, "verify", self.book.verify)
        self.told: list[tuple[str, int]] = []
        self.pauses: list[float] = []
        self.start()

    async def tell(self, account: Account, failures: int) -> None:
        self.told.append((account.login, failures))

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def start(self, tick: float = 0.0) -> None:
        self.records = LoginRecords(self.book, self.pool, self.clock)  # type: ignore[arg-type]
        rules = lambda tenant: self.rules  # noqa: E731
        self.logins = Logins(
            self.book,  # type: ignore[arg-type]
            self.records,
            self.pool,
            ThreadPoolExecutor(2),
            self.clock,
            rules,
            self.tell,
            tick,
            self.pause,
        )

    def ask(
        self, password: str = "right", peer: str = "192.0.2.1", login: str = BOB, protocol: Protocol = "smtp"
    ) -> Authenticated:
        return asyncio.run(self.logins.answer(Authenticate(login, password.encode(), peer, protocol)))

    def ask_at_once(self, *asked: tuple[str, str, Protocol]) -> list[Authenticated]:
        """(password, peer, protocol), all for bob."""

        async def ask() -> list[Authenticated]:
            questions = [Authenticate(BOB, password.encode(), peer, protocol) for password, peer, protocol in asked]
            return await asyncio.gather(*(self.logins.answer(each) for each in questions))

        return asyncio.run(ask())

    def guess_from_many_networks(self, count: int) -> None:
        for n in range(count):
            self.ask("guess", peer=f"10.0.{n}.1")

    def restart(self) -> None:
        asyncio.run(self.records.flush())
        self.start()
        asyncio.run(self.records.restore())

    def results(self) -> list[Result]:
        asyncio.run(self.records.flush())
        return [each.result for each in self.book.tries]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_a_good_login_is_hashed_once_a_minute(desk: Desk) -> None:
    assert desk.ask().account == BOB
    assert desk.ask(peer="198.51.100.1").ok
    assert desk.book.hashed == 1
    desk.clock.advance(GOOD_SECONDS)
    assert desk.ask().ok
    assert desk.book.hashed == 2


def test_only_the_very_same_login_is_known(desk: Desk) -> None:
    desk.ask()
    assert not desk.ask("righ").ok
    assert not desk.ask("rightright").ok
    assert not desk.ask("ht", login=f"{BOB}rig").ok
    assert desk.ask(protocol="imap").ok
    assert desk.book.hashed == 5


def test_a_bad_login_is_never_remembered(desk: Desk) -> None:
    desk.ask("wrong")
    desk.ask("wrong")
    assert desk.book.hashed == 2


@pytest.mark.parametrize(("tenant", "known"), [("acme", False), ("", False), ("globex", True)])
def test_changes_in_the_directory_forget(desk: Desk, tenant: str, known: bool) -> None:
    desk.ask()
    desk.logins.forget(TenantName(tenant))
    desk.book.password = b"new"
    assert desk.ask().ok == known


def test_a_change_while_hashing_is_not_outlived(desk: Desk) -> None:
    find = desk.book.account

    def account(login: str) -> Account:
        desk.logins.forget(TenantName("acme"))
        return find(login)

    desk.book.account = account  # type: ignore[method-assign]
    assert desk.ask().ok
    desk.book.password = b"new"
    assert not desk.ask().ok


def test_guessing_from_one_address_gets_slow(desk: Desk) -> None:
    answers = [desk.ask("guess", login=f"user{n}@acme.example") for n in range(11)]
    assert [answer.retry_after for answer in answers[:10]] == [0.0] * 10
    assert answers[10].retry_after > 0
    assert desk.book.hashed == 10
    assert desk.ask(peer="198.51.100.1").ok, "another address is not held up"


@pytest.mark.parametrize("protocol", ["smtp", "imap", "command"])
def test_guesses_at_once_are_not_more_than_one_by_one(desk: Desk, protocol: Protocol) -> None:
    """C4: before, 47 wrong ones and the right one from one address were all looked at."""
    answers = desk.ask_at_once(
        *[(f"guess {n}", "192.0.2.1", protocol) for n in range(47)], ("right", "192.0.2.1", protocol)
    )
    assert not any(answer.ok for answer in answers)
    assert desk.book.hashed == 10


def test_the_protocols_count_together(desk: Desk) -> None:
    asked: list[tuple[str, str, Protocol]] = []
    for protocol in ("smtp", "imap", "command"):
        asked += [(f"guess {n}", "192.0.2.1", protocol) for n in range(20)]  # type: ignore[arg-type]
    desk.ask_at_once(*asked)
    assert desk.book.hashed == 10


def test_many_right_logins_at_once_are_all_let_in(desk: Desk) -> None:
    """A whole office behind one address, after a restart; nothing is remembered of them."""
    desk.logins.forget(TenantName(""))
    answers = desk.ask_at_once(*[("right", "192.0.2.1", "imap")] * 30)
    assert all(answer.ok for answer in answers)


def test_a_flood_from_one_network_keeps_no_other_login_waiting(desk: Desk) -> None:
    """As long as it lasts, one of the two threads is free for the others."""
    gate = threading.Event()
    desk.book.before_hash = lambda: gate.wait(20)

    async def flood() -> Authenticated:
        guesses = [
            asyncio.create_task(desk.logins.answer(Authenticate(BOB, b"guess %d" % n, "192.0.2.1"))) for n in range(100)
        ]
        while not desk.book.hashed:
            await asyncio.sleep(0)
        desk.book.before_hash = lambda: None
        answer = await asyncio.wait_for(desk.logins.answer(Authenticate(BOB, b"right", "203.0.113.1")), 10)
        assert desk.book.hashed == 2, "the flood's one hash is still under way"
        gate.set()
        await asyncio.gather(*guesses)
        return answer

    assert asyncio.run(flood()).ok


@pytest.mark.parametrize("login", [BOB, "BOB@acme.example", "acme/bob"])
def test_an_account_from_a_network_is_held_back_in_every_spelling(desk: Desk, login: str) -> None:
    for n in range(10):
        desk.ask(f"guess {n}")
    assert desk.ask("guess", login=login).retry_after > 0
    assert desk.ask("guess", login=login, protocol="imap").retry_after > 0, "IMAP as well"


def test_one_stranger_keeps_nobody_else_out(desk: Desk) -> None:
    for n in range(30):
        desk.ask(f"guess {n}", peer="192.0.2.66")
    assert desk.ask(peer="203.0.113.7").ok
    assert desk.pauses == []


def test_guessing_from_many_networks_closes_the_account_to_strangers_alone(desk: Desk) -> None:
    desk.book.knows("203.0.113.7")
    desk.guess_from_many_networks(60)
    assert desk.book.hashed == 50
    assert desk.told == [(BOB, 50)]
    assert desk.ask(peer="198.51.100.1").retry_after > 0
    assert desk.ask(PHONE, peer="198.51.100.2", protocol="imap").ok, "an app password is no guess"
    assert desk.ask(peer="203.0.113.7").ok, "from where the account logged in before"


def test_slower_is_slower_for_strangers_and_for_whoever_is_wrong(desk: Desk) -> None:
    desk.book.knows("203.0.113.7")
    desk.guess_from_many_networks(30)
    desk.pauses.clear()
    assert desk.ask(peer="203.0.113.7").ok
    assert desk.ask(PHONE, protocol="imap").ok
    assert desk.pauses == []
    desk.logins.forget(TenantName(""))
    assert desk.ask(peer="198.51.100.1").ok
    assert not desk.ask("wrong", peer="203.0.113.7").ok
    assert not desk.ask("wrong", peer="198.51.100.2").ok
    assert desk.pauses == [LONGEST_DELAY] * 3, "that an account knows a network is not told by the time"


def test_who_does_not_exist_has_to_wait_like_anybody(desk: Desk) -> None:
    waits = [desk.ask(f"guess {n}", login="Nobody@acme.example").retry_after for n in range(11)]
    assert waits == [0.0] * 10 + [pytest.approx(1.0)]
    for n in range(60):
        desk.ask("guess", peer=f"10.0.{n}.1", login="Nobody@acme.example")
    assert desk.book.hashed == 55, "those at first count for no more than their share"
    assert desk.told == [("", 50)]
    assert desk.pauses[-1] == LONGEST_DELAY


def test_guesses_at_nobody_add_up_in_every_spelling(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.book, "account", lambda login: replace(NO_ACCOUNT, counted_as="nobody@acme.example"))
    spellings = ("nobody@acme.example", "acme/nobody", "acme/nobody@acme.example")
    for n in range(15):
        desk.ask(f"guess {n}", peer=f"10.0.{n // 5}.1", login=spellings[n % 3])
    assert desk.pauses


def test_who_was_right_before_is_not_kept_out_by_guessers(desk: Desk) -> None:
    assert desk.ask().ok
    for n in range(12):
        desk.ask(f"guess {n}")
    assert desk.ask().ok


def test_a_network_that_is_held_back_lets_app_passwords_and_known_accounts_in(desk: Desk) -> None:
    desk.book.knows("192.0.2.1")
    for n in range(30):
        desk.ask("guess", login=f"user{n}@acme.example")
    assert desk.ask().ok
    desk.book.knows()
    desk.logins.forget(TenantName(""))
    assert desk.ask().retry_after > 0
    assert desk.ask(PHONE, protocol="imap").ok


def test_a_program_with_an_old_password_keeps_out_nobody_else(desk: Desk) -> None:
    desk.rules = Passwords(lock_after=5)
    for _ in range(10):
        assert desk.ask("old").retry_after == 0
    assert desk.ask("old").retry_after > 0, "the very same has to wait"
    assert desk.book.hashed == 10
    assert desk.ask("guess").retry_after == 0
    assert desk.ask().ok
    desk.results()
    assert desk.book.locked == []


def test_a_password_that_was_set_to_what_was_wrong_opens_at_once(desk: Desk) -> None:
    for _ in range(12):
        desk.ask("new")
    desk.book.password = b"new"
    desk.logins.forget(TenantName("acme"))
    assert desk.ask("new").ok


def test_the_wait_ends(desk: Desk) -> None:
    for n in range(11):
        wait = desk.ask(f"guess {n}").retry_after
    desk.clock.advance(wait)
    assert desk.ask().ok


def test_a_restart_gives_no_fresh_start(desk: Desk) -> None:
    desk.guess_from_many_networks(50)
    desk.restart()
    assert desk.ask("guess", peer="198.51.100.9").retry_after > 0
    desk.logins.forgive(BOB)
    assert desk.ask(peer="198.51.100.9").ok
    desk.restart()
    assert desk.ask(peer="198.51.100.9").ok, "what is forgiven stays forgiven"


def test_the_address_has_to_wait_after_a_restart_too(desk: Desk) -> None:
    for n in range(11):
        desk.ask("guess", login=f"user{n}@acme.example")
    desk.restart()
    assert desk.ask().retry_after > 0


def test_an_app_password_opens_what_it_is_for_without_the_costly_hash(desk: Desk) -> None:
    assert desk.ask(PHONE, protocol="imap").ok
    assert desk.ask(PHONE.upper().replace("-", " "), protocol="imap").ok
    assert desk.book.hashed == 0
    assert not desk.ask(PHONE, protocol="smtp").ok
    assert not desk.ask(PHONE, protocol="command").ok
    assert desk.book.hashed == 2, "the refusals cost what every refusal costs"
    assert desk.results() == [Result.OK, Result.OK, Result.NOT_FOR_THIS, Result.NOT_FOR_THIS]


def test_a_program_that_asks_again_and_again_gives_guessers_no_new_tries(desk: Desk) -> None:
    for n in range(10):
        desk.ask(f"guess {n}")
        assert desk.ask(PHONE, protocol="imap").ok
    assert desk.ask("guess").retry_after > 0


def test_an_app_password_ends_at_its_time_though_it_was_right_a_moment_ago(desk: Desk) -> None:
    ends = desk.clock() + 10.0
    desk.book.bob = replace(desk.book.bob, keys=tuple(replace(key, expires_at=ends) for key in desk.book.bob.keys))
    assert desk.ask(PHONE, protocol="imap").ok
    desk.clock.advance(10.0)
    assert not desk.ask(PHONE, protocol="imap").ok


def test_an_old_password_is_refused_where_the_tenant_wants_it(desk: Desk) -> None:
    desk.clock.advance(31 * 86_400.0)
    assert desk.ask().ok
    desk.logins.forget(TenantName("acme"))
    desk.rules = Passwords(largest_age_days=30)
    assert desk.ask() == Authenticated(ok=False)
    assert desk.ask(PHONE, protocol="imap").ok, "an app password has an end of its own"
    assert desk.results() == [Result.OK, Result.EXPIRED, Result.OK]


def test_many_failures_of_strangers_lock_the_account(desk: Desk) -> None:
    desk.rules = Passwords(lock_after=3, lock_minutes=5)
    desk.guess_from_many_networks(3)
    desk.results()
    assert desk.book.locked == [desk.clock() + 300.0]
    desk.rules = Passwords(lock_after=4, lock_minutes=0)
    desk.ask("guess", peer="198.51.100.4")
    desk.results()
    assert desk.book.locked[1:] == [None]


def test_failures_at_a_known_network_lock_nothing(desk: Desk) -> None:
    desk.rules = Passwords(lock_after=3)
    desk.book.knows("192.0.2.1")
    for n in range(9):
        desk.ask(f"guess {n}")
    desk.results()
    assert desk.book.locked == []


def test_a_lock_keeps_out_strangers_alone(desk: Desk) -> None:
    desk.book.bob = replace(desk.book.bob, state=UserState.LOCKED)
    desk.book.knows("203.0.113.7")
    assert not desk.ask(peer="198.51.100.1").ok
    assert desk.ask(peer="203.0.113.7").ok
    assert desk.ask(PHONE, peer="198.51.100.1", protocol="imap").ok
    assert desk.results() == [Result.LOCKED, Result.OK, Result.OK]


def test_nobody_who_does_not_exist_is_locked(desk: Desk) -> None:
    desk.rules = Passwords(lock_after=1)
    desk.ask("guess", login="nobody@acme.example")
    desk.results()
    assert desk.book.locked == []


def test_a_flood_does_not_fill_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for network in range(30):
        for n in range(40):
            desk.ask(f"guess {n}", peer=f"10.0.{network}.1", login="nobody@acme.example")
    assert len(caplog.records) <= desk.book.hashed + 20
    desk.clock.advance(61.0)
    desk.results()
    assert "without a line each" in caplog.messages[-1]


def test_what_came_of_each_try_is_written_down(desk: Desk) -> None:
    desk.ask()
    desk.ask()
    desk.ask("wrong", peer="192.0.2.9", protocol="imap")
    desk.ask("wrong", login="nobody@acme.example")
    assert desk.results() == [Result.OK, Result.OK, Result.WRONG]
    assert (desk.book.tries[2].address, desk.book.tries[2].protocol) == ("192.0.2.9", "imap")


def test_whatever_the_reason_a_refusal_comes_with_the_tick(desk: Desk) -> None:
    desk.start(FAILURE_TICK)
    kinds = [(BOB, "wrong"), ("nobody@acme.example", "right"), ("nobody@nowhere.example", "right"), ("", "")]
    kinds += [(BOB, f"guess {n}") for n in range(12)]  # the last ones are not looked at
    for login, password in kinds:
        begun = time.monotonic()
        assert not desk.ask(password, login=login).ok
        taken = time.monotonic() - begun + desk.pauses[-1]
        assert abs(taken / FAILURE_TICK - round(taken / FAILURE_TICK)) < 0.2


@pytest.mark.parametrize("login", ["caf\u00e9\ud800", "x" * 5000, "\0", "/", "acme/", "/bob", "a/b/c", "@", "bob@"])
def test_odd_names_are_refused_like_any(desk: Desk, login: str) -> None:
    assert desk.ask(login=login) == Authenticated(ok=False)


def test_renewing_asks_for_the_login_that_was_granted(desk: Desk) -> None:
    asked: list[tuple[object, ...]] = []

    def renew(*arguments: object) -> Authenticated:
        asked.append(arguments)
        return GRANTED

    desk.book.renew = renew  # type: ignore[attr-defined]
    granted_at = desk.clock()
    ticket = desk.ask(PHONE, protocol="imap").ticket
    desk.clock.advance(60.0)
    answer = asyncio.run(desk.logins.renew(Renew(BOB, ticket, "imap")))
    assert answer.ticket == ticket
    assert asked == [(BOB, "phone", granted_at, "imap", desk.clock())]
