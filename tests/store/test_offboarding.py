"""A tenant is deleted: nothing of it is left on disk but the fact, and nothing of another tenant is touched."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from mailgate.ipc.calls import Done, Resolve, Resolved
from mailgate.model.decision import Action
from mailgate.model.envelope import TenantName
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.commands.on_spool import offboarding
from mailgate.store.keeping.opening import OpenSpool
from tests.spool.making import NOW, accepted, entry, local, outside, staged
from tests.store.running import PASSWORD, Store, add_people, running


@pytest.fixture
def two_tenants(settings: Settings) -> None:
    add_people(settings)
    offline.run_alone(settings, "tenant.add", {"name": "bcme", "domains": ["bcme.example"]})
    user = {"tenant": "bcme", "login": "eve@bcme.example", "password": PASSWORD}
    offline.run_alone(settings, "user.add", user)


def files_with(folder: Path, words: tuple[bytes, ...]) -> list[str]:
    """After every log was folded into its database."""
    for database in folder.rglob("*.db"):
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
        connection.close()
    found = [path for path in folder.rglob("*") if path.is_file() and any(word in path.read_bytes() for word in words)]
    return sorted(path.name for path in found)


async def fill(store: Store, settings: Settings) -> None:
    """Delivered, in quarantine as a file, for the relay; and one message of the other tenant."""
    bob = local("bob@acme.example", store.mailbox)
    await store.commit(entry(bob, body=b"secret-of-bob"))
    await store.until_delivered(1)
    large = staged(settings.staging_dir / "m", b"secret-of-bob" + os.urandom(1 << 20), bob)
    await store.commit(large)
    await store.until_delivered(2)
    (settings.staging_dir / "m").unlink()  # as the edge does
    for given in (
        entry(bob, body=b"secret-of-bob", action=Action.QUARANTINE),
        entry(outside("someone@far.example"), body=b"secret-of-bob"),
        entry(outside("someone@far.example"), body=b"of-eve", tenant="bcme"),
    ):
        assert await store.commit(given) == Done()


def test_nothing_is_left_but_the_fact(settings: Settings, two_tenants: None) -> None:
    async def run() -> None:
        async with running(settings) as store:
            await fill(store, settings)
            with pytest.raises(ConflictError, match="first: mailgate tenant disable acme"):
                await store.admin("tenant.remove", name="acme")
            await store.admin("tenant.disable", name="acme")
            removed = await store.admin("tenant.remove", name="acme")
            assert removed == {"name": "acme", "domains": ["acme.example"], "messages": 4}
            found = await store.call(Resolve("bob", "acme.example"))
            assert isinstance(found, Resolved)
            assert found.kind == "foreign"
            assert [tenant["name"] for tenant in await store.admin("tenant.list")] == ["bcme"]
            with pytest.raises(NotFoundError):
                await store.admin("tenant.remove", name="acme")
            last = (await store.admin("audit.list"))[-1]
            assert (last["action"], last["object"], last["after"]) == ("tenant.remove", "acme", {"messages": 4})
            (row,) = (await store.admin("queue.list"))["rows"]
            assert row["tenant"] == "bcme"

    asyncio.run(run())
    assert files_with(settings.data_dir, (b"secret-of-bob", b"bob@acme.example")) == []
    assert files_with(settings.data_dir, (b"eve@bcme.example", b"of-eve")) == ["spool.db", "tenant.db"]
    assert len(list((settings.data_dir / "tenants").iterdir())) == 1


def test_the_name_and_the_domain_are_free_again(settings: Settings, two_tenants: None) -> None:
    for command in ("tenant.disable", "tenant.remove"):
        offline.run_alone(settings, command, {"name": "acme"})
    add_people(settings)
    assert len(offline.run_alone(settings, "tenant.list", {})) == 2


def test_what_failed_in_the_middle_is_done_by_the_same_command(
    settings: Settings, two_tenants: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        (folder / "tenant.db").unlink()
        raise UnavailableError("the disk went away")

    offline.run_alone(settings, "tenant.disable", {"name": "acme"})
    with monkeypatch.context() as patched:
        patched.setattr(offboarding, "_remove_folder", fail)
        with pytest.raises(UnavailableError):
            offline.run_alone(settings, "tenant.remove", {"name": "acme"})
    assert offline.run_alone(settings, "tenant.show", {"name": "acme"})["state"] == "disabled"
    offline.run_alone(settings, "tenant.remove", {"name": "acme"})
    assert [tenant["name"] for tenant in offline.run_alone(settings, "tenant.list", {})] == ["bcme"]


def test_a_message_under_an_attempt_stays(opened: OpenSpool) -> None:
    """Else the attempt would end in a row that is gone."""
    leased, free = entry(local()), entry(local())
    opened.write(lambda spool: spool.keep(accepted(leased, at_once=True), NOW, "holder", 60))
    opened.write(lambda spool: spool.keep(accepted(free), NOW, "", 0))
    step = opened.write(lambda spool: spool.forget_tenant(TenantName("acme"), NOW, 0, 10))
    assert (step.messages, step.busy, step.last) == (1, 1, None)
    step = opened.write(lambda spool: spool.forget_tenant(TenantName("acme"), NOW + 61, 0, 10))
    assert (step.messages, step.busy) == (1, 0)


def test_many_messages_go_step_by_step(opened: OpenSpool) -> None:
    for tenant in ("acme", "bcme", "acme", "acme", "bcme"):
        given = entry(local(), tenant=tenant)
        opened.write(lambda spool, given=given: spool.keep(accepted(given), NOW, "", 0))
    steps, after = [], 0
    while after is not None:
        step = opened.write(lambda spool, after=after: spool.forget_tenant(TenantName("acme"), NOW, after, 2))
        steps.append(step.messages)
        after = step.last
    assert steps == [2, 1]
    assert opened.listing.counts() == {"queued": 2}
