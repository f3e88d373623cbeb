"""The room for messages that arrive: whose share it is, and who has to go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge.budget import STALLED_SECONDS, Budget, NoRoomError, Upload
from mailgate.edge.shedding import Shedding
from mailgate.edge.turns import Share
from tests.edge.dialogue import Client, Stage, play

MIB = 1 << 20
FLOOD = Share("acme", "192.0.2.0/24")
OTHER = Share("acme", "198.51.100.0/24")
USER = Share("acme", "192.0.2.7", is_own=True)


class Place:
    """A budget on the test's own clock. `ended` are the uploads that had to go."""

    def __init__(self, limit: int = 800) -> None:
        self.now = 1000.0
        self.budget = Budget(limit, Shedding(lambda: self.now), lambda: self.now)
        self.ended: list[Upload] = []

    def upload(self, share: Share, size: int = 0, *, declared: int = 0, most: int = 1) -> Upload:
        def end() -> None:
            self.ended.append(made)
            self.budget.close(made)

        made = self.budget.open(share, end, most, declared)
        if size:
            self.budget.take(made, size)
        return made

    def goes(self, share: Share, size: int, most: int = 1) -> bool:
        upload = self.upload(share, most=most)
        try:
            self.budget.take(upload, size)
        except NoRoomError:
            self.budget.close(upload)
            return False
        return True


def network(number: int, tenant: str = "") -> Share:
    return Share(tenant, f"192.0.{number}.0/24")


def test_a_network_has_an_eighth_and_a_tenants_users_a_quarter() -> None:
    place = Place()
    assert place.goes(FLOOD, 100)
    assert not place.goes(FLOOD, 1)
    assert place.goes(OTHER, 100)
    assert place.goes(USER, 200)
    assert not place.goes(USER, 1)


def test_every_share_has_room_for_one_message() -> None:
    assert Place().goes(FLOOD, 400, most=400)


def test_strangers_leave_a_quarter_to_users() -> None:
    place = Place()
    assert [place.goes(network(number), 100) for number in range(8)] == [True] * 6 + [False] * 2
    assert place.goes(USER, 200)


def test_strangers_hold_half_for_one_tenant() -> None:
    place = Place()
    assert [place.goes(network(number, "acme"), 100) for number in range(5)] == [True] * 4 + [False]
    assert place.goes(network(6, "globex"), 100)


def test_the_stalled_goes_for_a_newcomer_of_its_network() -> None:
    place = Place()
    stalled = place.upload(FLOOD, 100)
    place.now += STALLED_SECONDS
    assert place.goes(FLOOD, 50)
    assert place.ended == [stalled]


def test_one_that_trickles_goes_for_one_that_sends() -> None:
    place = Place(80_000)
    trickling = place.upload(FLOOD, 9_000)
    for _ in range(60):
        place.now += 1
        place.budget.take(trickling, 1)
    assert place.goes(FLOOD, 5_000)
    assert place.ended == [trickling]


def test_one_that_sends_as_fast_does_not_go() -> None:
    place = Place()
    place.upload(FLOOD, 60)
    assert not place.goes(FLOOD, 60)
    assert not place.ended


def test_the_slowest_of_whoever_holds_most_goes_for_another_network() -> None:
    place = Place()
    slow = place.upload(network(1), 60)
    place.now += 3
    fast = place.upload(network(1), 40)
    for number in range(2, 7):
        place.upload(network(number), 90)
    place.upload(network(7), 50)
    assert place.goes(network(8), 20)
    assert place.ended == [slow]
    assert fast.taken == 40


def test_a_message_that_is_complete_is_not_ended() -> None:
    place = Place()
    for number in range(6):
        place.upload(network(number), 100).is_complete = True
    place.now += 1000
    assert not place.goes(network(7), 10)
    assert not place.ended


def test_a_user_ends_strangers_when_the_disk_has_less() -> None:
    place = Place()
    place.upload(FLOOD, 100)
    place.now += 1
    place.budget.bound(0)
    assert place.goes(USER, 50, most=50)
    assert len(place.ended) == 1


def test_what_is_promised_counts_up_to_a_share_and_while_it_comes() -> None:
    place = Place()
    place.upload(FLOOD, 10, declared=1000)
    place.upload(FLOOD, 10, declared=1000)
    place.upload(OTHER, 10, declared=30)
    assert place.budget.promised() == 100 + 20
    place.now += STALLED_SECONDS
    assert place.budget.promised() == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 300), st.integers(0, 20)), max_size=60))
def test_the_sums_always_hold(steps: list[tuple[int, int, int]]) -> None:
    place = Place()
    shares = [FLOOD, OTHER, USER, network(1, "globex"), network(2), Share("globex", "x", is_own=True)]
    uploads: list[Upload] = []
    for number, size, seconds in steps:
        place.now += seconds
        upload = place.upload(shares[number], most=150)
        try:
            place.budget.take(upload, size)
            uploads.append(upload)
        except NoRoomError:
            place.budget.close(upload)
        uploads = [each for each in uploads if each not in place.ended]
        assert place.budget.used == sum(each.taken for each in uploads) <= 800
        assert sum(each.taken for each in uploads if not each.share.is_own) <= 600
        if seconds == 7 and uploads:
            place.budget.close(uploads.pop())
    for upload in uploads:
        place.budget.close(upload)
    assert place.budget.used == 0
    assert not place.budget._parties
    assert not place.budget._tenants


# On the wire

FAR = "127.1.0.1"  # another network than 127.0.0.0/24


def test_a_stalled_upload_gets_452_and_the_newcomer_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgate.edge.listener.STAGING_BUDGET", 4 * MIB)
    monkeypatch.setattr("mailgate.edge.budget.STALLED_SECONDS", 0.0)

    async def part(on: Stage, client: Client) -> None:
        stalled = [client, await on.connect("127.0.1.1")]
        for each in stalled:
            await each.hello()
            await each.ask("MAIL FROM:<a@b.example>", 250)
            await each.ask("RCPT TO:<bob@acme.example>", 250)
            await each.ask("DATA", 354)
            await each.send(b"Subject: x\r\n\r\n" + b"y" * 900_000)
        while on.edge._budget.used < 1_800_000:
            await asyncio.sleep(0.01)
        newcomer = await on.connect(FAR)
        await newcomer.hello()
        await newcomer.mail(b"Subject: x\r\n\r\n" + b"z" * 900_000 + b"\r\n", 250)
        answers = [await each.ask("\r\n.", "") for each in stalled]
        assert sorted(answer[:9] for answer in answers) == ["250 2.0.0", "452 4.3.1"]
        await stalled[0].mail(b"Subject: x\r\n\r\nagain\r\n", 250)

    play(part, tmp_path)
