"""A content that is not what was accepted goes nowhere, is held, and is told; what is restored goes on."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace as replace_in

from mailgate.ipc.calls import Ended, Lease, Leased, NewEntry, Record
from mailgate.model.decision import Action
from mailgate.model.errors import DamagedError, UnavailableError
from mailgate.model.outcome import Outcome, State
from mailgate.ops import health
from mailgate.ops.checks import Status
from mailgate.relay.mail import CHUNK, Mail
from mailgate.settings import Settings
from mailgate.store.commands import offline
from tests.spool.making import entry, envelope, local, outside, staged
from tests.store.running import PASSWORD, Store, add_people, running, until

BOB = "bob@acme.example"
LARGE = 200_000


@pytest.fixture(autouse=True)
def people(settings: Settings) -> None:
    add_people(settings)
    postmaster = {"tenant": "acme", "login": "postmaster@acme.example", "password": PASSWORD}
    offline.run_alone(settings, "user.add", postmaster)
    offline.run_alone(settings, "user.role", {"login": "postmaster@acme.example", "role": "administrator"})


@contextlib.asynccontextmanager
async def deferred(settings: Settings, store: Store, is_large: bool, count: int = 1) -> AsyncIterator[list[str]]:
    """Messages that wait since the mailbox is away; at the end of the block it is back, and they are tried again."""
    away = store.maildir.with_name("away")
    store.maildir.rename(away)
    names = []
    for _ in range(count):
        given = given_entry(settings, store, is_large)
        await store.commit(given)
        names.append(given.envelope.queue_id)
    for name in names:
        await until(lambda name=name: _is_deferred(store, name))
    yield [*names]
    away.rename(store.maildir)
    for name in names:
        await store.admin("queue.retry", id=name)


def given_entry(settings: Settings, store: Store, is_large: bool) -> NewEntry:
    to_bob = local(BOB, store.mailbox)
    if is_large:
        return staged(settings.staging_dir / "staged", os.urandom(LARGE), to_bob)
    return entry(to_bob, body=b"Subject: hello\r\n\r\nsmall\r\n")


def content_file(settings: Settings, queue_id: str) -> Path:
    (found,) = (settings.data_dir / "spool" / "content").glob(f"*/{queue_id}.*")
    return found


def flip_file(settings: Settings, queue_id: str) -> None:
    path = content_file(settings, queue_id)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_file(settings: Settings, queue_id: str) -> None:
    os.truncate(content_file(settings, queue_id), 10)


def lose_file(settings: Settings, queue_id: str) -> None:
    content_file(settings, queue_id).unlink()


def flip_inline(settings: Settings, queue_id: str) -> None:
    connection = apsw.Connection(str(settings.data_dir / "spool" / "spool.db"))
    query = "SELECT c.id, c.bytes FROM content c JOIN message m ON m.id = c.id WHERE m.queue_id = ?"
    message, stored = connection.execute(query, (queue_id,)).fetchone()
    data = bytearray(stored)
    data[-3] ^= 1
    connection.execute("UPDATE content SET bytes = ? WHERE id = ?", (bytes(data), message))
    connection.close()


Damaging = Callable[[Settings, str], None]
WAYS = pytest.mark.parametrize(
    ("damage", "is_large"),
    [(flip_inline, False), (flip_file, True), (cut_file, True), (lose_file, True)],
    ids=["flipped, small", "flipped, large", "cut", "gone"],
)


async def rows(store: Store, queue_id: str) -> list[tuple[str, str]]:
    found = (await store.admin("queue.list", limit=1000))["rows"]
    return [(row["state"], row["reason"]) for row in found if row["queue_id"] == queue_id]


async def is_held_as_damaged(store: Store, queue_id: str) -> bool:
    found = await rows(store, queue_id)
    return bool(found) and all(state == "held" and reason.startswith("damaged: ") for state, reason in found)


def in_mailboxes(settings: Settings) -> list[bytes]:
    return [path.read_bytes() for path in (settings.data_dir / "tenants").glob("*/mail/*/new/*")]


def alerts(settings: Settings) -> list[bytes]:
    return [mail for mail in in_mailboxes(settings) if b"Subject: Damaged mail is held" in mail]


@WAYS
def test_it_is_not_delivered_and_everybody_is_told(
    settings: Settings, damage: Damaging, is_large: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with running(settings) as store:
            async with deferred(settings, store, is_large) as (name,):
                damage(settings, name)
            await until(lambda: is_held_as_damaged(store, name))
            assert store.delivered() == []
            summary = await store.admin("queue.summary")
            assert summary["damaged"] == [name]
            check = health.spool(summary, 0.0)
            assert check.status is Status.WARN and name in check.text
        # a later start tells, and does not tell again
        for _ in range(2):
            async with running(settings) as store:
                await until(lambda: len(alerts(settings)) == 1)
                assert await is_held_as_damaged(store, name)
        (alert,) = alerts(settings)
        assert name.encode() in alert

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert any(record.levelno == logging.ERROR and name_in(record, "is damaged") for record in caplog.records)


def name_in(record: logging.LogRecord, words: str) -> bool:
    return words in record.getMessage()


@WAYS
def test_what_leaves_quarantine_is_compared_before_it_is_scanned(
    settings: Settings, damage: Damaging, is_large: bool
) -> None:
    async def run() -> None:
        async with running(settings) as store:
            given = given_entry(settings, store, is_large)
            given = replace_in(given, decision=replace(given.decision, action=Action.QUARANTINE))
            name = given.envelope.queue_id
            await store.commit(given)
            damage(settings, name)
            for command in ("quarantine.show", "quarantine.release"):
                with pytest.raises(UnavailableError, match=r"accepted|instead of|No such file"):
                    await store.admin(command, id=name, tenant="acme")
            assert [state for state, _ in await rows(store, name)] == ["quarantined"]
            assert (await store.admin("queue.summary"))["damaged"] == [name]

    asyncio.run(run())


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_the_relay_gets_a_digest_and_what_it_finds_damaged_is_held(settings: Settings, is_large: bool) -> None:
    async def run() -> None:
        async with running(settings, role="relay") as store:
            given = (
                staged(settings.staging_dir / "staged", os.urandom(LARGE), outside("x@far.example"))
                if is_large
                else entry(outside("x@far.example"))
            )
            await store.commit(given)
            leased = await store.call(Lease("relay-1", 10, 60.0))
            assert isinstance(leased, Leased)
            (work,) = leased.work
            stored = Path(work.file).read_bytes() if is_large else work.inline
            assert stored is not None and hashlib.sha256(stored).digest() == work.digest
            ended = Ended(work.message, work.n, Outcome(State.HELD, "FILE is not what was accepted", 0, "4.3.0"))
            await store.call(Record("relay-1", (ended,)))
            assert await is_held_as_damaged(store, given.envelope.queue_id)
            assert (await store.admin("queue.summary"))["damaged"] == [given.envelope.queue_id]

    asyncio.run(run())


def test_what_was_restored_is_released_and_delivered(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            async with deferred(settings, store, is_large=True) as (name,):
                path = content_file(settings, name)
                before = path.read_bytes()
                flip_file(settings, name)
            await until(lambda: is_held_as_damaged(store, name))
            path.write_bytes(before)
            await store.admin("queue.release", id=name)
            await until(lambda: before in in_mailboxes(settings))
            assert (await store.admin("queue.summary"))["damaged"] == []

    asyncio.run(run())


async def _is_deferred(store: Store, queue_id: str) -> bool:
    return any(state == "queued" and reason for state, reason in await rows(store, queue_id))


@WAYS
def test_the_others_of_a_group_are_delivered(settings: Settings, damage: Damaging, is_large: bool) -> None:
    async def run() -> None:
        async with running(settings) as store:
            async with deferred(settings, store, is_large, 6) as names:
                damage(settings, names[3])
            await until(lambda: len(store.delivered()) == 5)
            await until(lambda: is_held_as_damaged(store, names[3]))

    asyncio.run(run())


def test_a_message_of_an_earlier_version_is_delivered_without_a_digest(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as store:
            async with deferred(settings, store, is_large=True):
                connection = apsw.Connection(str(settings.data_dir / "spool" / "spool.db"))
                connection.execute("UPDATE message SET content_digest = NULL")
                connection.close()
            await store.until_delivered(1)

    asyncio.run(run())


@pytest.mark.parametrize("size", [1, 5_000, CHUNK, CHUNK + 1, 3 * CHUNK])
@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_the_relay_sends_no_damaged_message_to_its_end(tmp_path: Path, size: int, at: float) -> None:
    stored = os.urandom(size)
    damaged = bytearray(stored)
    damaged[int(at * (size - 1))] ^= 4
    path = tmp_path / "content"
    path.write_bytes(damaged)
    made: dict[str, Any] = {"digest": hashlib.sha256(stored).digest(), "prefix": b"DKIM-Signature: x\r\n"}
    for mail in (
        Mail(envelope(), (), size + 19, file=str(path), **made),
        Mail(envelope(), (), size + 19, inline=bytes(damaged), **made),
    ):
        sent = []
        with pytest.raises(DamagedError):
            sent.extend(mail.chunks())
        assert sum(map(len, sent)) <= max(0, size - 1) + 19
    path.write_bytes(stored)
    mail = Mail(envelope(), (), size + 19, file=str(path), **made)
    assert b"".join(mail.chunks()) == made["prefix"] + stored
