"""A flood of guesses from many networks: told to those who can act, seen by the owner, and no obstacle to the owner."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mailgate.ipc.calls import Authenticate, Authenticated
from mailgate.settings import Settings
from mailgate.store.commands import offline
from tests.store.running import PASSWORD, Store, add_people, running, until
from tests.support.clock import ManualClock

BOB, ALICE = "bob@acme.example", "alice@acme.example"
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"


async def log_in(store: Store, peer: str, password: str = PASSWORD) -> bool:
    answer = await store.call(Authenticate(BOB, password.encode(), peer))
    assert isinstance(answer, Authenticated)
    return answer.ok


async def guess(store: Store, networks: int) -> None:
    guesses = (log_in(store, f"10.0.{n}.1", f"guess {n}") for n in range(networks))
    assert not any(await asyncio.gather(*guesses))


def inbox(path: str) -> list[str]:
    return [" ".join(file.read_text().split()) for file in Path(path, "new").iterdir()]


def test_guesses_from_many_networks_are_told_and_keep_out_strangers_alone(settings: Settings) -> None:
    add_people(settings)
    offline.run_alone(settings, "user.add", {"tenant": "acme", "login": ALICE, "password": PASSWORD})
    offline.run_alone(settings, "user.role", {"login": ALICE, "role": "administrator"})

    clock = ManualClock()

    async def scenario() -> None:
        async with running(settings, clock=clock) as store:
            phone = (await store.admin("apppassword.add", login=BOB, name="phone", scopes=["smtp"]))["password"]
            assert await log_in(store, HOME)
        async with running(settings, clock=clock) as store:
            # what is known is durable, what was remembered of the password is not
            await guess(store, 60)
            assert not await log_in(store, ELSEWHERE)
            assert await log_in(store, HOME)
            assert await log_in(store, ELSEWHERE, phone)
            paths = [await store.admin("mailbox.path", mailbox=each) for each in (BOB, ALICE)]
            await until(lambda: all(inbox(path) for path in paths))
            bobs, alices = (inbox(path) for path in paths)
            assert ["Somebody is guessing your password" in each for each in bobs] == [True]
            assert [f"Somebody is guessing the password of {BOB}" in each for each in alices] == [True]
        async with running(settings, clock=clock) as store:
            assert not await log_in(store, "198.51.100.10")
            results = {line["result"] for line in await store.admin("user.logins", login=BOB)}
            assert results == {"ok", "wrong password", "too many tries"}
            await store.admin("user.unlock", login=BOB)
            assert await log_in(store, "198.51.100.11")

    asyncio.run(scenario())
