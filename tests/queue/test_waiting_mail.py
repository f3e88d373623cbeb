"""Users are told of their mail in quarantine: at once of encrypted mail, of the rest by one digest a day."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_in

from mailgate.ipc.calls import ReleaseOwn
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import MailboxId, Recipient
from mailgate.model.verdict import Inspection, Unscanned, Verdict
from mailgate.settings import Settings
from mailgate.spool.coverage import DAY
from mailgate.store.commands import offline
from tests.queue.inspectors import CLEAN, PART, FakeInspector
from tests.spool.making import NOW, entry
from tests.store.running import PASSWORD, Store, running, until
from tests.support.clock import ManualClock

BOB, EVE = "bob@acme.example", "eve@acme.example"
ENCRYPTED = Decision(Action.QUARANTINE, "built-in: unscanned.encrypted", "it is encrypted", "v1")
LOCKED = Inspection((replace(PART, verdict=Verdict.NOT_SCANNED, reason=Unscanned.ENCRYPTED, is_attachment=True),))
MIDNIGHT = NOW - NOW % DAY
DIGEST = '[quarantine]\ndigest = "daily"\ndigest_hour = 6\n'


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgate.store.notices.waiting_mail.LOOK_SECONDS", 0.01)


@pytest.fixture
def with_policy(acme: Settings, tmp_path: Path) -> Callable[[str], Settings]:
    def made(gateway: str) -> Settings:
        (tmp_path / "policies").mkdir()
        (tmp_path / "policies" / "gateway.toml").write_text(gateway)
        return acme.model_copy(update={"inspectors": 1, "policy_dir": tmp_path / "policies"})

    return made


async def quarantine(store: Store, path: str = BOB, mailbox: str = "", decision: Decision | None = None) -> str:
    given = entry(Recipient(path, (MailboxId(mailbox or store.mailbox),)), action=Action.QUARANTINE)
    await store.commit(given if decision is None else replace_in(given, decision=decision, inspection=LOCKED))
    return given.envelope.queue_id


def notices(store: Store) -> list[EmailMessage]:
    found = [email.message_from_bytes(raw, policy=email.policy.SMTP) for raw in store.delivered()]
    return [message for message in found if isinstance(message, EmailMessage) and message["Auto-Submitted"]]


async def kinds(store: Store, name: str) -> list[str]:
    (timeline,) = await store.admin("trace", id=name)
    return [event["kind"] for event in timeline["events"]]


def test_encrypted_mail_is_told_at_once_and_released_by_the_answer(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy('language = "de"\n')

    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            name = await quarantine(store, decision=ENCRYPTED)
            await quarantine(store)
            await until(lambda: len(notices(store)) == 1)
            (notice,) = notices(store)
            assert store.delivered()[0].startswith(b"Return-Path: <>\r\n")
            assert (notice["To"], notice["Content-Language"]) == (BOB, "de")
            assert name in notice.get_content()
            assert "told" in await kinds(store, name)
            answer_to = notice["Reply-To"].addresses[0].addr_spec
            with FakeInspector(settings.inspector_path(0), CLEAN):
                await store.call(ReleaseOwn(BOB, answer_to.partition("@")[0]))
            await until(lambda: len(store.delivered()) == 2)

    asyncio.run(run())


def test_nobody_is_told_where_the_policy_says_so(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy("[quarantine]\ntell_encrypted = false\n" + DIGEST.partition("\n")[2])
    clock = ManualClock(MIDNIGHT)

    async def run() -> None:
        async with running(settings, clock=clock) as store:
            name = await quarantine(store, decision=ENCRYPTED)
            clock.advance(7 * 3600.0)
            await until(lambda: len(notices(store)) == 1)  # the digest, and that only
            assert "1 new" in notices(store)[0]["Subject"]
            assert notices(store)[0]["Reply-To"] is None
            assert (await kinds(store, name)).count("told") == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "gateway",
    [
        "[quarantine]\nrecipients_release = []\n",
        '[[attachments]]\nname = "archives wait"\naction = "quarantine"\nencrypted = true\n',
    ],
)
def test_a_release_is_offered_only_where_it_would_work(with_policy: Callable[[str], Settings], gateway: str) -> None:
    """The shipped rule of before said: for more than its encryption."""

    async def run() -> None:
        async with running(with_policy(gateway), clock=ManualClock(NOW)) as store:
            await quarantine(store, decision=ENCRYPTED)
            await until(lambda: len(notices(store)) == 1)
            (notice,) = notices(store)
            assert "scanned again and delivered" not in " ".join(notice.get_content().split())

    asyncio.run(run())


def test_one_digest_a_day_with_what_is_new_and_ones_own(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy(DIGEST)
    offline.run_alone(settings, "user.add", {"tenant": "acme", "login": EVE, "password": PASSWORD})
    clock = ManualClock(MIDNIGHT + 3600)

    async def first_day() -> str:
        async with running(settings, clock=clock) as store:
            eve = Path(admin_path(await store.admin("mailbox.path", mailbox=EVE))).name
            names = [await quarantine(store), await quarantine(store)]
            others = await quarantine(store, EVE, eve)
            gone = await quarantine(store)
            await store.admin("quarantine.delete", id=gone, tenant="acme")
            clock.advance(5 * 3600)
            await until(lambda: len(notices(store)) == 1)
            (digest,) = notices(store)
            assert digest["Subject"] == "In quarantine for you: 2 new"
            assert all(name in digest.get_content() for name in names)
            assert others not in digest.get_content()
            assert gone not in digest.get_content()
            return await quarantine(store)

    async def same_day_after_a_restart(late: str) -> None:
        async with running(settings, clock=clock) as store:
            clock.advance(3600)
            encrypted = await quarantine(store, decision=ENCRYPTED)
            # told of at once: so the worker has looked at this hour, and no second digest came
            await until(lambda: any(encrypted in notice.get_content() for notice in notices(store)))
            assert len(notices(store)) == 2
            clock.advance(DAY)
            await until(lambda: len(notices(store)) == 3)
            (second,) = [notice for notice in notices(store) if late in notice.get_content()]
            assert second["Subject"] == "In quarantine for you: 1 new"
            assert second["Date"].datetime.timestamp() == MIDNIGHT + 7 * 3600 + DAY

    asyncio.run(same_day_after_a_restart(asyncio.run(first_day())))


def admin_path(answer: object) -> str:
    assert isinstance(answer, str)
    return answer


def test_a_digest_that_was_not_kept_is_made_again(
    with_policy: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the process between composing and committing."""
    settings = with_policy(DIGEST)
    clock = ManualClock(MIDNIGHT + 7 * 3600)
    monkeypatch.setattr("mailgate.spool.telling.Telling.had_digest", _fail)

    async def fails() -> None:
        async with running(settings, clock=clock) as store:
            name = await quarantine(store)
            await until(lambda: _fail.count > 2)
            assert notices(store) == []
            assert "told" not in await kinds(store, name)

    asyncio.run(fails())
    monkeypatch.undo()

    async def works() -> None:
        async with running(settings, clock=clock) as store:
            await until(lambda: len(notices(store)) == 1)

    asyncio.run(works())


class _Failing:
    count = 0

    def __call__(self, *arguments: object) -> None:
        self.count += 1
        raise RuntimeError("the disk is gone")


_fail = _Failing()
