"""Bounces of forwarded mail: a few a day to each reverse-path."""

from __future__ import annotations

import asyncio

import pytest

from mailgate.ipc.calls import Done, GetReturnPath, NewEntry, Resolve, Resolved, ReturnPath
from mailgate.model.envelope import Recipient
from mailgate.model.errors import UnavailableError
from mailgate.settings import Settings
from mailgate.store.delivery import bounces
from mailgate.store.delivery.bounces import MOST, Bounces
from tests.spool.making import entry
from tests.store.running import Store, add_people, running
from tests.support.clock import ManualClock

PATH = "srs0=abcdefghij=aa=elsewhere.example=ann@acme.example"


def bounce(forwarder: str = PATH) -> NewEntry:
    return entry(Recipient("ann@elsewhere.example", forwarder=forwarder), reverse_path="")


def test_a_reverse_path_takes_a_few_a_day_whatever_its_letters() -> None:
    clock = ManualClock()
    made = Bounces(clock)
    for _ in range(MOST):
        assert made.has_room(PATH)
        made.take([bounce()])
    assert not made.has_room(PATH.upper())
    with pytest.raises(UnavailableError):
        made.take([bounce()])
    assert made.has_room(PATH.replace("ann", "amy"))
    clock.advance(86_400.0)
    assert made.has_room(PATH)


def test_other_forwarding_is_not_counted_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounces, "MOST_PATHS", 10)
    made = Bounces(ManualClock())
    for _ in range(MOST + 1):
        made.take([bounce("bob@acme.example"), bounce("")])
    for n in range(100):
        made.take([bounce(f"srs0={n}@acme.example")])
    assert len(made._taken) == 10


async def resolved(store: Store, path: str) -> Resolved:
    local, _, domain = path.rpartition("@")
    found = await store.call(Resolve(local, domain))
    assert isinstance(found, Resolved)
    return found


def test_after_too_many_the_address_is_an_unknown_one(settings: Settings) -> None:
    add_people(settings)

    async def scenario() -> None:
        async with running(settings) as store:
            made = await store.call(GetReturnPath("acme", "bob@acme.example", "ann@elsewhere.example"))  # type: ignore[arg-type]
            assert isinstance(made, ReturnPath)
            assert (await resolved(store, made.path)).forwards == ("ann@elsewhere.example",)
            for _ in range(MOST):
                found = await resolved(store, made.path)
                assert (found.kind, found.is_limited) == ("bounce", True)
                assert await store.commit(bounce(made.path.lower())) == Done()
            assert (await resolved(store, made.path)).kind == "unknown"
            assert (await resolved(store, made.path.replace("ann", "amy"))).kind == "unknown", "a wrong tag"

    asyncio.run(scenario())
