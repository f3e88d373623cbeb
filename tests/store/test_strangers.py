"""The negative test of access: every command, given by those whom it does not concern, finds nothing.

What is another's reads byte for byte like what does not exist, and no answer names it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from mailgate.ipc.frames import Calls
from mailgate.model.decision import Action
from mailgate.model.envelope import Client, Direction, MailboxId, Recipient
from mailgate.model.errors import MailgateError
from mailgate.settings import Settings
from mailgate.store.commands.permissions import RULES
from mailgate.tenancy.access.break_glass import LONGEST_HOURS
from tests.spool.making import NOW, entry
from tests.store.running import PASSWORD, Store, add_people, running, until
from tests.store.test_callers import give, line, log_in
from tests.support.clock import ManualClock

BOB, CAROL, ALICE, DAVE, EVE = (
    *(f"{name}@acme.example" for name in ("bob", "carol", "alice", "dave")),
    "eve@bcme.example",
)
TEAM, SQUAD = "team@acme.example", "squad@acme.example"
NO_ID = "1mcc5rm0000000zz"

# Every command, aimed at what is bob's: {t} tenant, {d} domain, {u} bob, {m} the shared mailbox, {a} its alias,
# {q} mail in it.
AIMED: dict[str, dict[str, Any]] = {
    "tenant.add": {"name": "{t}", "domains": ["{d}"]},
    "tenant.list": {},
    "tenant.show": {"name": "{t}"},
    "tenant.migrate": {"name": "{t}"},
    "tenant.disable": {"name": "{t}"},
    "tenant.enable": {"name": "{t}"},
    "tenant.remove": {"name": "{t}"},
    "tenant.domain.add": {"tenant": "{t}", "domain": "more.example"},
    "tenant.domain.remove": {"tenant": "{t}", "domain": "{d}"},
    "user.add": {"tenant": "{t}", "login": "new@{d}", "password": PASSWORD},
    "directory.export": {"tenant": "{t}"},
    "directory.compare": {"tenant": "{t}", "text": "", "source": "acme.toml"},
    "directory.apply": {"tenant": "{t}", "text": "", "source": "acme.toml", "plan": ""},
    "user.import": {"tenant": "{t}", "rows": [{"login": "{u}"}, {"login": "new@{d}"}]},
    "user.import-check": {"tenant": "{t}", "rows": [{"login": "{u}"}, {"login": "new@{d}"}]},
    "user.list": {"tenant": "{t}"},
    "user.passwd": {"login": "{u}", "password": PASSWORD},
    "user.disable": {"login": "{u}"},
    "user.enable": {"login": "{u}"},
    "user.unlock": {"login": "{u}"},
    "user.role": {"login": "{u}", "role": "administrator"},
    "user.remove": {"login": "{u}"},
    "user.leave": {"login": "{u}"},
    "user.release": {"login": "{u}"},
    "user.logins": {"login": "{u}"},
    "apppassword.add": {"login": "{u}", "name": "phone"},
    "apppassword.list": {"login": "{u}"},
    "apppassword.revoke": {"login": "{u}", "id": "1"},
    "group.add": {"tenant": "{t}", "name": "sales", "users": ["{u}"]},
    "group.remove": {"tenant": "{t}", "name": "sales"},
    "group.list": {"tenant": "{t}"},
    "group.member.add": {"tenant": "{t}", "name": "sales", "user": "{u}"},
    "group.member.remove": {"tenant": "{t}", "name": "sales", "user": "{u}"},
    "mailbox.add": {"tenant": "{t}", "address": "new@{d}", "users": ["{u}"]},
    "mailbox.list": {"tenant": "{t}"},
    "mailbox.show": {"mailbox": "{m}"},
    "mailbox.path": {"mailbox": "{m}"},
    "mailbox.assign": {"mailbox": "{m}", "user": "{u}"},
    "mailbox.unassign": {"mailbox": "{m}", "user": "{u}"},
    "mailbox.rights": {"mailbox": "{m}", "user": "{u}", "rights": "read"},
    "mailbox.quota": {"mailbox": "{m}", "quota": 1000},
    "mailbox.enable": {"mailbox": "{m}"},
    "mailbox.disable": {"mailbox": "{m}"},
    "mailbox.remove": {"mailbox": "{m}"},
    "mailbox.erase": {"mailbox": "{m}"},
    "alias.add": {"tenant": "{t}", "address": "x@{d}", "targets": ["{m}"]},
    "alias.extend": {"address": "{a}", "forwards": ["x@elsewhere.example"]},
    "alias.shrink": {"address": "{a}", "targets": ["{m}"]},
    "alias.list": {"tenant": "{t}"},
    "alias.remove": {"address": "{a}"},
    "dkim.create": {"domain": "{d}"},
    "dkim.rotate": {"domain": "{d}"},
    "dkim.list": {"domain": "{d}"},
    "dkim.seen": {"domain": "{d}", "selectors": ["s"]},
    "breakglass.request": {"mailbox": "{m}", "reason": "curious", "hours": 1},
    "breakglass.confirm": {"tenant": "{t}", "id": "x"},
    "breakglass.end": {"tenant": "{t}", "id": "x"},
    "breakglass.list": {"tenant": "{t}"},
    "operator.add": {"name": "eve", "key": "x"},
    "operator.list": {},
    "operator.remove": {"name": "eve"},
    "audit.list": {"tenant": "{t}"},
    "audit.verify": {"tenant": "{t}"},
    **{f"queue.{verb}": {"id": "{q}"} for verb in ("show", "retry", "hold", "release", "delete")},
    **{f"queue.{verb}-chosen": {"tenant": "{t}"} for verb in ("retry", "hold", "release", "delete")},
    "queue.list": {"tenant": "{t}"},
    "queue.summary": {"tenant": "{t}"},
    "quarantine.list": {"tenant": "{t}"},
    "quarantine.show": {"tenant": "{t}", "id": "{q}"},
    "quarantine.release": {"tenant": "{t}", "id": "{q}"},
    "quarantine.delete": {"tenant": "{t}", "id": "{q}"},
    "inspection.report": {"tenant": "{t}"},
    "dmarc.summary": {"tenant": "{t}", "domain": "{d}"},
    "transport.report": {"tenant": "{t}"},
    "trace": {"id": "{q}"},
    "policy.reload": {},
    "policy.show": {},
    "settings.show": {},
    "clock.show": {},
    "clock.confirm": {},
}
# To ask for access in an emergency one must name the mailbox: this one answer tells an administrator that it exists.
NAMES_IT = {"breakglass.request"}


@dataclass(frozen=True, slots=True)
class Names:
    """What the placeholders of AIMED stand for."""

    t: str
    d: str
    u: str
    m: str
    a: str
    q: str

    def fill(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self.fill(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        return (
            value.format(**{name: getattr(self, name) for name in self.__slots__}) if isinstance(value, str) else value
        )

    def blanked(self, text: str) -> str:
        """The text without what was given, so that two answers can be compared."""
        for name in sorted(asdict(self).values(), key=len, reverse=True):
            text = text.replace(name, "*")
        return text


async def answer(calls: Calls, command: str, arguments: dict[str, Any]) -> tuple[str, str]:
    """Kind and text of the error, or `ok` and the result."""
    try:
        return "ok", json.dumps(await give(calls, command, **arguments))
    except MailgateError as error:
        return type(error).__name__, str(error)


@dataclass(slots=True)
class Scene:
    store: Store
    clock: ManualClock
    real: Names
    secrets: list[str]

    @asynccontextmanager
    async def as_user(self, login: str) -> AsyncIterator[Calls]:
        async with line(self.store) as calls:
            await log_in(calls, login)
            yield calls


@asynccontextmanager
async def scene(settings: Settings) -> AsyncIterator[Scene]:
    """bob alone uses the shared mailbox team, with mail in quarantine for it; alice and dave are administrators, carol
    uses nothing but the own mailbox; eve is the administrator of another tenant."""
    clock = ManualClock(NOW)
    async with running(settings, clock=clock) as store:
        await store.admin("tenant.add", name="bcme", domains=["bcme.example"])
        for login in (CAROL, ALICE, DAVE, EVE):
            await store.admin("user.add", tenant=login.split("@")[1].split(".")[0], login=login, password=PASSWORD)
        for login in (ALICE, DAVE, EVE):
            await store.admin("user.role", login=login, role="administrator")
        team = await store.admin("mailbox.add", tenant="acme", address=TEAM, users=[BOB])
        await store.admin("alias.add", tenant="acme", address=SQUAD, targets=[TEAM])
        to_team = Recipient(TEAM, (MailboxId(team["id"]),))
        given = entry(to_team, action=Action.QUARANTINE, at=clock())
        sent = entry(
            Recipient("kim@far.example"),
            action=Action.HOLD,
            at=clock(),
            direction=Direction.OUTBOUND,
            reverse_path=BOB,
            client=Client("192.0.2.1", account=BOB),
        )
        await store.commit(given, sent)
        queue_id = given.envelope.queue_id
        secrets = [TEAM, SQUAD, team["id"], queue_id, sent.envelope.queue_id, "kim@far.example"]
        yield Scene(store, clock, Names("acme", "acme.example", BOB, TEAM, SQUAD, queue_id), secrets)


@pytest.fixture
def acme(settings: Settings) -> Settings:
    add_people(settings)
    return settings


def test_every_command_is_aimed() -> None:
    assert set(AIMED) == set(RULES)


async def state_of(store: Store) -> str:
    tenants = [await store.admin("tenant.list")]
    listed = [await store.admin(f"{what}.list", tenant="acme") for what in ("user", "mailbox", "alias")]
    return json.dumps(tenants + listed)


def test_another_tenants_administrator_finds_nothing(acme: Settings) -> None:
    absent = Names("nome", "nome.example", "bob@nome.example", "team@nome.example", "squad@nome.example", NO_ID)

    async def run() -> None:
        async with scene(acme) as given, given.as_user(EVE) as eve:
            before = await state_of(given.store)
            for command, arguments in AIMED.items():
                aimed = await answer(eve, command, given.real.fill(arguments))
                nothing = await answer(eve, command, absent.fill(arguments))
                assert given.real.blanked(str(aimed)) == absent.blanked(str(nothing)), command
                named = json.dumps(given.real.fill(arguments))
                assert not [word for word in (*given.secrets, "acme", "bob") if word in aimed[1] and word not in named]
            assert await state_of(given.store) == before

    asyncio.run(run())


@pytest.mark.parametrize("login", [CAROL, ALICE])
def test_a_private_mailbox_does_not_exist_for_others_of_the_tenant(acme: Settings, login: str) -> None:
    absent = Names("acme", "acme.example", BOB, "none@acme.example", "none2@acme.example", NO_ID)

    async def run() -> None:
        async with scene(acme) as given, given.as_user(login) as calls:
            for command, arguments in AIMED.items():
                is_aimed = any(mark in json.dumps(arguments) for mark in ("{m}", "{a}", "{q}"))
                if command in NAMES_IT or not is_aimed:
                    continue
                aimed = await answer(calls, command, given.real.fill(arguments))
                nothing = await answer(calls, command, absent.fill(arguments))
                assert aimed[0] != "ok", command
                assert given.real.blanked(str(aimed)) == absent.blanked(str(nothing)), command
            await finds_nothing(given, calls)

    asyncio.run(run())


async def finds_nothing(given: Scene, calls: Calls) -> None:
    """In all that lists or counts."""
    for command in ("list", "show", "report", "summary", "verify"):
        for name, arguments in AIMED.items():
            if name.endswith(f".{command}") and "id" not in arguments and "mailbox" not in arguments:
                _, text = await answer(calls, name, given.real.fill(arguments))
                assert not [word for word in given.secrets if word in text], name


def test_access_in_an_emergency_is_seen_and_ends(acme: Settings) -> None:
    async def run() -> None:
        async with scene(acme) as given, given.as_user(ALICE) as alice, given.as_user(DAVE) as dave:
            given.clock.advance(7 * 86_400)  # dave has been an administrator for so long
            asked = await give(alice, "breakglass.request", mailbox=TEAM, reason="bob is ill", hours=1)
            await finds_nothing_of_the_mailbox(given, alice)
            kind, text = await answer(alice, "breakglass.confirm", {"id": asked["id"]})
            assert (kind, "another administrator" in text) == ("ConflictError", True)
            await give(dave, "breakglass.confirm", id=asked["id"])

            assert (await give(alice, "mailbox.show", mailbox=TEAM))["address"] == TEAM
            assert len((await give(alice, "quarantine.list"))["rows"]) == 1
            assert (await give(alice, "trace", id=given.real.q))[0]["recipients"] == [TEAM]
            await finds_nothing_of_the_mailbox(given, dave)
            async with given.as_user(BOB) as bob:
                (listed,) = await give(bob, "breakglass.list")
                assert (listed["state"], listed["requested_by"], listed["reason"]) == ("open", ALICE, "bob is ill")
            inbox = Path(await given.store.admin("mailbox.path", mailbox=TEAM)) / "new"
            await until(lambda: any(b"bob is ill" in path.read_bytes() for path in inbox.iterdir()))

            given.clock.advance(3601)
            await finds_nothing_of_the_mailbox(given, alice)
            log = await given.store.admin("audit.list", tenant="acme", object=TEAM)
            actions = [(each["action"], each["actor"]) for each in log if each["action"].startswith("breakglass")]
            assert actions == [("breakglass.request", ALICE), ("breakglass.confirm", DAVE)]

    asyncio.run(run())


async def finds_nothing_of_the_mailbox(given: Scene, calls: Calls) -> None:
    for command, arguments in (("mailbox.show", {"mailbox": TEAM}), ("trace", {"id": given.real.q})):
        assert (await answer(calls, command, arguments))[0] == "NotFoundError"
    for command in ("mailbox.list", "quarantine.list", "queue.list"):
        assert not [word for word in given.secrets if word in json.dumps(await give(calls, command))]


def test_a_user_ends_what_was_opened(acme: Settings) -> None:
    async def run() -> None:
        async with scene(acme) as given, given.as_user(ALICE) as alice, given.as_user(DAVE) as dave:
            given.clock.advance(7 * 86_400)  # dave has been an administrator for so long
            asked = await give(alice, "breakglass.request", mailbox=TEAM, reason="r", hours=LONGEST_HOURS)
            await give(dave, "breakglass.confirm", id=asked["id"])
            async with given.as_user(CAROL) as carol:
                assert await give(carol, "breakglass.list") == []
                assert await answer(carol, "breakglass.end", {"id": asked["id"]}) == (
                    "NotFoundError",
                    f"there is no request {asked['id']!r} at tenant acme",
                )
            async with given.as_user(BOB) as bob:
                assert (await give(bob, "breakglass.end", id=asked["id"]))["state"] == "ended"
            await finds_nothing_of_the_mailbox(given, alice)

    asyncio.run(run())


def test_the_last_who_goes_leaves_it_private(acme: Settings) -> None:
    async def run() -> None:
        async with scene(acme) as given, given.as_user(ALICE) as alice:
            await given.store.admin("mailbox.unassign", mailbox=TEAM, user=BOB)
            await finds_nothing(given, alice)
            assert (await answer(alice, "mailbox.assign", {"mailbox": TEAM, "user": ALICE}))[0] == "NotFoundError"

    asyncio.run(run())


def test_a_recipient_learns_of_no_other(acme: Settings) -> None:
    async def run() -> None:
        async with scene(acme) as given, given.as_user(CAROL) as carol, given.as_user(BOB) as bob:
            boxes = {box["address"]: box["id"] for box in await given.store.admin("mailbox.list", tenant="acme")}
            both = [Recipient(login, (MailboxId(boxes[login]),)) for login in (CAROL, BOB)]
            mail = entry(*both, action=Action.QUARANTINE, at=given.clock())
            await given.store.commit(mail)
            name = mail.envelope.queue_id
            for command in ("trace", "quarantine.show"):
                seen = json.dumps(await give(carol, command, id=name))
                assert CAROL in seen
                assert not [word for word in (BOB, boxes[BOB]) if word in seen]
            moved = await give(carol, "quarantine.delete", id=name)
            assert moved["changed"] == [CAROL]
            assert [row["forward_path"] for row in (await give(bob, "quarantine.list"))["rows"]] == [TEAM, BOB]

    asyncio.run(run())


def test_a_sender_follows_the_own_mail(acme: Settings) -> None:
    async def run() -> None:
        async with scene(acme) as given, given.as_user(BOB) as bob:
            (row,) = (await give(bob, "queue.list", state="held"))["rows"]
            assert row["forward_path"] == "kim@far.example"
            assert (await give(bob, "trace", id=row["queue_id"]))[0]["recipients"] == ["kim@far.example"]

    asyncio.run(run())
