"""Kill -9 between a bounce and its notice: each sender is told exactly once, whenever it comes."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from mailgate.ipc import keys
from mailgate.ipc.calls import Commit, Done, Ended, Hello, Lease, Leased, Record
from mailgate.ipc.frames import Calls, connect
from mailgate.settings import Settings
from tests.queue.making import BOUNCED, submission
from tests.store.running import Store, running, until
from tests.store.test_crash_and_disk import KEYS, start_child

MESSAGES = 40


async def connected(settings: Settings, role: str) -> Calls:
    calls = await connect(settings.store_path, lambda push: None, lambda: None)
    await calls.call(Hello(role, KEYS[role]))
    return calls


async def bounce(calls: Calls, most: int) -> None:
    """Leases what is due and bounces up to `most` of it, each in a record of its own."""
    leased = await calls.call(Lease("relay-1", 1000, 600.0))
    assert isinstance(leased, Leased)
    submitted = [work for work in leased.work if work.envelope.reverse_path]
    for work in submitted[:most]:
        assert await calls.call(Record("relay-1", (Ended(work.message, work.n, BOUNCED),))) == Done()


async def maildir_of_bob(settings: Settings) -> Path:
    async with running(settings) as store:
        return store.maildir


@pytest.mark.parametrize(
    ("bounced", "written"), [(1, 0), (20, 0), (40, 0), (40, 1), (40, 7), (40, 20), (40, 33), (40, 39)]
)
def test_each_sender_is_told_exactly_once(acme: Settings, bounced: int, written: int) -> None:
    """The store is killed once it has answered `bounced` records, and `written` notices lie in the mailbox."""
    given = [submission() for _ in range(MESSAGES)]
    mailbox = asyncio.run(maildir_of_bob(acme))
    child = start_child(acme)

    async def crash() -> None:
        edge, relay = await connected(acme, keys.EDGE), await connected(acme, keys.RELAY)
        await edge.call(Commit(tuple(given)))
        await bounce(relay, bounced)
        await until(lambda: len(list((mailbox / "new").iterdir())) >= written)
        child.send_signal(signal.SIGKILL)
        edge.close()
        relay.close()

    asyncio.run(crash())
    assert child.wait(30) == -signal.SIGKILL

    async def recover() -> None:
        async with running(acme, "relay") as store:
            await bounce(store.calls, MESSAGES)
            await until(lambda: is_quiet(store))
            assert told(store) == Counter(entry.envelope.queue_id for entry in given)

    asyncio.run(recover())


async def is_quiet(store: Store) -> bool:
    return len(told(store)) == MESSAGES and not (await store.admin("queue.list"))["rows"]


def told(store: Store) -> Counter[str]:
    """How many notices there are about each message."""
    return Counter(
        name.decode() for raw in store.delivered() for name in re.findall(rb"(?m)^Final-Log-ID: (\S+)\r$", raw)
    )
