"""An account that sends unusually much: its mail is held, its administrators are told, a command ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailgate.ipc.calls import Done, NewEntry
from mailgate.model.envelope import Client, Direction, MailboxId, Recipient
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.holding import sending_brake
from tests.spool.making import entry
from tests.store.running import PASSWORD, Store, add_people, running, until

BOB, ALICE = "bob@acme.example", "alice@acme.example"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_brake, "FLUSH_SECONDS", 0.05)


@pytest.fixture
def limited(settings: Settings, tmp_path: Path) -> Settings:
    """Three messages an hour; alice is the administrator."""
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "gateway.toml").write_text("[submission]\nmessages_per_hour = 3\n")
    made = settings.model_copy(update={"policy_dir": policies})
    add_people(made)
    offline.run_alone(made, "user.add", {"tenant": "acme", "login": ALICE, "password": PASSWORD})
    offline.run_alone(made, "user.role", {"login": ALICE, "role": "administrator"})
    return made


def submitted(mailbox: MailboxId, by: str = BOB) -> NewEntry:
    client = Client("192.0.2.1", account=by)
    return entry(Recipient(BOB, (mailbox,)), direction=Direction.OUTBOUND, reverse_path=by, client=client)


async def send(store: Store, count: int, by: str = BOB) -> None:
    for _ in range(count):
        assert await store.commit(submitted(store.mailbox, by)) == Done()


async def held(store: Store) -> list[str]:
    page = await store.admin("queue.list", state="held")
    return [row["reason"] for row in page["rows"]]


def inbox(store: Store, path: str) -> list[str]:
    return [file.read_text() for file in Path(path, "new").iterdir()]


def test_mail_over_the_limit_is_held_told_and_released(limited: Settings) -> None:
    async def scenario() -> None:
        async with running(limited) as store:
            alices = await store.admin("mailbox.path", mailbox=ALICE)
            await send(store, 5)
            assert await held(store) == [f"{BOB} sent unusually much: more than 3 messages in an hour"] * 2
            assert len(await store.until_delivered(3)) == 3
            await until(lambda: len(inbox(store, alices)) == 1)
            (told,) = inbox(store, alices)
            assert f"Subject: Mail of {BOB} is held" in told
            assert f"mailgate user release {BOB}" in " ".join(told.split())
            users = await store.admin("user.list", tenant="acme")
            assert [user["held"] for user in users] == ["", "more than 3 messages in an hour"]
            assert await store.admin("user.release", login=BOB) == BOB
            assert len(await store.until_delivered(5)) == 5
            await send(store, 1)
            assert len(await store.until_delivered(6)) == 6

    asyncio.run(scenario())


def test_it_stays_held_over_a_restart_and_what_was_counted_counts(limited: Settings) -> None:
    async def scenario() -> None:
        async with running(limited) as store:
            await send(store, 2)
            await send(store, 2, by=ALICE)
        async with running(limited) as store:
            await send(store, 2)
            assert len(await held(store)) == 1, "two before the restart, two after it: the fourth is over the limit"
        async with running(limited) as store:
            await send(store, 1)
            await send(store, 1, by=ALICE)
            assert len(await held(store)) == 2, "only bob's"

    asyncio.run(scenario())


def test_mail_from_outside_and_where_no_limit_is_set_is_not_counted(settings: Settings, limited: Settings) -> None:
    async def scenario() -> None:
        async with running(limited) as store:
            for _ in range(5):
                await store.commit(entry(Recipient(BOB, (store.mailbox,))))
            assert await held(store) == []
        async with running(limited.model_copy(update={"policy_dir": settings.policy_dir})) as store:
            await send(store, 5)
            assert await held(store) == []

    asyncio.run(scenario())
