"""A recipient releases its own encrypted mail, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as replace_in

from mailgate.ipc.calls import Done, ReleaseOwn
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Recipient
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError
from mailgate.model.release_address import RELEASE_SECONDS, Claim, release_address
from mailgate.model.verdict import Inspection, Unscanned, Verdict
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.holding import rescan
from mailgate.tenancy.directory import Directory
from tests.queue.inspectors import AWAY, CLEAN, INFECTED, PART, FakeInspector
from tests.spool.making import NOW, entry
from tests.store.running import PASSWORD, Store, running, until
from tests.support.clock import ManualClock

BOB, EVE = "bob@acme.example", "eve@acme.example"
BODY = b"Subject: list\r\n\r\nlocked\r\n"
LOCKED = Inspection((replace(PART, verdict=Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED),), signatures="27000")
LIMIT = Inspection((*LOCKED.parts, replace(PART, place="2", verdict=Verdict.NOT_SCANNED, reason=Unscanned.LIMIT)))
MACRO = Inspection((*LOCKED.parts, replace(PART, place="2", is_attachment=True, classes=("macro",))))
POLICY = """
[quarantine]
recipients_release = ["encrypted"]
[[attachments]]
name = "no macros"
action = "quarantine"
class = "macro"
"""
ENCRYPTED = Decision(Action.QUARANTINE, "built-in: unscanned.encrypted", "it is encrypted", "v1")


@pytest.fixture
def settings(acme: Settings, tmp_path: Path) -> Settings:
    """One inspector; bob and eve; recipients may release."""
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "gateway.toml").write_text(POLICY)
    made = acme.model_copy(update={"inspectors": 1, "policy_dir": policies})
    offline.run_alone(made, "user.add", {"tenant": "acme", "login": EVE, "password": PASSWORD})
    return made


@pytest.fixture
def key(settings: Settings) -> Iterator[bytes]:
    directory = Directory(settings.data_dir)
    yield directory.release_key("acme")
    directory.close()


async def held(store: Store, decision: Decision = ENCRYPTED) -> str:
    given = entry(Recipient(BOB, (store.mailbox,)), Recipient("bob+x@acme.example", (store.mailbox,)), body=BODY)
    await store.commit(replace_in(given, decision=decision, inspection=LOCKED))
    return given.envelope.queue_id


def local_of(queue_id: str, key: bytes, number: int = 0) -> str:
    return release_address(Claim(queue_id, number), "acme.example", key).partition("@")[0]  # type: ignore[arg-type]


def inspector(settings: Settings, answer: Inspection) -> FakeInspector:
    return FakeInspector(settings.inspector_path(0), answer)


async def audit(store: Store) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = await store.admin("audit.list", tenant="acme")
    return entries


async def states(store: Store) -> list[str]:
    return [row["forward_path"] for row in (await store.admin("quarantine.list", tenant="acme"))["rows"]]


@pytest.mark.parametrize("found", [LOCKED, CLEAN])
def test_the_recipient_gets_the_same_bytes_and_nobody_else(settings: Settings, key: bytes, found: Inspection) -> None:
    async def run() -> None:
        async with running(settings) as store:
            name = await held(store)
            with inspector(settings, found):
                assert await store.call(ReleaseOwn(BOB, local_of(name, key))) == Done()
            mail = [one for one in await store.until_delivered(1) if one.endswith(BODY)]
            assert mail == [b"Received: by test\r\n" + BODY]
            assert await states(store) == ["bob+x@acme.example"]
            (timeline,) = await store.admin("trace", id=name)
            (released,) = [event for event in timeline["events"] if event["kind"] == "released"]
            assert (released["recipient"], released["facts"]["by"]) == (BOB, BOB)
            (audited,) = [each for each in await audit(store) if each["action"] == "quarantine.release-own"]
            assert (audited["actor"], audited["object"]) == (BOB, name)
            with pytest.raises(NotFoundError):
                await store.call(ReleaseOwn(BOB, local_of(name, key)))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("found", "error"),
    [(INFECTED, ConflictError), (LIMIT, ConflictError), (MACRO, ConflictError), (AWAY, UnavailableError)],
)
def test_what_is_held_for_more_stays(settings: Settings, key: bytes, found: Inspection, error: type[Exception]) -> None:
    async def run() -> None:
        async with running(settings) as store:
            name = await held(store)
            with inspector(settings, found), pytest.raises(error):
                await store.call(ReleaseOwn(BOB, local_of(name, key)))
            assert await states(store) == [BOB, "bob+x@acme.example"]

    asyncio.run(run())


def test_what_is_not_theirs_is_not_there(settings: Settings, key: bytes) -> None:
    """The same answer for every wrong claim; no inspector is there, so nothing is even scanned."""

    async def run() -> None:
        async with running(settings) as store:
            name = await held(store)
            other = await held(store, replace(ENCRYPTED, rule="built-in: scanning.infected"))
            rule = await held(store, replace(ENCRYPTED, rule='gateway.toml: attachments[1] "no macros"'))
            texts = set()
            for account, local in (
                (EVE, local_of(name, key)),
                ("ann@elsewhere.example", local_of(name, key)),
                (BOB, local_of(name, b"another key")),
                (BOB, local_of(name, key, 7)),
                (BOB, local_of("0" * 16, key)),
                (BOB, "release+x"),
            ):
                with pytest.raises(NotFoundError) as error:
                    await store.call(ReleaseOwn(account, local))
                texts.add(str(error.value) if account != "ann@elsewhere.example" else "")
            assert len(texts - {""}) == 1
            for name in (other, rule):  # theirs, but not theirs to release
                with pytest.raises(ConflictError, match="only your administrator"):
                    await store.call(ReleaseOwn(BOB, local_of(name, key)))

    asyncio.run(run())


def test_an_address_ends(settings: Settings, key: bytes) -> None:
    clock = ManualClock(NOW)

    async def run() -> None:
        async with running(settings, clock=clock) as store:
            name = await held(store)
            clock.advance(RELEASE_SECONDS + 1)
            with pytest.raises(ConflictError, match="too late"):
                await store.call(ReleaseOwn(BOB, local_of(name, key)))

    asyncio.run(run())


def test_only_where_the_policy_lets_them(settings: Settings, key: bytes) -> None:
    (settings.policy_dir / "gateway.toml").write_text("[quarantine]\nrecipients_release = []\n")

    async def run() -> None:
        async with running(settings) as store:
            name = await held(store)
            with inspector(settings, LOCKED) as asked, pytest.raises(ConflictError, match="administrator"):
                await store.call(ReleaseOwn(BOB, local_of(name, key)))
            assert asked.seen == []

    asyncio.run(run())


def test_another_tenants_key_opens_nothing(settings: Settings) -> None:
    offline.run_alone(settings, "tenant.add", {"name": "globex", "domains": ["globex.example"]})
    directory = Directory(settings.data_dir)
    foreign = directory.release_key("globex")
    assert foreign != directory.release_key("acme")
    directory.close()

    async def run() -> Any:
        async with running(settings) as store:
            name = await held(store)
            with pytest.raises(NotFoundError):
                await store.call(ReleaseOwn(BOB, local_of(name, foreign)))

    asyncio.run(run())


def test_a_long_scan_delays_nobody(settings: Settings, key: bytes) -> None:
    """Before, commands, retention and notices waited for it in one thread, for up to two minutes."""

    async def run() -> None:
        async with running(settings) as store:
            own, others = await held(store), await held(store)
            with inspector(settings, LOCKED) as scanner:
                scanner.may_answer.clear()
                releases = [
                    asyncio.create_task(store.call(ReleaseOwn(BOB, local_of(own, key)))),
                    asyncio.create_task(store.admin("quarantine.release", id=others, tenant="acme", reason="asked")),
                ]
                await until(lambda: scanner.seen)
                assert len(await states(store)) == 4, "a command is answered meanwhile"
                assert await store.admin("queue.summary")
                assert len(scanner.seen) == 1, "of one tenant one at a time"
                scanner.may_answer.set()
                await asyncio.gather(*releases)
            assert await states(store) == ["bob+x@acme.example"]

    asyncio.run(run())


def test_what_changes_during_the_scan_counts(settings: Settings, key: bytes) -> None:
    async def run() -> None:
        async with running(settings) as store:
            name = await held(store)
            with inspector(settings, LOCKED) as scanner:
                scanner.may_answer.clear()
                release = asyncio.create_task(store.call(ReleaseOwn(BOB, local_of(name, key))))
                by_administrator = asyncio.create_task(store.admin("quarantine.release", id=name, tenant="acme"))
                await until(lambda: scanner.seen)
                await store.admin("quarantine.delete", id=name, tenant="acme")
                scanner.may_answer.set()
                for task in (release, by_administrator):
                    with pytest.raises(NotFoundError):
                        await task
            assert store.delivered() == []

    asyncio.run(run())


def test_what_one_tenant_wants_scanned_is_bounded(
    settings: Settings, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescan, "MOST_OF_TENANT", 2)

    async def run() -> None:
        async with running(settings) as store:
            names = [await held(store) for _ in range(3)]
            with inspector(settings, LOCKED) as scanner:
                scanner.may_answer.clear()
                waiting = [asyncio.create_task(store.call(ReleaseOwn(BOB, local_of(name, key)))) for name in names[:2]]
                await until(lambda: scanner.seen)
                with pytest.raises(UnavailableError, match="wait to be scanned again"):
                    await store.call(ReleaseOwn(BOB, local_of(names[2], key)))
                scanner.may_answer.set()
                await asyncio.gather(*waiting)
                assert await store.call(ReleaseOwn(BOB, local_of(names[2], key))) == Done()

    asyncio.run(run())
