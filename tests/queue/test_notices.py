"""Senders are told what became of their mail: once, in words, and only where they are who they say."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from mailgate.ipc.calls import Done, Ended, Lease, Leased, NewEntry, Record, Work
from mailgate.model.envelope import Client, Direction, Recipient
from mailgate.model.outcome import Outcome, State
from mailgate.model.verdict import Inspection, PartReport, Verdict
from mailgate.settings import Settings
from mailgate.spool.queue import Finished, Route
from mailgate.spool.schedule import DAY, HOUR
from mailgate.store.keeping.opening import open_spool
from tests.queue.making import BOB, BOUNCED, DEFERRED, RELAYED, submission
from tests.spool.making import NOW, accepted, staged
from tests.store.running import Store, running, until
from tests.support.clock import ManualClock


@asynccontextmanager
async def relaying(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Store]:
    async with running(settings, "relay", clock=clock) as store:
        yield store


async def lease(store: Store) -> tuple[Work, ...]:
    leased = await store.call(Lease("relay-1", 100, 600.0))
    assert isinstance(leased, Leased)
    return leased.work


async def record(store: Store, *ended: tuple[Work, Outcome]) -> None:
    answer = await store.call(Record("relay-1", tuple(Ended(work.message, work.n, outcome) for work, outcome in ended)))
    assert isinstance(answer, Done)


async def notices(store: Store, count: int) -> list[EmailMessage]:
    """The notices in bob's mailbox, once there are `count`."""
    found = [email.message_from_bytes(raw, policy=email.policy.SMTP) for raw in await store.until_delivered(count)]
    assert len(found) == count
    assert all(isinstance(each, EmailMessage) and each["Auto-Submitted"] == "auto-replied" for each in found)
    return found  # type: ignore[return-value]


def told(notice: EmailMessage) -> list[tuple[str, str]]:
    """(recipient, action) of each recipient in a notice."""
    status = list(notice.iter_parts())[1].get_payload()
    return [(group["Final-Recipient"].partition("; ")[2], group["Action"]) for group in status[1:]]  # type: ignore[union-attr]


def first_part(notice: EmailMessage) -> str:
    return str(next(notice.iter_parts()).get_payload())


async def is_settled(store: Store, queue_id: str) -> bool:
    """True once nothing of the message waits and its sender is told or never will be."""
    (timeline,) = await store.admin("trace", id=queue_id)
    return "notified" in [event["kind"] for event in timeline["events"]]


def test_a_bounce_reaches_the_sender(acme: Settings, clock: ManualClock) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            given = submission()
            await store.commit(given)
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            (notice,) = await notices(store, 1)
            assert notice["Return-Path"] == "<>"
            assert notice["To"] == BOB
            assert told(notice) == [("kim@far.example", "failed")]
            assert "550 5.1.1 No such user" in first_part(notice)
            assert "Subject: hello" in str(list(notice.iter_parts())[2].get_payload())
            (timeline,) = await store.admin("trace", id=given.envelope.queue_id)
            assert [event["kind"] for event in timeline["events"]][-2:] == ["bounced", "notified"]
            assert timeline["events"][-1]["facts"]["recipients"] == ["kim@far.example"]

    asyncio.run(run())


def test_recipients_that_end_together_share_a_notice(acme: Settings, clock: ManualClock) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            await store.commit(submission(*(Recipient(f"{name}@far.example") for name in ("kim", "lee", "max", "ned"))))
            kim, lee, max_, ned = await lease(store)
            await record(store, (kim, BOUNCED))
            await record(store, (max_, RELAYED))
            await record(store, (ned, DEFERRED))
            await record(store, (lee, BOUNCED))
            (notice,) = await notices(store, 1)
            assert told(notice) == [("kim@far.example", "failed"), ("lee@far.example", "failed")]
            clock.advance(HOUR)
            (again,) = await lease(store)
            assert again.n == ned.n
            await record(store, (again, BOUNCED))
            found = await notices(store, 2)
            assert sorted(told(each)[-1][0] for each in found) == ["lee@far.example", "ned@far.example"]

    asyncio.run(run())


def test_a_delay_is_told_once(acme: Settings, clock: ManualClock) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            await store.commit(submission())
            for advance in (0, 4 * HOUR, 4 * HOUR, 4 * HOUR):
                clock.advance(advance)
                (work,) = await lease(store)
                await record(store, (work, DEFERRED))
            (delay,) = await notices(store, 1)
            assert told(delay) == [("kim@far.example", "delayed")]
            status = list(delay.iter_parts())[1].get_payload()
            assert "Will-Retry-Until" in status[1]  # type: ignore[operator,index]
            clock.advance(5 * DAY)
            (work,) = await lease(store)
            await record(store, (work, DEFERRED))
            found = await notices(store, 2)
            assert sorted(told(each)[0][1] for each in found) == ["delayed", "failed"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("notify", "outcome", "action"),
    [
        (("NEVER",), BOUNCED, ""),
        (("SUCCESS",), BOUNCED, ""),
        (("DELAY",), BOUNCED, ""),
        (("FAILURE",), BOUNCED, "failed"),
        ((), RELAYED, ""),
        (("SUCCESS", "FAILURE"), RELAYED, "relayed"),
        (("SUCCESS",), Outcome(State.RELAYED, "taken", takes_dsn=True), ""),
    ],
)
def test_notify(acme: Settings, clock: ManualClock, notify: tuple[str, ...], outcome: Outcome, action: str) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            await store.commit(submission(Recipient("kim@far.example", notify=notify)))
            (work,) = await lease(store)
            await record(store, (work, outcome))
            # this one comes after the first, and shows that there was time to write another
            await store.commit(submission(Recipient("last@far.example")))
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            found = [told(each)[0] for each in await notices(store, 2 if action else 1)]
            assert sorted(found) == sorted(
                [("last@far.example", "failed"), *([("kim@far.example", action)] if action else [])]
            )

    asyncio.run(run())


def test_a_local_delivery_is_confirmed_where_it_was_asked_for(acme: Settings, clock: ManualClock) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            to_bob = Recipient(BOB, (store.mailbox,), notify=("SUCCESS",))
            await store.commit(submission(to_bob))
            letters = await store.until_delivered(2)
            (notice,) = [each for each in letters if b"Auto-Submitted" in each]
            assert told(email.message_from_bytes(notice, policy=email.policy.SMTP)) == [(BOB, "delivered")]  # type: ignore[arg-type]

    asyncio.run(run())


@pytest.mark.parametrize(
    "more", [{"direction": Direction.INBOUND, "client": Client("192.0.2.1")}, {"reverse_path": ""}]
)
def test_nobody_is_told_who_may_be_somebody_else(acme: Settings, clock: ManualClock, more: dict[str, Any]) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            given = submission(**more)
            await store.commit(given)
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            rows = (await store.admin("queue.list"))["rows"]
            is_stranger = "direction" in more
            assert [row["state"] for row in rows] == (["quarantined"] if is_stranger else [])
            await store.commit(submission(Recipient("last@far.example")))
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            assert [told(each)[0][0] for each in await notices(store, 1)] == ["last@far.example"]

    asyncio.run(run())


def test_a_notice_that_leaves_goes_to_the_relay_and_is_never_answered(acme: Settings, clock: ManualClock) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            await store.commit(submission(reverse_path="bob@elsewhere.example"))
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            found: list[Work] = []

            async def leased() -> bool:
                found.extend(await lease(store))
                return bool(found)

            await until(leased)
            (notice,) = found
            assert (notice.envelope.reverse_path, notice.destination) == ("", "elsewhere.example")
            assert (notice.inline or b"").startswith(b"From: Mail Delivery <postmaster@mx.gateway.example>\r\n")
            await record(store, (notice, BOUNCED))
            assert (await store.admin("queue.list"))["rows"] == []

    asyncio.run(run())


def test_a_sender_who_is_gone_is_written_off(acme: Settings, clock: ManualClock) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            given = submission(reverse_path="nobody@acme.example")
            await store.commit(given)
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            await until(lambda: is_settled(store, given.envelope.queue_id))
            assert store.delivered() == []

    asyncio.run(run())


CLEAN = Inspection((PartReport("1", "", "", "", 1, "", Verdict.CLEAN),))
INFECTED = Inspection((PartReport("1", "", "", "", 1, "", Verdict.INFECTED, "Test"),))


@pytest.mark.parametrize(
    ("inspection", "requiretls", "is_whole"),
    [(CLEAN, False, True), (CLEAN, True, False), (INFECTED, False, False), (None, False, False)],
)
def test_only_clean_mail_comes_back_whole(
    acme: Settings, clock: ManualClock, inspection: Inspection | None, requiretls: bool, is_whole: bool
) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            given = submission(ret="FULL", requiretls=requiretls)
            given = NewEntry(given.envelope, given.decision, given.prefix, given.inline, inspection=inspection)
            await store.commit(given)
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            (notice,) = await notices(store, 1)
            returned = list(notice.iter_parts())[2]
            assert returned.get_content_type() == ("message/rfc822" if is_whole else "text/rfc822-headers")

    asyncio.run(run())


def test_a_large_content_stays_until_the_notice_is_written(acme: Settings, clock: ManualClock) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            large = staged(acme.staging_dir / "m", b"Subject: large\r\n\r\n" + b"x\r\n" * 99_000)
            sent = submission()
            await store.commit(
                NewEntry(sent.envelope, sent.decision, sent.prefix, staged=large.staged, body_size=large.body_size)
            )
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            (notice,) = await notices(store, 1)
            assert "Subject: large" in str(list(notice.iter_parts())[2].get_payload())
            await until(lambda: not Path(work.file).exists())

    asyncio.run(run())


def test_notices_speak_the_language_of_the_tenant(acme: Settings, clock: ManualClock, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    (policies / "tenants").mkdir(parents=True)
    (policies / "gateway.toml").write_text("")
    (policies / "tenants" / "acme.toml").write_text('language = "de"\n')

    async def run() -> None:
        async with relaying(acme.model_copy(update={"policy_dir": policies}), clock) as store:
            await store.commit(submission())
            (work,) = await lease(store)
            await record(store, (work, BOUNCED))
            (notice,) = await notices(store, 1)
            assert notice["Subject"] == "Nicht zugestellt: Ihre Nachricht an kim@far.example"

    asyncio.run(run())


def test_what_was_owed_at_the_end_is_told_after_the_start(acme: Settings, clock: ManualClock) -> None:
    spool = open_spool(acme)
    spool.write(lambda held: held.keep(accepted(submission()), NOW, "", 0))
    (attempt,) = spool.write(lambda held: held.lease(Route.RELAY, "gone", 1, NOW, 60))
    spool.write(lambda held: held.record([Finished(attempt, BOUNCED)], NOW))
    spool.write(lambda held: held.record([Finished(attempt, BOUNCED)], NOW))
    spool.close()

    async def run() -> None:
        for _ in range(2):
            async with relaying(acme, clock) as store:
                (notice,) = await notices(store, 1)
                assert told(notice) == [("kim@far.example", "failed")]

    asyncio.run(run())


@pytest.mark.parametrize("requiretls", [True, False])
def test_a_notice_asks_for_the_transport_of_its_mail(acme: Settings, clock: ManualClock, requiretls: bool) -> None:
    async def run() -> None:
        async with relaying(acme, clock) as store:
            await store.commit(submission(reverse_path="bob@routed.example", requiretls=requiretls))
            (work,) = await lease(store)
            await record(store, (work, Outcome(State.BOUNCED, "no promise", 0, "5.7.30")))
            leased: list[Work] = []
            while not leased:
                leased += await lease(store)
            assert leased[0].envelope.reverse_path == ""
            assert leased[0].envelope.requiretls is requiretls

    asyncio.run(run())
