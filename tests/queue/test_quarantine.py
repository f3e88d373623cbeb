"""The whole life of a message in quarantine, and of a submission that is held until it has been scanned."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
from typing import Any

import pytest

from mailgate.ipc.calls import NewEntry
from mailgate.ipc.inspect_calls import InspectFailed
from mailgate.model.decision import Action
from mailgate.model.envelope import Client, Direction, Recipient
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.model.verdict import Inspection, Unscanned, not_scanned
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.commands.callers import by_account
from tests.queue.inspectors import AWAY, CLEAN, INFECTED, FakeInspector
from tests.spool.making import NOW, entry, staged
from tests.store.running import Store, running, until
from tests.support.clock import ManualClock

BOB = "bob@acme.example"
ME = by_account(os.getuid()).name
BODY = b"Subject: hello\r\nX-Long: one\r\n two\r\n\r\nsecret words\r\n"


@pytest.fixture
def alone(acme: Settings) -> Settings:
    """One inspector, so that its place is known."""
    return acme.model_copy(update={"inspectors": 1})


def inspector(settings: Settings, answer: Inspection | InspectFailed | None = CLEAN) -> FakeInspector:
    return FakeInspector(settings.inspector_path(0), answer)


async def quarantine(store: Store, *paths: str, body: bytes = BODY) -> str:
    """A message for bob's mailbox, under these addresses, in quarantine; its queue id."""
    recipients = [Recipient(path, (store.mailbox,)) for path in paths or (BOB,)]
    given = entry(*recipients, action=Action.QUARANTINE, body=body)
    await store.commit(given)
    return given.envelope.queue_id


async def events(store: Store, queue_id: str) -> list[dict[str, Any]]:
    (timeline,) = await store.admin("trace", id=queue_id)
    return timeline["events"]


def test_clean_mail_is_released_byte_for_byte(alone: Settings) -> None:
    async def run() -> None:
        async with running(alone) as store:
            name = await quarantine(store)
            with inspector(alone) as asked:
                moved = await store.admin("quarantine.release", id=name, tenant="acme", by="ops", reason="harmless")
            assert moved == {"changed": [BOB], "busy": [], "verdict": "clean", "signature": ""}
            (delivered,) = await store.until_delivered(1)
            assert delivered == b"Received: by test\r\n" + BODY == asked.seen[0]
            told = {event["kind"]: event["facts"] for event in await events(store, name)}
            assert (told["released"]["by"], told["released"]["reason"]) == (f"{ME} (ops by sudo)", "harmless")
            assert (told["inspected"]["verdict"], told["inspected"]["signatures"]) == ("clean", "27000")

    asyncio.run(run())


def test_a_large_message_is_scanned_from_its_file(alone: Settings) -> None:
    async def run() -> None:
        async with running(alone) as store:
            large = staged(alone.staging_dir / "m", b"Subject: large\r\n\r\n" + b"x\r\n" * 99_000)
            given = entry(Recipient(BOB, (store.mailbox,)), action=Action.QUARANTINE)
            await store.commit(
                NewEntry(given.envelope, given.decision, given.prefix, staged=large.staged, body_size=large.body_size)
            )
            with inspector(alone) as asked:
                await store.admin("quarantine.release", id=given.envelope.queue_id, tenant="acme")
            assert await store.until_delivered(1) == asked.seen

    asyncio.run(run())


def test_infected_mail_needs_a_reason_and_a_confirmation(alone: Settings) -> None:
    async def run() -> None:
        async with running(alone) as store:
            name = await quarantine(store)
            with inspector(alone, INFECTED):
                confirmed = {"confirm_infected": True, "confirm_signature": "Test.Virus"}
                for words in (
                    {},
                    confirmed,
                    {"reason": "a sample", "confirm_infected": True},
                    {"reason": "a sample", "confirm_signature": "Test.Virus"},
                    {"reason": "a sample", "confirm_infected": True, "confirm_signature": "Another.Virus"},
                ):
                    with pytest.raises(ConflictError, match=r"Test\.Virus"):
                        await store.admin("quarantine.release", id=name, tenant="acme", **words)
                assert store.delivered() == []
                moved = await store.admin("quarantine.release", id=name, tenant="acme", reason="a sample", **confirmed)
            assert (moved["verdict"], moved["signature"]) == ("infected", "Test.Virus")
            assert len(await store.until_delivered(1)) == 1

    asyncio.run(run())


@pytest.mark.parametrize("answer", [AWAY, "nobody listens"])
def test_without_a_verdict_nothing_leaves(alone: Settings, answer: Inspection | str) -> None:
    async def run() -> None:
        async with running(alone) as store:
            name = await quarantine(store)
            if isinstance(answer, Inspection):
                with inspector(alone, answer), pytest.raises(UnavailableError, match="nothing was released"):
                    await store.admin("quarantine.release", id=name, tenant="acme")
            else:
                with pytest.raises(UnavailableError, match="no inspector"):
                    await store.admin("quarantine.release", id=name, tenant="acme")
            (row,) = (await store.admin("quarantine.list", tenant="acme"))["rows"]
            assert row["state"] == "quarantined"

    asyncio.run(run())


def test_without_a_gateway_nothing_leaves(alone: Settings) -> None:
    async def run() -> str:
        async with running(alone) as store:
            return await quarantine(store)

    name = asyncio.run(run())
    with pytest.raises(UnavailableError, match="mailgate serve"):
        offline.run_alone(alone, "quarantine.release", {"id": name, "tenant": "acme"})
    assert offline.run_alone(alone, "quarantine.delete", {"id": name, "tenant": "acme"})["changed"] == [BOB]


@pytest.mark.parametrize("answer", [None, InspectFailed("the parser gave up")])
def test_what_breaks_inspectors_may_be_released_by_a_person(alone: Settings, answer: InspectFailed | None) -> None:
    async def run() -> None:
        async with running(alone) as store:
            name = await quarantine(store)
            with inspector(alone, answer) as asked:
                moved = await store.admin("quarantine.release", id=name, tenant="acme")
            assert (moved["verdict"], len(asked.seen)) == ("not-scanned", 2)

    asyncio.run(run())


def test_some_recipients_are_released_and_the_rest_deleted(alone: Settings) -> None:
    async def run() -> None:
        async with running(alone) as store:
            name = await quarantine(store, BOB, "bob+x@acme.example")
            with inspector(alone):
                moved = await store.admin("quarantine.release", id=name, tenant="acme", recipients=[BOB])
            assert moved["changed"] == [BOB]
            moved = await store.admin("quarantine.delete", id=name, tenant="acme", by="ops", reason="spam")
            assert moved == {"changed": ["bob+x@acme.example"], "busy": []}
            assert len(await store.until_delivered(1)) == 1
            assert (await events(store, name))[-1]["kind"] in ("deleted", "delivered")

    asyncio.run(run())


def test_show_tells_all_but_the_content(alone: Settings) -> None:
    async def run() -> None:
        async with running(alone) as store:
            name = await quarantine(store)
            shown = await store.admin("quarantine.show", id=name, tenant="acme", reason="order 17")
            assert shown["header"] == [["Received", "by test"], ["Subject", "hello"], ["X-Long", "one two"]]
            assert shown["decision"]["rule"] == "test rule"
            assert "secret words" not in str(shown)
            for command in ("show", "release", "delete"):
                with pytest.raises(NotFoundError):
                    await store.admin(f"quarantine.{command}", id=name, tenant="globex")

    asyncio.run(run())


def test_search(alone: Settings) -> None:
    clock = ManualClock(NOW)

    async def run() -> None:
        async with running(alone, clock=clock) as store:
            first = await quarantine(store, "ann@acme.example")
            second = entry(Recipient(BOB, (store.mailbox,)), action=Action.QUARANTINE, at=NOW + 3600, reverse_path="")
            await store.commit(second)
            clock.advance(7200)
            for filters, found in (
                ({}, [first, second.envelope.queue_id]),
                ({"recipient": BOB}, [second.envelope.queue_id]),
                ({"recipient": "@acme.example"}, [first, second.envelope.queue_id]),
                ({"recipient": "acme.example"}, []),
                ({"sender": ""}, [second.envelope.queue_id]),
                ({"why": "OF THE test"}, [first, second.envelope.queue_id]),
                ({"why": "something else"}, []),
                ({"rule": "TEST rule"}, [first, second.envelope.queue_id]),
                ({"rule": "another"}, []),
                ({"since": NOW + 60}, [second.envelope.queue_id]),
                ({"until": NOW + 60}, [first]),
                ({"since": NOW, "until": NOW + 7200}, [first, second.envelope.queue_id]),
                ({"since": NOW + 60, "older_than": 5000.0}, []),
                ({"older_than": 5000.0}, [first]),
                ({"younger_than": 5000.0}, [second.envelope.queue_id]),
            ):
                rows = (await store.admin("quarantine.list", tenant="acme", **filters))["rows"]
                assert [row["queue_id"] for row in rows] == found, filters

    asyncio.run(run())


# Held until scanned


def held(store: Store, **more: Any) -> NewEntry:
    given = {"direction": Direction.OUTBOUND, "reverse_path": BOB, "client": Client("192.0.2.1", account=BOB)}
    return entry(Recipient(BOB, (store.mailbox,)), action=Action.HOLD, body=BODY, **(given | more))


async def is_waiting(store: Store, state: str) -> bool:
    rows = (await store.admin("queue.list"))["rows"]
    return [row["state"] for row in rows] == [state]


def test_a_held_submission_goes_on_once_it_was_scanned(alone: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgate.store.holding.unscanned.FIRST_WAIT", 0.01)
    monkeypatch.setattr("mailgate.store.holding.unscanned.LONGEST_WAIT", 0.02)

    async def run() -> None:
        async with running(alone) as store:
            given = held(store)
            with inspector(alone, AWAY) as asked:
                await store.commit(given)
                await until(lambda: len(asked.seen) > 2)
                assert await is_waiting(store, "held")
                with pytest.raises(ConflictError, match="not been scanned"):
                    await store.admin("queue.release", id=given.envelope.queue_id)
                counts = await store.admin("queue.release-chosen", tenant="acme")
                assert (counts["changed"], counts["unscanned"]) == (0, 1)
                asked.answer = CLEAN
                assert (await store.until_delivered(1))[0].endswith(BODY)
            kinds = [event["kind"] for event in await events(store, given.envelope.queue_id)]
            assert kinds[:6] == ["received", "decided", "committed", "inspected", "decided", "released"]

    asyncio.run(run())


@pytest.mark.parametrize("answer", [INFECTED, not_scanned(Unscanned.ENCRYPTED, 3), None])
def test_what_is_found_in_held_mail_is_quarantined_and_told(
    alone: Settings, monkeypatch: pytest.MonkeyPatch, answer: Inspection | None
) -> None:
    monkeypatch.setattr("mailgate.store.holding.unscanned.FIRST_WAIT", 0.01)

    async def run() -> None:
        async with running(alone) as store:
            given = held(store, ret="FULL")
            with inspector(alone, answer):
                await store.commit(given)
                (raw,) = await store.until_delivered(1)
            await until(lambda: is_waiting(store, "quarantined"))
            notice = email.message_from_bytes(raw, policy=email.policy.SMTP)
            readable, status, returned = notice.iter_parts()  # type: ignore[attr-defined]
            recipient = status.get_payload()[1]
            assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.7.1")  # it can still be released
            assert "is held back here and has not reached" in " ".join(readable.get_content().split())
            assert returned.get_content_type() == "text/rfc822-headers"

    asyncio.run(run())
