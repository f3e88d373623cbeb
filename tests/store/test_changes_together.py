"""Two administrators change one object at the same moment, and a disk is full in the middle of a change: no change is
lost, none is half made."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from mailgate.model.errors import ConflictError, MailgateError, UnavailableError
from mailgate.settings import Settings
from mailgate.tenancy.directory import Directory
from tests.store.running import PASSWORD, Store, add_people, running
from tests.store.test_callers import give, line, log_in
from tests.tenancy.conftest import Commands, cheap_hashes, clock, directory, run, two_tenants

__all__ = ["cheap_hashes", "clock", "directory", "run", "two_tenants"]

ALICE, DAVE, BOB = (f"{name}@acme.example" for name in ("alice", "dave", "bob"))
EACH = 10


async def add_administrators(store: Store) -> None:
    for login in (ALICE, DAVE):
        await store.admin("user.add", tenant="acme", login=login, password=PASSWORD)
        await store.admin("user.role", login=login, role="administrator")
    await store.admin("group.add", tenant="acme", name="readers", users=[BOB])
    await store.admin("alias.add", tenant="acme", address="news@acme.example", groups=["readers"])


def test_two_administrators_change_one_object_and_lose_nothing(settings: Settings) -> None:
    add_people(settings)

    async def play() -> None:
        async with running(settings) as store:
            await add_administrators(store)
            async with line(store) as one, line(store) as other:
                await log_in(one, ALICE)
                await log_in(other, DAVE)
                forwards = [
                    (calls, f"{name}{n}@far.example") for n in range(EACH) for name, calls in (("a", one), ("d", other))
                ]
                changes = [
                    give(calls, "alias.extend", address="news@acme.example", forwards=[to]) for calls, to in forwards
                ]
                changes += [
                    give(one, "user.disable", login=BOB),
                    give(other, "user.role", login=BOB, role="administrator"),
                ]
                await asyncio.gather(*changes)
                added = await asyncio.gather(
                    *(give(calls, "group.add", tenant="acme", name="staff") for calls in (one, other)),
                    return_exceptions=True,
                )
            assert sorted(type(answer) for answer in added if isinstance(answer, MailgateError)) == [ConflictError]
            news = next(a for a in await store.admin("alias.list", tenant="acme") if a["address"].startswith("news"))
            assert sorted(news["forwards"]) == sorted(to for _, to in forwards)
            bob = next(user for user in await store.admin("user.list", tenant="acme") if user["login"] == BOB)
            assert (bob["state"], bob["role"]) == ("disabled", "administrator")
            await check_log(store)

    asyncio.run(play())


async def check_log(store: Store) -> None:
    """Each change began with what the one before it left."""
    log = await store.admin("audit.list", tenant="acme", object="news@acme.example", limit=1000)
    extended = [entry for entry in log if entry["action"] == "alias.extend"]
    assert len(extended) == 2 * EACH
    assert [entry["before"] for entry in extended[1:]] == [entry["after"] for entry in extended[:-1]]
    assert {entry["actor"] for entry in extended} == {ALICE, DAVE}
    assert (await store.admin("audit.verify", tenant="acme"))["faults"] == []


def limit_pages(directory: Directory, more: int) -> None:
    """No room for more than so many pages than there are: what SQLite answers is what it answers on a full disk."""
    with directory.reading("acme") as work:
        connection = work.session.connection()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + more}")


@pytest.mark.parametrize("room", (0, 2))
def test_a_change_that_finds_no_room_is_not_made_at_all(
    tmp_path: Path, directory: Directory, two_tenants: Commands, room: int
) -> None:
    file = "".join(f'[[users]]\nlogin = "user{n}@acme.example"\n' for n in range(40))
    asked = {"tenant": "acme", "text": file, "source": "acme.toml"}
    plan = two_tenants("directory.compare", **asked)["plan"]
    before = everything(two_tenants)
    limit_pages(directory, room)
    with pytest.raises(UnavailableError, match="no room on its file system; nothing was changed"):
        two_tenants("directory.apply", **asked, plan=plan)
    assert everything(two_tenants) == before
    assert directory.recipients.resolve("bob", "acme.example").kind == "mailbox"
    limit_pages(directory, 10_000)
    assert len(two_tenants("directory.apply", **asked, plan=plan)["without_password"]) == 40
    assert directory.recipients.resolve("user7", "acme.example").kind == "mailbox"
    assert two_tenants("audit.verify", tenant="acme")["faults"] == []


def everything(run: Commands) -> str:
    return json.dumps([run(f"{kind}.list", tenant="acme") for kind in ("user", "group", "mailbox", "alias", "audit")])
