"""Rotation of DKIM keys by a schedule: made by the store, looked for by the relay."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from mailgate.ipc.calls import Answer, Done, GetNewKeys, KeysShown, NewKeys, Request
from mailgate.ipc.line import StoreLine
from mailgate.model.errors import UnavailableError
from mailgate.relay import key_rotation
from mailgate.store.commands.on_directory import dkim_keys
from mailgate.store.commands.on_directory.dkim_keys import KEPT_SECONDS
from mailgate.tenancy.directory import Directory
from tests.senderauth.zones import Zone
from tests.support.clock import ManualClock

DAYS = 90
DOMAIN = "acme.example"


class Store:
    """The two calls on a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.directory = Directory(folder, self.clock)
        self.directory.life.add("acme", [DOMAIN, "acme.test"])
        self.is_away = False

    async def call(self, request: Request) -> Answer:
        if self.is_away:
            raise UnavailableError("the store is away")
        match request:
            case GetNewKeys():
                return NewKeys(dkim_keys.new_keys(self.directory, "acme", DAYS))
            case KeysShown(domain=domain, selectors=selectors):
                dkim_keys.seen(self.directory, domain, selectors)
                return Done()
        raise AssertionError(request)

    def look(self, zone: Zone) -> None:
        asyncio.run(key_rotation.look(cast(StoreLine, self), zone))

    def signing(self) -> set[str]:
        return {key.selector for key in dkim_keys.keys_of(self.directory, "acme", DOMAIN).keys}

    def new(self) -> NewKeys:
        return NewKeys(dkim_keys.new_keys(self.directory, "acme", DAYS))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    dkim_keys.handlers(made.directory)["dkim.create"](domain=DOMAIN)
    yield made
    made.directory.close()


def published(keys: NewKeys, kinds: int = 2) -> Zone:
    return Zone({f"{key.selector}._domainkey.{key.domain} TXT": [key.record] for key in keys.keys[:kinds]})


def test_young_keys_are_left_alone(store: Store) -> None:
    store.clock.advance(DAYS * 86_400 - 1)
    assert store.new().keys == ()


def test_old_keys_get_successors_once(store: Store) -> None:
    old = store.signing()
    store.clock.advance(DAYS * 86_400 + 1)
    made = store.new()
    assert {key.domain for key in made.keys} == {DOMAIN}, "a domain without keys gets none"
    assert len(made.keys) == 2 and not {key.selector for key in made.keys} & old
    assert set(store.new().keys) == set(made.keys), "they wait, and no more are made"


def test_the_switch_waits_until_the_dns_shows_both(store: Store) -> None:
    old = store.signing()
    store.clock.advance(DAYS * 86_400 + 1)
    made = store.new()
    new = {key.selector for key in made.keys}
    for zone in (Zone(), published(made, kinds=1)):
        store.look(zone)
        assert store.signing() == old | new
    store.look(published(made))
    assert store.signing() == new
    assert store.new().keys == ()


def test_what_was_retired_is_deleted_a_week_later(store: Store) -> None:
    store.clock.advance(DAYS * 86_400 + 1)
    store.look(published(store.new()))
    listed = dkim_keys.handlers(store.directory)["dkim.list"]
    assert len(listed(domain=DOMAIN)) == 4
    store.clock.advance(KEPT_SECONDS + 1)
    store.look(Zone())
    assert {key["selector"] for key in listed(domain=DOMAIN)} == store.signing()


def test_a_store_that_is_away_is_asked_later(store: Store) -> None:
    store.clock.advance(DAYS * 86_400 + 1)
    zone = published(store.new())
    store.is_away = True
    store.look(zone)
    store.is_away = False
    store.look(zone)
    assert store.new().keys == ()
