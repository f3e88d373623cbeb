"""Senders are told of what is withheld: at once, before it expires, and when it does."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as replace_in

from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Client, Recipient
from mailgate.settings import Settings
from mailgate.spool.coverage import DAY
from mailgate.store.commands import offline
from mailgate.store.holding import retention
from mailgate.store.holding.retention import Retention
from mailgate.store.notices.owed import Notices
from mailgate.store.notices.withheld import Withheld
from tests.queue.inspectors import CLEAN
from tests.queue.making import BOB, submission
from tests.spool.making import NOW
from tests.store.running import PASSWORD, Store, running, until
from tests.support.clock import ManualClock

EVE = "eve@acme.example"
KIM = Recipient("kim@far.example")
MACRO = Decision(Action.QUARANTINE, 'gateway.toml: attachments[1] "macros"', 'the attachment "a.xlsm" has macros', "v1")
PASSES = Decision(Action.ACCEPT, "built-in: clean", "every part was scanned and is clean", "v1")
SCANNED_LATER = Decision(Action.HOLD, "gateway.toml: scanning.scanner_down", "kept until it can be scanned", "v1")


class Rounds:
    """Counts how often each of those that look has looked."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def counting(self, name: str, look: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted(*arguments: Any) -> Any:
            result = await look(*arguments)
            self.of[name] += 1
            return result

        return counted

    async def pass_by(self) -> None:
        """Two whole rounds of each; what is due now is told then."""
        for _ in range(2):  # what one puts on record another writes
            wanted = {name: self.of[name] + 2 for name in ("withheld", "owed", "sweep")}
            await until(partial(self._reached, wanted))

    def _reached(self, wanted: dict[str, int]) -> bool:
        return all(self.of[name] >= count for name, count in wanted.items())


@pytest.fixture(autouse=True)
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    made = Rounds()
    monkeypatch.setattr(Withheld, "look", made.counting("withheld", Withheld.look))
    monkeypatch.setattr(Notices, "_write_owed", made.counting("owed", Notices._write_owed))
    monkeypatch.setattr(Retention, "_sweep", made.counting("sweep", Retention._sweep))
    monkeypatch.setattr("mailgate.store.notices.withheld.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("mailgate.store.notices.owed.IDLE_SECONDS", 0.01)
    monkeypatch.setattr(retention, "SWEEP_SECONDS", 0.01)
    return made


@pytest.fixture
def settings(acme: Settings, tmp_path: Path) -> Iterator[Settings]:
    """With an administrator, and the policies that are built in."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "gateway.toml").touch()
    made = acme.model_copy(update={"policy_dir": tmp_path / "policies"})
    offline.run_alone(made, "user.add", {"tenant": "acme", "login": EVE, "password": PASSWORD})
    offline.run_alone(made, "user.role", {"login": EVE, "role": "administrator"})
    yield made


async def withhold(store: Store, *recipients: Recipient, decision: Decision = MACRO, **more: Any) -> str:
    given = submission(*(recipients or (KIM,)), **more)
    await store.commit(replace_in(given, decision=decision, inspection=CLEAN))
    return given.envelope.queue_id


def notices(store: Store, settings: Settings) -> list[EmailMessage]:
    """In all mailboxes, oldest first."""
    found = sorted(settings.data_dir.glob("tenants/*/mail/*/new/*"), key=lambda path: path.name)
    parsed = [email.message_from_bytes(path.read_bytes(), policy=email.policy.SMTP) for path in found]
    return [each for each in parsed if isinstance(each, EmailMessage)]


def told(notice: EmailMessage) -> tuple[str, str, str]:
    fields = next(part for part in notice.walk() if part["Action"])
    return str(notice["To"]), str(fields["Action"]), str(fields["Status"])


def text_of(notice: EmailMessage) -> str:
    return " ".join(
        next(part for part in notice.walk() if part.get_content_type() == "text/plain").get_content().split()
    )


def test_a_sender_is_told_at_once_again_and_at_the_end(settings: Settings, rounds: Rounds) -> None:
    clock = ManualClock(NOW)

    async def run() -> None:
        async with running(settings, clock=clock) as store:
            name = await withhold(store, KIM, Recipient("pat@far.example"), ret="FULL")
            await until(lambda: len(notices(store, settings)) == 1)
            (first,) = notices(store, settings)
            assert told(first) == (BOB, "delayed", "4.7.1")
            assert first["Subject"] == "Held back: your message to kim@far.example and 1 more"
            assert 'the attachment "a.xlsm" has macros' in text_of(first)
            assert name in text_of(first)
            clock.advance(26 * DAY)
            await rounds.pass_by()
            assert len(notices(store, settings)) == 1
            clock.advance(1.5 * DAY)
            await until(lambda: len(notices(store, settings)) == 2)
            assert told(notices(store, settings)[1])[1:] == ("delayed", "4.7.1")
            clock.advance(3 * DAY)
            await until(lambda: len(notices(store, settings)) == 3)
            last = notices(store, settings)[2]
            assert told(last) == (BOB, "failed", "5.7.1")
            assert "nobody released it" in text_of(last)
            assert [part.get_content_type() for part in last.walk()][-2:] == ["message/rfc822", "text/plain"]
            assert (await store.admin("quarantine.list", tenant="acme"))["rows"] == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("notify", "actions"),
    [
        (("NEVER",), []),
        (("FAILURE",), ["failed"]),
        (("DELAY",), ["delayed", "delayed"]),
        (("SUCCESS",), []),
        ((), ["delayed", "delayed", "failed"]),
    ],
)
def test_they_hear_what_they_asked_for(
    settings: Settings, rounds: Rounds, notify: tuple[str, ...], actions: list[str]
) -> None:
    clock = ManualClock(NOW)

    async def run() -> None:
        async with running(settings, clock=clock) as store:
            await withhold(store, Recipient("kim@far.example", notify=notify))
            for days in (0, 28, 3):
                clock.advance(days * DAY)
                await rounds.pass_by()

            async def is_over() -> bool:
                return not (await store.admin("quarantine.list", tenant="acme"))["rows"]

            await until(is_over)
            await until(lambda: len(notices(store, settings)) == len(actions))
            assert [told(each)[1] for each in notices(store, settings)] == actions

    asyncio.run(run())


@pytest.mark.parametrize(
    ("more", "reader"),
    [
        ({"reverse_path": ""}, BOB),
        ({"reverse_path": "", "client": Client("192.0.2.9")}, EVE),
        ({"reverse_path": "printer@acme.example", "client": Client("192.0.2.9")}, EVE),
        ({"reverse_path": BOB, "client": Client("192.0.2.9")}, BOB),
    ],
)
def test_somebody_is_told_whatever_it_came_from(settings: Settings, more: dict[str, Any], reader: str) -> None:
    """A read receipt; a tenant's own server, behind whose addresses there may be no person."""
    clock = ManualClock(NOW)

    async def run() -> None:
        async with running(settings, clock=clock) as store:
            await withhold(store, **more)
            await until(lambda: len(notices(store, settings)) == 1)
            assert told(notices(store, settings)[0])[0] == reader

    asyncio.run(run())


def test_deletion_by_an_administrator_is_told(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings, clock=ManualClock(NOW)) as store:
            name = await withhold(store)
            await until(lambda: len(notices(store, settings)) == 1)
            await store.admin("quarantine.delete", id=name, tenant="acme", reason="not for customers")
            await until(lambda: len(notices(store, settings)) == 2)
            (last,) = [each for each in notices(store, settings) if told(each)[1] == "failed"]
            assert "not for customers" in text_of(last)

    asyncio.run(run())


def test_what_waits_for_the_scanner_is_told_after_hours_and_once(settings: Settings, rounds: Rounds) -> None:
    clock = ManualClock(NOW)

    async def run() -> None:
        async with running(settings, clock=clock) as store:
            await withhold(store, decision=SCANNED_LATER)
            await rounds.pass_by()
            assert notices(store, settings) == []
            clock.advance(5 * 3600)
            await until(lambda: len(notices(store, settings)) == 1)
            (notice,) = notices(store, settings)
            assert told(notice)[1:] == ("delayed", "4.7.1")
            assert notice["Subject"].startswith("Waiting: ")
            clock.advance(DAY)
            await rounds.pass_by()
            assert len(notices(store, settings)) == 1

    asyncio.run(run())


def test_the_owner_of_an_account_that_may_be_taken_over_is_not_told(settings: Settings) -> None:
    clock = ManualClock(NOW)

    async def run() -> None:
        async with running(settings, clock=clock) as store:
            name = await withhold(store, decision=PASSES)
            await store.admin("queue.hold", id=name, reason=f"{BOB} sent unusually much: 300 messages")
            clock.advance(5 * 3600)
            other = await withhold(store, Recipient("pat@far.example"), decision=SCANNED_LATER)
            clock.advance(5 * 3600)
            await until(lambda: len(notices(store, settings)) == 1)
            assert other in text_of(notices(store, settings)[0])

    asyncio.run(run())
