"""A store with something to do, run under strace by test_power_cut.py: `workload.py DATA POLICIES SCENARIO MUTANT`.

What is promised is said by lines on standard error, which stand in the trace among the system calls:
`MAY id fate sha256 ...` before a change is asked for, `MUST id fate sha256` once it was answered."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
from msgspec.structs import replace as replace_in

from mailgate.ipc.calls import Done, Ended, Lease, Leased, NewEntry, Record
from mailgate.model.decision import Action
from mailgate.model.outcome import Outcome, State
from mailgate.settings import Settings
from mailgate.spool import content, durable
from mailgate.spool.sqlite import SqliteSpool
from mailgate.store.delivery import local as local_delivery
from mailgate.store.delivery import maildir
from tests.spool.making import entry, local, outside, staged
from tests.store.running import Store, running, until

BOB = "bob@acme.example"


def say(word: str, queue_id: str, fate: str, data: bytes = b"") -> None:
    digest = hashlib.sha256(data).hexdigest() if data else "-"
    os.write(2, f"{word} {queue_id} {fate} {digest}\n".encode())


def stored(given: NewEntry) -> bytes:
    return given.prefix + (given.inline if given.inline is not None else Path(given.staged).read_bytes())


def message(store: Store, is_large: bool, *to: Any, action: Action = Action.ACCEPT) -> NewEntry:
    recipients = to or (local(BOB, store.mailbox),)
    body = os.urandom(90_000) if is_large else b"Subject: x\r\n\r\n" + os.urandom(300).hex().encode() + b"\r\n"
    folder = store.settings.staging_dir
    name = os.urandom(8).hex()
    given = staged(folder / name, body, *recipients) if is_large else entry(*recipients, body=body)
    return replace_in(given, decision=replace(given.decision, action=action))


async def accept(store: Store, fate: str, *given: NewEntry) -> None:
    for each in given:
        say("MAY", each.envelope.queue_id, fate, stored(each))
    assert await store.commit(*given) == Done()
    for each in given:
        say("MUST", each.envelope.queue_id, fate, stored(each))


async def is_empty(store: Store) -> bool:
    return not (await store.admin("queue.list"))["rows"]


async def settled(store: Store) -> None:
    """All is delivered, and the store has had its pause: content files are gone."""
    contents = store.settings.data_dir / "spool" / "content"
    await until(lambda: is_empty(store))
    await until(lambda: not [path for path in contents.rglob("*") if path.is_file()])


async def deliveries(store: Store) -> None:
    for is_large in (False, True, True, False):
        await accept(store, "delivered", message(store, is_large))
    await settled(store)


async def deliveries_by_copy(store: Store) -> None:
    """The mailboxes lie on another file system than the spool."""

    def link(source: Any, target: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    os.link = link  # type: ignore[assignment]
    await deliveries(store)


async def side_by_side(store: Store) -> None:
    given = [message(store, number % 2 == 0) for number in range(6)]
    await asyncio.gather(*(accept(store, "delivered", each) for each in given))
    await settled(store)


async def with_a_reader(store: Store) -> None:
    """A list is being read from before the message until after its delivery."""
    path = str(store.settings.data_dir / "spool" / "spool.db")
    await accept(store, "delivered", message(store, False))
    await settled(store)
    reader = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    rows = reader.execute("BEGIN; SELECT * FROM message")
    next(rows)
    await deliveries(store)
    rows.close()
    reader.execute("COMMIT")
    await deliveries(store)
    reader.close()


async def several_tenants(store: Store) -> None:
    """One submission in several entries: all or none."""
    given = [message(store, is_large) for is_large in (True, False)]
    given.append(message(store, True, outside("x@far.example")))
    for each, fate in zip(given, ("delivered", "delivered", "queued"), strict=True):
        say("MAY", each.envelope.queue_id, fate, stored(each))
    assert await store.commit(*given) == Done()
    for each, fate in zip(given, ("delivered", "delivered", "queued"), strict=True):
        say("MUST", each.envelope.queue_id, fate, stored(each))


async def quarantine(store: Store) -> None:
    given = [message(store, is_large, action=Action.QUARANTINE) for is_large in (True, False)]
    for each in given:
        await accept(store, "quarantined", each)
    for each in given:
        name = each.envelope.queue_id
        say("MAY", name, "gone", stored(each))
        await store.admin("quarantine.delete", id=name, tenant="acme")
        say("MUST", name, "gone")


async def relayed(store: Store) -> None:
    for is_large in (True, False):
        given = message(store, is_large, outside("x@far.example"))
        name = given.envelope.queue_id
        await accept(store, "queued", given)
        leased = await store.call(Lease("relay-1", 10, 60.0))
        assert isinstance(leased, Leased)
        say("MAY", name, "gone", stored(given))
        ended = [Ended(work.message, work.n, Outcome(State.RELAYED, "taken", 250, "2.0.0")) for work in leased.work]
        await store.call(Record("relay-1", tuple(ended)))
        say("MUST", name, "gone")


async def long_log(store: Store) -> None:
    """A checkpoint in the middle, and a log that is begun anew by a commit without a sync."""
    for _ in range(3):
        await accept(store, "delivered", message(store, False), message(store, True))
        await settled(store)
        await asyncio.sleep(0.7)  # the store's pause, in which the log goes into the database


SCENARIOS: dict[str, Callable[[Store], Any]] = {
    each.__name__: each
    for each in (
        deliveries,
        deliveries_by_copy,
        side_by_side,
        with_a_reader,
        several_tenants,
        quarantine,
        relayed,
        long_log,
    )
}


def _nothing(*rest: object) -> None:
    return None


def _checkpoint_is_enough() -> None:
    """As it was before: what a checkpoint did not sync was called synced."""
    SqliteSpool.sync = lambda self: None  # type: ignore[method-assign]
    SqliteSpool.is_synced = True  # type: ignore[assignment, misc]


def _never_durable() -> None:
    real = SqliteSpool.begin
    SqliteSpool.begin = lambda self, durable=True: real(self, False)  # type: ignore[method-assign]
    SqliteSpool.is_synced = True  # type: ignore[assignment, misc]


def _unsynced_content() -> None:
    durable.sync_data = _nothing


def _unsynced_folder_of_content() -> None:
    content.durable = type("Durable", (), {**vars(durable), "sync_folder": staticmethod(_nothing)})  # type: ignore[assignment]


def _unsynced_maildir() -> None:
    maildir.durable = type("Durable", (), {**vars(durable), "sync_folder": staticmethod(_nothing)})  # type: ignore[assignment]


def _removed_at_once() -> None:
    """Content files go with the outcome instead of after its sync."""
    real = local_delivery.Delivery.record

    def record(self: local_delivery.Delivery, tasks: Any) -> None:
        for task in tasks:
            if task.attempt.content.in_file:
                self._contents.remove(task.attempt.queue_id, task.attempt.content)
        real(self, tasks)

    local_delivery.Delivery.record = record  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    "checkpoint is enough": _checkpoint_is_enough,
    "never durable": _never_durable,
    "unsynced content": _unsynced_content,
    "unsynced folder of the content": _unsynced_folder_of_content,
    "unsynced Maildir": _unsynced_maildir,
    "removed at once": _removed_at_once,
}


async def main(settings: Settings, scenario: str) -> None:
    async with running(settings) as store:
        await SCENARIOS[scenario](store)
        os.write(2, b"END\n")
        os._exit(0)


if __name__ == "__main__":
    data, policies, scenario, mutant = sys.argv[1:]
    if mutant:
        MUTANTS[mutant]()
    asyncio.run(main(Settings(data_dir=Path(data), policy_dir=Path(policies), hostname="mx.gateway.example"), scenario))
