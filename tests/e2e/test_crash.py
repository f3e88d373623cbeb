"""Accepted means kept: kill -9 of any process at any instant under load loses nothing that was answered 250.

MAILGATE_CRASH_ROUNDS and MAILGATE_CRASH_SEED ask for more rounds and for the same choices again."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter

import pytest

from tests.conftest import Build
from tests.support import processes
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway
from tests.support.load import Load
from tests.support.maildir import count_tokens

ROUNDS = int(os.environ.get("MAILGATE_CRASH_ROUNDS", "50"))
SEED = int(os.environ.get("MAILGATE_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
SUPERVISOR_EVERY = 10  # rounds: a whole restart takes seconds
RECIPIENTS = ("bob@acme.example", "alice@acme.example")


@pytest.mark.component("clamd")
@pytest.mark.timeout(120 + 15 * ROUNDS)
def test_nothing_accepted_is_lost(new_gateway: Build, clamd: Clamd) -> None:
    gateway = new_gateway(clamd.endpoint)
    gateway.start()
    maildirs = [gateway.maildir(address) for address in RECIPIENTS]
    rng = random.Random(SEED)
    killed: Counter[str] = Counter()
    roles = sorted(processes.by_role(gateway.pid))
    assert {"edge", "store", "inspector"} <= set(roles)
    with Load(gateway.mx, RECIPIENTS, SEED) as load:
        for number in range(1, ROUNDS + 1):
            load.wait_for(rng.randrange(1, 12))
            threading.Event().wait(rng.random() * 0.05)  # a random instant, not a multiple of a message
            victim = "supervisor" if number % SUPERVISOR_EVERY == 0 else rng.choice(roles)
            kill(gateway, victim, rng)
            killed[victim] += 1
        load.wait_for(20)
    expected = set(load.accepted)
    kept = eventually(lambda: all_kept(gateway, maildirs, load.accepted), "every accepted message to be kept")
    gateway.stop()
    delivered = count_tokens(maildirs)
    twice = {name: times for name, times in delivered.items() if times > 1}
    unasked = set(delivered) - expected - load.uncertain  # answered 5yz
    print(
        f"crash test: seed {SEED}, {ROUNDS} rounds, killed {dict(killed)}; {len(expected)} accepted, {kept} kept, "
        f"{len(twice)} delivered twice, {len(set(delivered) - expected)} delivered to senders that will try again, "
        f"{len(load.uncertain)} answered 4yz or not at all, replies {dict(load.replies)}"
    )
    assert not unasked, f"delivered though they were refused: {unasked}"
    assert not [reply for reply in load.replies if reply.startswith("5")], load.replies


def kill(gateway: Gateway, victim: str, rng: random.Random) -> None:
    """kill -9, and wait until something new stands in its place."""
    if victim == "supervisor":
        gateway.kill_supervisor()
        gateway.start()
        return
    before = eventually(lambda: processes.by_role(gateway.pid).get(victim), f"a running {victim}")
    pid = rng.choice(before)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not processes.is_alive(pid), f"the end of {victim} {pid}")


def all_kept(gateway: Gateway, maildirs: list, accepted: dict[str, str]) -> int:  # type: ignore[type-arg]
    """How many are delivered, queued, held or quarantined; 0 while one is in none of these places."""
    missing = set(accepted) - set(count_tokens(maildirs))
    if missing:
        waiting = {entry["queue_id"] for entry in gateway.json("queue", "list")}
        missing = {name for name in missing if accepted[name] not in waiting}
    return 0 if missing else len(accepted)
