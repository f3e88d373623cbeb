"""`trace ADDRESS` tells why somebody was refused: operators all, others what is about their own."""

from __future__ import annotations

import asyncio
import json

import pytest

from mailgate.ipc.calls import Done, KeepTurnedAway
from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError
from mailgate.model.turned_away import TurnedAway
from mailgate.settings import Settings
from mailgate.store.commands import offline
from mailgate.store.turned_away import owners
from tests.spool.making import NOW
from tests.store.running import PASSWORD, Store, add_people, running
from tests.store.test_callers import BOB, give, line, log_in

ADMIN, SPAMMER = "ann@acme.example", "spam@far.example"


@pytest.fixture
def two(settings: Settings) -> Settings:
    """Tenant acme with bob (private mailbox) and ann, its administrator; tenant other."""
    add_people(settings)
    offline.run_alone(settings, "user.add", {"tenant": "acme", "login": ADMIN, "password": PASSWORD})
    offline.run_alone(settings, "user.role", {"login": ADMIN, "role": "administrator"})
    offline.run_alone(settings, "tenant.add", {"name": "other", "domains": ["other.example"]})
    return settings


def away(*recipients: str, sender: str = SPAMMER, reply: str = "550 5.1.1 No such recipient here") -> TurnedAway:
    return TurnedAway(
        NOW, "mx", "192.0.2.7", "192.0.2.0/24", "pc", "", "RCPT", sender, recipients, reply, "nobody has this address"
    )


async def keep(store: Store, *found: TurnedAway) -> None:
    assert await store.call(KeepTurnedAway(found)) == Done()


async def traced(store: Store, login: str, wanted: str) -> list[str]:
    """The recipients that this caller is told of; an operator where no login is given."""
    async with line(store) as calls:
        if login:
            await log_in(calls, login)
        try:
            return [row["recipient"] for row in await give(calls, "trace", id=wanted)]
        except NotFoundError:
            return []


def test_who_sees_what(two: Settings) -> None:
    full = "452 4.2.2 Mailbox is full, try again later"

    async def run() -> None:
        async with running(two) as store:
            await keep(store, away("nobody@acme.example", "nobody@other.example", "x@elsewhere.example"))
            await keep(store, away(BOB, reply=full), away("y@elsewhere.example", sender="former@acme.example"))
            for wanted in (SPAMMER, f"<{SPAMMER}>", "SPAM@far.example"):
                assert len(await traced(store, "", wanted)) == 4
            assert len(await traced(store, "", "192.0.2.7")) == 5
            assert await traced(store, ADMIN, SPAMMER) == ["nobody@acme.example"]
            assert await traced(store, ADMIN, "192.0.2.7") == ["nobody@acme.example", "y@elsewhere.example"]
            assert await traced(store, BOB, SPAMMER) == [BOB], "whose mailbox it is"
            assert await traced(store, ADMIN, "nobody@other.example") == []
            (row,) = await store.admin("trace", id="nobody@acme.example")
            assert (row["reply"][:3], row["reason"], row["tenant"]) == ("550", "nobody has this address", "acme")

    asyncio.run(run())


def test_what_is_about_a_mailbox_that_is_switched_off_is_for_operators(two: Settings) -> None:
    async def run() -> None:
        async with running(two) as store:
            await store.admin("user.disable", login=BOB)
            await store.admin("mailbox.disable", mailbox=BOB)
            await keep(store, away(BOB, reply="550 5.2.1 Mailbox is disabled"))
            assert await traced(store, ADMIN, SPAMMER) == []
            assert await traced(store, "", SPAMMER) == [BOB]

    asyncio.run(run())


def test_it_survives_a_restart(two: Settings) -> None:
    async def run() -> None:
        async with running(two) as store:
            await keep(store, away("nobody@acme.example"))
        async with running(two) as store:
            assert await traced(store, "", "nobody@acme.example") == ["nobody@acme.example"]

    asyncio.run(run())
    listed = offline.run_alone(two, "trace", {"id": "nobody@acme.example"})
    assert "550 5.1.1" in json.dumps(listed)


@pytest.mark.parametrize(
    ("sender", "recipient", "owner"),
    [
        (SPAMMER, "x@ACME.example", "acme"),
        ("x@acme.example", "y@other.example", "other"),
        ("x@acme.example", "y@far.example", "acme"),
        ("x@acme.example", "", "acme"),
        ("<>", "", ""),
        (SPAMMER, "bad path", ""),
    ],
)
def test_whose_business_it_is(sender: str, recipient: str, owner: str) -> None:
    hosted = {"acme.example": TenantName("acme"), "other.example": TenantName("other")}
    assert owners(away(*filter(None, [recipient]), sender=sender), hosted) == {recipient: owner}
