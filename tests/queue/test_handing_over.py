"""What its owner may not release goes to the administrators, by an answer to the notice; they release it so too."""

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

from mailgate.ipc.calls import Done, HandedOver, ReleaseOwn
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import MailboxId, Recipient, TenantName
from mailgate.model.errors import ConflictError, NotFoundError
from mailgate.model.release_address import Claim, release_address
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.commands.on_spool.view import View
from mailgate.tenancy.directory import Directory
from tests.queue.inspectors import CLEAN, INFECTED, FakeInspector
from tests.queue.making import BOB, submission
from tests.queue.test_own_release import ENCRYPTED, LOCKED
from tests.spool.making import NOW, entry
from tests.store.running import PASSWORD, Store, running, until
from tests.support.clock import ManualClock

EVE, ANN = "eve@acme.example", "ann@acme.example"
MACRO = Decision(Action.QUARANTINE, 'gateway.toml: attachments[1] "macros"', 'the attachment "a.xlsm" has macros', "v1")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgate.store.notices.waiting_mail.LOOK_SECONDS", 0.01)


@pytest.fixture
def with_policy(acme: Settings, tmp_path: Path) -> Callable[[str], Settings]:
    """bob; eve, who administers; ann, who does not."""

    def made(gateway: str = "") -> Settings:
        (tmp_path / "policies").mkdir()
        (tmp_path / "policies" / "gateway.toml").write_text(gateway)
        settings = acme.model_copy(update={"inspectors": 1, "policy_dir": tmp_path / "policies"})
        for login in (EVE, ANN):
            offline.run_alone(settings, "user.add", {"tenant": "acme", "login": login, "password": PASSWORD})
        offline.run_alone(settings, "user.role", {"login": EVE, "role": "administrator"})
        return settings

    return made


def notices(settings: Settings, to: str) -> list[EmailMessage]:
    found = sorted(settings.data_dir.glob("tenants/*/mail/*/new/*"), key=lambda path: path.name)
    parsed = [email.message_from_bytes(path.read_bytes(), policy=email.policy.SMTP) for path in found]
    return [each for each in parsed if isinstance(each, EmailMessage) and each["To"] == to and each["Auto-Submitted"]]


def answer_to(notice: EmailMessage) -> str:
    return str(notice["Reply-To"].addresses[0].addr_spec).partition("@")[0]


async def keep(store: Store, decision: Decision) -> str:
    given = entry(Recipient(BOB, (store.mailbox,)), Recipient("bob+x@acme.example", (store.mailbox,)))
    await store.commit(replace_in(given, decision=decision, inspection=LOCKED if decision is ENCRYPTED else CLEAN))
    return given.envelope.queue_id


async def waiting(store: Store) -> list[str]:
    return [row["forward_path"] for row in (await store.admin("quarantine.list", tenant="acme"))["rows"]]


async def handed(store: Store, settings: Settings, name: str) -> str:
    """Bob answers the notice; the local part that eve is told to answer to."""
    local = await own(settings, name)
    assert await store.call(ReleaseOwn(BOB, local)) == HandedOver()
    await until(lambda: notices(settings, EVE))
    assert answer_to(notices(settings, EVE)[0]) == local
    return local


def test_an_administrator_is_asked_and_releases_by_answering(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy('language = "de"\n')

    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            name = await keep(store, MACRO)
            local = await handed(store, settings, name)
            (asked,) = notices(settings, EVE)
            assert asked["Subject"] == f"{BOB} bittet Sie um die Freigabe einer Nachricht"
            assert "a.xlsm" in asked.get_content()
            with pytest.raises(NotFoundError):
                await store.call(ReleaseOwn(ANN, local))
            with FakeInspector(settings.inspector_path(0), CLEAN):
                assert await store.call(ReleaseOwn(EVE, local)) == Done()
            assert await waiting(store) == ["bob+x@acme.example"], "what was handed over and nothing else"
            entries = await store.admin("audit.list", tenant="acme")
            deeds = [(each["actor"], each["action"]) for each in entries if each["action"].startswith("quarantine.")]
            assert sorted(deeds) == [(BOB, "quarantine.hand-over"), (EVE, "quarantine.release")]
            (timeline,) = await store.admin("trace", id=name)
            assert [event["kind"] for event in timeline["events"]].count("handed") == 1

    asyncio.run(run())


def test_infected_mail_stays_whoever_answers(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy("")

    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            name = await keep(store, MACRO)
            local = await handed(store, settings, name)
            with FakeInspector(settings.inspector_path(0), INFECTED), pytest.raises(ConflictError, match="infected"):
                await store.call(ReleaseOwn(EVE, local))
            known = await keep(store, replace(MACRO, rule="built-in: scanning.infected"))
            with pytest.raises(ConflictError):
                await store.call(ReleaseOwn(BOB, await own(settings, known)))
            assert len(await waiting(store)) == 4

    asyncio.run(run())


async def own(settings: Settings, name: str, number: int = 0) -> str:
    directory = Directory(settings.data_dir)
    key = directory.release_key("acme")
    directory.close()
    return release_address(Claim(name, number), "acme.example", key).partition("@")[0]  # type: ignore[arg-type]


def test_an_administrator_has_nothing_of_it_before_it_is_handed_over(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy("")

    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            name = await keep(store, MACRO)
            with pytest.raises(NotFoundError):
                await store.call(ReleaseOwn(EVE, await own(settings, name)))

    asyncio.run(run())


def test_the_notice_says_what_an_answer_does(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy("[quarantine]\nrecipients_release = []\n")

    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            await keep(store, ENCRYPTED)
            await until(lambda: len(notices(settings, BOB)) == 2)
            text = " ".join(notices(settings, BOB)[0].get_content().split())
            assert "Your administrators are asked to release it" in text
            assert "mailgate quarantine" not in text
            assert await store.call(ReleaseOwn(BOB, answer_to(notices(settings, BOB)[0]))) == HandedOver()

    asyncio.run(run())


def test_who_sent_what_is_held_can_ask_for_it(with_policy: Callable[[str], Settings]) -> None:
    settings = with_policy("")

    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            given = submission(Recipient("kim@far.example"), Recipient("pat@far.example"))
            await store.commit(replace_in(given, decision=MACRO, inspection=CLEAN))
            await until(lambda: notices(settings, BOB))
            local = answer_to(notices(settings, BOB)[0])
            with pytest.raises(NotFoundError):
                await store.call(ReleaseOwn(ANN, local))
            assert await store.call(ReleaseOwn(BOB, local)) == HandedOver()
            with FakeInspector(settings.inspector_path(0), CLEAN):
                assert await store.call(ReleaseOwn(EVE, local)) == Done()
            assert await waiting(store) == [], "all that leaves goes on"

    asyncio.run(run())


def test_commands_show_administrators_what_was_handed_to_them() -> None:
    box, other = MailboxId("t-bob"), MailboxId("t-ann")
    envelope = entry(Recipient(BOB, (box,)), Recipient(ANN, (other,))).envelope
    before = View(TenantName("acme"), EVE, frozenset(), is_administrator=True)
    after = replace(before, handed=frozenset({(envelope.queue_id, BOB)}))
    assert before.shown(envelope) is None
    shown = after.shown(envelope)
    assert shown is not None
    assert shown.recipients == (Recipient(BOB, (box,)),), "nobody else's"
    assert after.holds(shown, BOB, box)
    assert not after.holds(shown, ANN, other)
