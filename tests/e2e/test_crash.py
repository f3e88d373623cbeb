"""Accepted means kept: kill -9 of any process at any instant under load loses nothing that was answered 250, be it mail
for mailboxes here or mail on its way out.

MAILGATE_CRASH_ROUNDS and MAILGATE_CRASH_SEED ask for more rounds and for the same choices again."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from tests.conftest import Build
from tests.support import processes
from tests.support.clamd import Clamd
from tests.support.clock import eventually
from tests.support.gateway import Gateway
from tests.support.load import Load
from tests.support.maildir import count_tokens
from tests.support.scripted_hop import ScriptedHop, in_a_thread

ROUNDS = int(os.environ.get("MAILGATE_CRASH_ROUNDS", "50"))
SEED = int(os.environ.get("MAILGATE_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
SUPERVISOR_EVERY = 10  # rounds: a whole restart takes seconds
RECIPIENTS = ("bob@acme.example", "alice@acme.example")
OUTSIDE = ("someone@far.example", "other@far.example")
_TOKEN = re.compile(rb"^Message-ID: <(tk\w+)@", re.MULTILINE)


@pytest.fixture
def next_hop() -> Iterator[ScriptedHop]:
    with in_a_thread(ScriptedHop()) as hop:
        yield hop


@pytest.mark.component("clamd")
@pytest.mark.timeout(120 + 15 * ROUNDS)
def test_nothing_accepted_is_lost(new_gateway: Build, clamd: Clamd, next_hop: ScriptedHop) -> None:
    gateway = new_gateway(clamd.endpoint)
    (gateway.policy_dir / "gateway.toml").write_text(
        f'[[routes]]\ndomain = "*"\nsmarthost = "127.0.0.1:{next_hop.port}"\n'
    )
    gateway.start()
    maildirs = [gateway.maildir(address) for address in RECIPIENTS]
    rng = random.Random(SEED)
    killed: Counter[str] = Counter()
    roles = sorted(processes.by_role(gateway.pid))
    assert {"edge", "store", "inspector", "relay"} <= set(roles)
    inbound = Load(gateway.connect, "a@sender.example", RECIPIENTS, SEED, clients=3)
    outbound = Load(gateway.submit, "bob@acme.example", OUTSIDE, SEED + 1, clients=2)
    with inbound, outbound:
        for number in range(1, ROUNDS + 1):
            victim = "supervisor" if number % SUPERVISOR_EVERY == 0 else rng.choice(roles)
            load = outbound if victim == "relay" else inbound
            load.wait_for(rng.randrange(1, 6))
            threading.Event().wait(rng.random() * 0.05)  # a random instant, not a multiple of a message
            kill(gateway, victim, rng)
            killed[victim] += 1
        inbound.wait_for(10)
        outbound.wait_for(5)
    eventually(lambda: not lost(gateway, inbound, set(count_tokens(maildirs))), "every accepted message to be kept")
    eventually(lambda: not lost(gateway, outbound, set(relayed(next_hop))), "every submission to be relayed or waiting")
    gateway.stop()
    print(f"crash test: seed {SEED}, {ROUNDS} rounds, killed {dict(killed)}")
    judge("inbound", inbound, count_tokens(maildirs))
    arrived = relayed(next_hop)
    judge("outbound", outbound, Counter({name: len(copies) for name, copies in arrived.items()}))
    for name, copies in arrived.items():
        assert len(set(map(queue_id_of, copies))) == 1, f"the copies of {name} can't be told to be the same message"


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


def relayed(hop: ScriptedHop) -> dict[str, list[bytes]]:
    """The copies of each message that the next hop took, by token."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for transaction in list(hop.transactions):
        message = transaction.message or b""
        token = _TOKEN.search(message)
        assert token is not None, message[:500]
        found[token[1].decode()].append(message)
    return found


def queue_id_of(message: bytes) -> bytes:
    """By which a message that arrives twice is recognised: the id in our trace header stays the same."""
    found = re.search(rb"\bid (\w+)", message)
    assert found is not None, message[:500]
    return found[1]


def lost(gateway: Gateway, load: Load, arrived: set[str]) -> set[str]:
    """The accepted messages that are neither delivered nor queued, held or quarantined."""
    missing = set(load.accepted) - arrived
    if not missing:
        return missing
    waiting = {entry["queue_id"] for entry in gateway.json("queue", "list", "--limit", "0")}
    return {name for name in missing if load.accepted[name] not in waiting}


def judge(direction: str, load: Load, arrived: Counter[str]) -> None:
    """Nothing came through that was refused; twice is rare."""
    twice = {name for name, times in arrived.items() if times > 1}
    unasked = set(arrived) - set(load.accepted) - load.uncertain  # answered 5yz
    print(
        f"{direction}: {len(load.accepted)} accepted, {len(set(load.accepted) & set(arrived))} arrived, "
        f"{len(twice)} twice, {len(set(arrived) - set(load.accepted))} of senders that will try again, "
        f"{len(load.uncertain)} answered 4yz or not at all, replies {dict(load.replies)}"
    )
    assert not unasked, f"{direction}: delivered though they were refused: {unasked}"
    assert len(twice) <= ROUNDS, f"{direction}: more messages came twice than processes were killed"
    assert not [reply for reply in load.replies if reply.startswith("5")], load.replies
