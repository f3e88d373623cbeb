"""How long a refusal takes tells nothing of its reason: a permutation test over many interleaved tries, with a control
that shows what it would find."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailgate.ipc.calls import Authenticate
from mailgate.policy.schema import Passwords
from mailgate.store.logins.checking import Logins
from mailgate.store.logins.guessing import Guessing
from mailgate.store.logins.records import LoginRecords
from mailgate.store.logins.throttle import Limits
from mailgate.tenancy.account_book import AccountBook
from mailgate.tenancy.databases.models import TenantState, UserState
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins import app_passwords
from mailgate.tenancy.logins.accounts import Account
from mailgate.tenancy.logins.failed_logins import Kind
from mailgate.tenancy.people import people

PASSWORD = "correct horse battery staple"
TRIES = 16  # of each kind
SHUFFLES = 2000
ALARM = 0.001  # fewer than one in a thousand shuffles differ as much
TICK = 0.06
UNLIMITED = Limits(free=1_000_000)

REFERENCE, LOOKUP = "wrong password", "a look-up alone"
KINDS = {
    REFERENCE: ("bob@acme.example", "wrong"),
    "no such user": ("nobody@acme.example", PASSWORD),
    "no such tenant": ("bob@nowhere.example", PASSWORD),
    "no such customer": ("nowhere/bob", PASSWORD),
    "disabled": ("carl@acme.example", PASSWORD),
    "locked": ("lena@acme.example", PASSWORD),
    "disabled tenant": ("eve@bcme.example", PASSWORD),
    "password expired": ("olga@ccme.example", PASSWORD),
    "app password for something else": ("bob@acme.example", ""),
    "not a name at all": ("\0", PASSWORD),
}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    made = Directory(tmp_path)
    made.life.add("acme", ["acme.example"])
    made.life.add("bcme", ["bcme.example"])
    made.life.add("ccme", ["ccme.example"])
    with made.changing("acme") as work:
        for name in ("bob", "carl", "lena"):
            people.add_user(work, f"{name}@acme.example", PASSWORD)
        people.set_state(work, "carl@acme.example", UserState.DISABLED)
        people.set_state(work, "lena@acme.example", UserState.LOCKED)
    with made.changing("bcme") as work:
        people.add_user(work, "eve@bcme.example", PASSWORD)
    made.life.set_state("bcme", TenantState.DISABLED)
    with made.changing("ccme") as work:
        people.add_user(work, "olga@ccme.example", PASSWORD).password_changed_at = 0.0
    yield made
    made.close()


def rules_of(tenant: str) -> Passwords:
    return Passwords(lock_after=0, largest_age_days=30 if tenant == "ccme" else 0)


async def tell(account: Account, failures: int) -> None:
    """Nobody."""


def differs(one: list[float], other: list[float], chance: random.Random) -> float:
    """How often two groups drawn by lot from both lie at least as far apart as these: small where they differ."""
    both = one + other
    found = abs(statistics.fmean(one) - statistics.fmean(other))
    as_far = 0
    for _ in range(SHUFFLES):
        chance.shuffle(both)
        as_far += abs(statistics.fmean(both[: len(one)]) - statistics.fmean(both[len(one) :])) >= found
    return (as_far + 1) / (SHUFFLES + 1)


def times_of(directory: Directory, kinds: Collection[str], text: str, chance: random.Random) -> dict[str, list[float]]:
    """Seconds of each try, the kinds interleaved; REFERENCE and LOOKUP are always among them."""
    times: dict[str, list[float]] = {kind: [] for kind in (REFERENCE, *kinds, LOOKUP)}

    async def measure() -> None:
        with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(2) as hashing:
            book = AccountBook(directory)
            records = LoginRecords(book, thread, time.time)
            records.guessing = Guessing(dict.fromkeys(Kind, UNLIMITED) | {Kind.SHARE: Limits(free=0)})
            logins = Logins(book, records, thread, hashing, time.time, rules_of, tell, TICK)
            for _ in range(TRIES):
                for kind in chance.sample(list(times), len(times)):
                    begun = time.perf_counter()
                    if kind == LOOKUP:
                        await asyncio.get_running_loop().run_in_executor(thread, book.account, "nobody@acme.example")
                    else:
                        login, password = KINDS[kind]
                        asked = Authenticate(login, (password or text).encode(), "192.0.2.1")
                        assert not (await logins.answer(asked)).ok
                    times[kind].append(time.perf_counter() - begun)

    asyncio.run(measure())
    return times


def test_the_time_of_a_refusal_tells_no_reason(directory: Directory) -> None:
    """A kind that stands out by chance does not do so twice: only what does is an alarm."""
    chance = random.Random(7)
    with directory.changing("acme") as work:
        _, text = app_passwords.add(work, people.find_user(work, "bob@acme.example"), "phone", ["imap"], None)
    suspects: Collection[str] = KINDS.keys() - {REFERENCE}
    for _ in range(2):
        times = times_of(directory, suspects, text, chance)
        reference, lookup = times.pop(REFERENCE), times.pop(LOOKUP)
        assert differs(reference, lookup, chance) < ALARM, "an answer without a hash would have been found"
        suspects = [kind for kind, measured in times.items() if differs(reference, measured, chance) < ALARM]
        if not suspects:
            return
    pytest.fail(f"these refusals take another time than a wrong password: {suspects}")
