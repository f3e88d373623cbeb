"""Guessing gets slow for those who guess, and only for them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgate.store.logins.guessing import LIMITS, LONGEST_DELAY, Guessing, Limit, Try
from mailgate.tenancy.logins.failed_logins import Kind

BOB, AMY = "bob@acme.example", "amy@acme.example"
HOME = "203.0.113.7"
HOUR = 3600.0


class Attack:
    """Counts what is looked at; every guess is another one."""

    def __init__(self) -> None:
        self.guessing = Guessing()
        self.looked_at = 0
        self._n = 0

    def new(self, account: str, address: str, is_known: bool = False) -> Try:
        self._n += 1
        return Try(account, address, is_known, b"%d" % self._n)

    def guess(self, account: str, address: str, now: float, is_known: bool = False) -> bool:
        each = self.new(account, address, is_known)
        if self.guessing.reserve(each, now) is not None:
            return False
        self.looked_at += 1
        self.guessing.settle(each, False, now)
        return True

    def spread(self, networks: int, now: float, account: str = BOB) -> None:
        """One guess from each of so many neighbourhoods."""
        for n in range(networks):
            self.guess(account, f"10.{n // 250}.{n % 250}.1", now)

    def owner_gets_in(self, now: float, address: str = HOME, is_known: bool = True, account: str = BOB) -> bool:
        each = Try(account, address, is_known, b"right")
        if self.guessing.reserve(each, now) is not None:
            return False
        self.guessing.settle(each, True, now)
        return True


@pytest.fixture
def attack() -> Attack:
    return Attack()


def most(kind: Kind, seconds: float) -> int:
    """How many failures fit into that time for one key."""
    limits = LIMITS[kind]
    growing = math.ceil(math.log2(limits.longest / limits.first))
    return limits.free + growing + math.ceil(seconds / limits.longest)


def test_many_at_once_are_not_more_than_one_by_one(attack: Attack) -> None:
    at_once = [attack.new(BOB, "192.0.2.1") for _ in range(48)]
    reserved = [each for each in at_once if attack.guessing.reserve(each, 0.0) is None]
    assert len(reserved) == LIMITS[Kind.STRANGER].free
    for each in reserved:
        attack.guessing.settle(each, False, 0.0)
    assert not attack.guess(BOB, "192.0.2.1", 0.0)


@pytest.mark.parametrize("address", ["192.0.2.{n}", "2001:db8:1:{n}::1"], ids=["one /24", "one /48"])
def test_a_neighbourhood_spread_over_accounts_is_held_back(attack: Attack, address: str) -> None:
    for n in range(1000):
        attack.guess(f"user{n}@acme.example", address.format(n=n % 250), 0.0)
    assert attack.looked_at == LIMITS[Kind.NEIGHBOURHOOD].free


def test_one_network_spread_over_accounts_is_held_back(attack: Attack) -> None:
    for n in range(100):
        attack.guess(f"user{n}@acme.example", "192.0.2.1", 0.0)
    assert attack.looked_at == LIMITS[Kind.NETWORK].free


def test_one_stranger_neither_slows_nor_closes_an_account(attack: Attack) -> None:
    """C3: before, 115 guesses a day from one address kept the owner out for all of it."""
    now = 0.0
    while now < 24 * HOUR:
        attack.guess(BOB, "192.0.2.66", now)
        assert attack.owner_gets_in(now, is_known=False), "the owner at a place never seen before"
        assert attack.guessing.delay(BOB, now) == 0.0
        now += 60.0


def test_a_neighbourhood_counts_for_a_few_failures_only(attack: Attack) -> None:
    for n in range(250):
        attack.guess(BOB, f"192.0.2.{n}", 0.0)
    assert attack.guessing.delay(BOB, 0.0) == 0.0
    assert attack.owner_gets_in(0.0, is_known=False)


def test_many_neighbourhoods_slow_the_account_then_close_it_to_strangers_alone(attack: Attack) -> None:
    attack.spread(10, 0.0)
    assert 0 < attack.guessing.delay(BOB, 0.0) <= LONGEST_DELAY
    assert attack.owner_gets_in(0.0, is_known=False)
    attack.spread(100, 0.0)
    assert attack.guessing.delay(BOB, 0.0) == LONGEST_DELAY
    assert attack.looked_at == LIMITS[Kind.ACCOUNT].free
    assert not attack.owner_gets_in(0.0, is_known=False)
    assert attack.owner_gets_in(0.0)
    held = attack.guessing.held(attack.new(BOB, "198.51.100.1"), 0.0)
    assert held is not None and held.limit is Limit.ACCOUNT


def test_that_it_closed_is_told_once(attack: Attack) -> None:
    told = 0
    for n in range(200):
        each = attack.new(BOB, f"10.0.{n}.1")
        if attack.guessing.reserve(each, n * 1000.0) is None:
            told += attack.guessing.settle(each, False, n * 1000.0).closed
    assert told == 1


def test_a_closed_account_stays_closed_to_neighbourhoods_that_have_used_up_their_share(attack: Attack) -> None:
    for n in range(12):
        for host in range(5):
            attack.guess(BOB, f"10.0.{n}.{host}", 0.0)
    before, now = attack.looked_at, 0.0
    while now < 24 * HOUR:
        for n in range(12):
            attack.guess(BOB, f"10.0.{n}.{int(now) % 200 + 10}", now)
        now += 60.0
    assert attack.looked_at - before <= most(Kind.ACCOUNT, 24 * HOUR)


def test_others_at_the_same_network_are_not_kept_out_where_they_are_known(attack: Attack) -> None:
    for n in range(50):
        attack.guess(f"user{n}@acme.example", HOME, 0.0)
    assert attack.owner_gets_in(0.0)
    assert not attack.owner_gets_in(0.0, is_known=False, account=AMY)


def test_a_known_network_is_no_licence_to_guess(attack: Attack) -> None:
    now = 0.0
    while now < HOUR:
        attack.guess(BOB, HOME, now, is_known=True)
        now += 1.0
    assert attack.looked_at <= most(Kind.KNOWN, HOUR)
    assert attack.guessing.delay(BOB, now) == 0.0
    assert attack.owner_gets_in(now, "198.51.100.9"), "at another known network"


def test_the_very_same_again_counts_once(attack: Attack) -> None:
    old = Try(BOB, HOME, False, b"old password")
    for _ in range(10):
        assert attack.guessing.reserve(old, 0.0) is None
        attack.guessing.settle(old, False, 0.0)
    assert attack.guess(BOB, HOME, 0.0)
    held = attack.guessing.reserve(old, 0.0)
    assert held is not None and held.limit is Limit.REPEAT


def test_unlocking_forgets_what_counts_against_the_account(attack: Attack) -> None:
    attack.spread(100, 0.0)
    for _ in range(20):
        attack.guess(BOB, HOME, 0.0, is_known=True)
    attack.guessing.forgive(BOB)
    assert attack.guess(BOB, HOME, 0.0, is_known=True)
    assert attack.owner_gets_in(0.0, is_known=False, address="198.51.100.1")


def test_a_restart_gives_no_fresh_start(attack: Attack) -> None:
    attack.spread(100, 0.0)
    for _ in range(20):
        attack.guess(AMY, "192.0.2.1", 0.0)
    kept = {key: each for key, each in attack.guessing.take_changes().items() if each is not None}
    attack.guessing = Guessing()
    attack.guessing.restore(kept)
    assert not attack.owner_gets_in(0.0, is_known=False)
    assert not attack.guess(AMY, "192.0.2.1", 0.0)


# An attacker has some networks, asks at any time for any account, some at once; the owner asks now and then.
ADDRESSES = [f"10.0.{block}.{host}" for block in range(4) for host in range(1, 4)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(ADDRESSES),
        st.sampled_from([BOB, AMY]),
        st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 30.0, 900.0]),
        st.integers(1, 12),
    ),
    min_size=20,
    max_size=200,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_whatever_the_order_guesses_are_few_and_the_owner_gets_in(steps: list[tuple[str, str, float, int]]) -> None:
    attack, now = Attack(), 0.0
    by_network: dict[str, int] = {}
    by_pair: dict[tuple[str, str], int] = {}
    for address, account, pause, at_once in steps:
        now += pause
        tries = [attack.new(account, address) for _ in range(at_once)]
        reserved = [each for each in tries if attack.guessing.reserve(each, now) is None]
        assert attack.owner_gets_in(now), "while guesses are under way"
        for each in reserved:
            attack.guessing.settle(each, False, now)
        by_network[address] = by_network.get(address, 0) + len(reserved)
        by_pair[address, account] = by_pair.get((address, account), 0) + len(reserved)
        assert attack.owner_gets_in(now)
        assert attack.guessing.delay(account, now) <= LONGEST_DELAY
    forgotten = 1 + int(now // LIMITS[Kind.NETWORK].memory)
    assert all(count <= forgotten * most(Kind.NETWORK, now) for count in by_network.values())
    assert all(count <= most(Kind.STRANGER, now) for count in by_pair.values())
