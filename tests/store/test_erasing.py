"""A mailbox is removed together with its mail: the audit log tells it, and nothing on its way is lost."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from mailgate.ipc.calls import Done, Resolve, Resolved
from mailgate.model.decision import Action
from mailgate.model.errors import ConflictError, UnavailableError
from mailgate.settings import Settings
from mailgate.store.commands.on_spool import erasing
from tests.spool.making import entry, local
from tests.store.running import Store, add_people, running, until

BOB = "bob@acme.example"


@pytest.fixture
def acme(settings: Settings) -> Settings:
    add_people(settings)
    return settings


async def is_recorded(store: Store, queue_id: str) -> bool:
    """The file is there a moment before the spool knows of it."""
    [found] = await store.admin("trace", id=queue_id)
    return any(event["kind"] == "delivered" for event in found["events"])


async def fill(store: Store) -> Path:
    """One message delivered, one that a mail program stored in a folder, and what an IMAP server writes."""
    new = entry(local(BOB, store.mailbox), body=b"delivered")
    await store.commit(new)
    await until(partial(is_recorded, store, new.envelope.queue_id))
    sent = store.maildir / ".Sent" / "cur"
    sent.mkdir(parents=True)
    (sent / "1,S=5:2,S").write_bytes(b"sent\n")
    (store.maildir / "dovecot.index.cache").write_bytes(b"subjects")
    return store.maildir


def test_mail_and_mailbox_are_gone_and_the_log_says_how_much(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store:
            folder = await fill(store)
            with pytest.raises(ConflictError, match="first: mailgate mailbox disable bob"):
                await store.admin("mailbox.erase", mailbox=BOB)
            await store.admin("mailbox.disable", mailbox=BOB)
            erased = await store.admin("mailbox.erase", mailbox=BOB)
            assert (erased["address"], erased["messages"]) == (BOB, 2)
            assert erased["bytes"] > 5
            assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["cur", "new", "tmp"]
            found = await store.call(Resolve("bob", "acme.example"))
            assert isinstance(found, Resolved)
            assert found.kind == "unknown"
            log = await store.admin("audit.list", tenant="acme", object=BOB)
            assert [each["action"] for each in log[-2:]] == ["mailbox.erase", "mailbox.remove"]
            assert log[-2]["after"] == {"id": store.mailbox, "messages": 2, "bytes": erased["bytes"]}

    asyncio.run(run())


def test_nothing_is_deleted_while_mail_waits_for_it(acme: Settings) -> None:
    async def run() -> None:
        async with running(acme) as store:
            folder = await fill(store)
            waiting = entry(local(BOB, store.mailbox), action=Action.QUARANTINE)
            assert await store.commit(waiting) == Done()
            await store.admin("mailbox.disable", mailbox=BOB)
            with pytest.raises(ConflictError, match="1 messages for bob"):
                await store.admin("mailbox.erase", mailbox=BOB)
            assert len(list((folder / "new").iterdir())) == 1
            await store.admin("quarantine.delete", tenant="acme", id=waiting.envelope.queue_id)
            assert (await store.admin("mailbox.erase", mailbox=BOB))["messages"] == 2

    asyncio.run(run())


def test_what_failed_in_the_middle_is_done_by_the_same_command(acme: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        (folder / "new").rename(folder / "gone")
        raise UnavailableError("the disk went away")

    async def run() -> None:
        async with running(acme) as store:
            await fill(store)
            await store.admin("mailbox.disable", mailbox=BOB)
            with monkeypatch.context() as patched:
                patched.setattr(erasing, "_empty", fail)
                with pytest.raises(UnavailableError):
                    await store.admin("mailbox.erase", mailbox=BOB)
            assert (await store.admin("mailbox.show", mailbox=BOB))["state"] == "disabled"
            await store.admin("mailbox.erase", mailbox=BOB)
            assert await store.admin("mailbox.list", tenant="acme") == []

    asyncio.run(run())
