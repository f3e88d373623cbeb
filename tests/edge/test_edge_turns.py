"""Turns: who gets an inspector, a lookup or a callout, and who is turned away."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.edge.turns import GoneError, NoTurnError, Presence, Share, Turns

FLOOD = Share("acme", "192.0.2.0/24")
OTHER = Share("acme", "198.51.100.0/24")
THIRD = Share("globex", "203.0.113.0/24")
USER = Share("acme", "192.0.2.7", is_own=True)


class Scene:
    """Everybody who asks for a turn holds it until the test ends it, on a clock of the test's own."""

    def __init__(self, places: int, most_waiting: int = 100, patience: float = 60.0) -> None:
        self.now = 0.0
        self.turns = Turns(places, most_waiting, patience, lambda: self.now)
        self.running: list[tuple[Share, asyncio.Event]] = []
        self.refused: list[Share] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, *shares: Share, seconds: float = 1.0, is_long: bool = False) -> None:
        for share in shares:
            self.tasks.append(asyncio.create_task(self._hold(share, seconds, is_long)))
            await settled()

    async def _hold(self, share: Share, seconds: float, is_long: bool) -> None:
        done = asyncio.Event()
        try:
            async with self.turns.turn(share, seconds, is_long):
                self.running.append((share, done))
                try:
                    await done.wait()
                finally:
                    self.running = [each for each in self.running if each[1] is not done]
        except NoTurnError:
            self.refused.append(share)

    async def end(self, share: Share, took: float = 1.0) -> None:
        self.now += took
        held = next(each for each in self.running if each[0] == share)
        self.running.remove(held)
        held[1].set()
        await settled()

    def holders(self) -> Counter[Share]:
        return Counter(share for share, _ in self.running)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def play(
    part: Callable[[Scene], Awaitable[None]], places: int, most_waiting: int = 100, patience: float = 60.0
) -> None:
    async def run() -> None:
        scene = Scene(places, most_waiting, patience)
        async with asyncio.timeout(20):
            await part(scene)
        for task in scene.tasks:
            task.cancel()
        await asyncio.gather(*scene.tasks, return_exceptions=True)
        assert (scene.turns.waiting, scene.turns._free) == (0, places)
        assert not scene.turns._running
        assert not scene.turns._tenants._had
        assert not scene.turns._networks._had

    asyncio.run(run())


def test_alone_a_network_gets_all_places() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[FLOOD] * 6)
        assert scene.holders() == {FLOOD: 4}

    play(part, 4)


def test_while_another_waits_it_gets_half() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[FLOOD] * 10, *[OTHER] * 10)
        for _ in range(4):
            await scene.end(FLOOD)
        assert scene.holders() == {FLOOD: 2, OTHER: 2}

    play(part, 4)


def test_what_takes_long_never_gets_more_than_half() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[FLOOD] * 6, seconds=20.0, is_long=True)
        assert scene.holders() == {FLOOD: 2}
        await scene.ask(OTHER)
        assert scene.holders() == {FLOOD: 2, OTHER: 1}

    play(part, 4)


def test_strangers_together_leave_one_place_free_of_long_ones() -> None:
    async def part(scene: Scene) -> None:
        for number in range(8):
            await scene.ask(Share("acme", f"192.0.{number}.0/24"), seconds=20.0, is_long=True)
        assert len(scene.running) == 3
        await scene.ask(USER)
        assert scene.holders()[USER] == 1

    play(part, 4)


@pytest.mark.parametrize("places", [1, 2, 4])
def test_a_user_does_not_stand_behind_a_flood(places: int) -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[FLOOD] * 50, USER)
        await scene.end(FLOOD)
        assert scene.holders()[USER] == 1

    play(part, places)


def test_with_one_place_users_do_not_keep_out_strangers() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[USER] * 5, *[OTHER] * 5)
        served = []
        for _ in range(8):
            ((share, _),) = scene.running
            served.append(share)
            await scene.end(share)
        assert served.count(OTHER) == 4

    play(part, 1)


def test_networks_of_a_tenant_take_turns_by_time_not_by_number() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[FLOOD] * 20, *[OTHER] * 20)
        had: Counter[Share] = Counter()
        for _ in range(20):
            ((share, _),) = scene.running
            took = 10.0 if share == FLOOD else 1.0
            had[share] += round(took)
            await scene.end(share, took)
        assert abs(had[FLOOD] - had[OTHER]) <= 11

    play(part, 1)


def test_a_flood_to_one_tenant_from_many_networks_leaves_the_other_its_turn() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[Share("acme", f"192.0.{number}.0/24") for number in range(50)])
        await scene.ask(*[THIRD] * 3)
        served = []
        for _ in range(7):
            ((share, _),) = scene.running
            served.append(share.tenant)
            await scene.end(share)
        assert served.count("globex") == 3

    play(part, 1)


def test_a_full_queue_turns_away_the_newest_of_whoever_has_most() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(*[FLOOD] * 5)
        assert not scene.refused
        await scene.ask(FLOOD)
        assert scene.refused == [FLOOD]
        await scene.ask(OTHER)
        assert scene.refused == [FLOOD] * 2
        await scene.end(FLOOD)
        assert scene.holders() == {OTHER: 1}

    play(part, 1, most_waiting=4)


def test_who_waits_too_long_is_turned_away() -> None:
    async def part(scene: Scene) -> None:
        await scene.ask(FLOOD, OTHER)
        await scene.tasks[1]
        assert scene.refused == [OTHER]
        await scene.end(FLOOD)
        assert scene.turns.waiting == 0

    play(part, 1, patience=0.01)


@given(
    st.lists(st.tuples(st.sampled_from(["ask", "long", "end", "cancel"]), st.integers(0, 9)), max_size=60),
    st.integers(1, 4),
)
def test_nothing_is_lost_whatever_happens(steps: list[tuple[str, int]], places: int) -> None:
    shares = [FLOOD, OTHER, THIRD, USER, Share()]

    async def part(scene: Scene) -> None:
        for what, number in steps:
            if what in ("ask", "long"):
                await scene.ask(shares[number % len(shares)], is_long=what == "long")
            elif what == "end" and scene.running:
                await scene.end(scene.running[number % len(scene.running)][0])
            elif what == "cancel" and scene.tasks:
                task = scene.tasks.pop(number % len(scene.tasks))
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                await settled()
            assert len(scene.running) <= places
        while scene.running:
            await scene.end(scene.running[0][0])
        assert scene.turns.waiting == 0, "somebody waits though all places are free"

    play(part, places, most_waiting=5)


def test_who_leaves_while_it_waits_has_no_turn_and_leaves_no_trace() -> None:
    async def run() -> None:
        scene = Scene(1)
        await scene.ask(FLOOD)
        presence = Presence()

        async def wait() -> None:
            async with scene.turns.turn(OTHER, presence=presence):
                raise AssertionError("its turn has come")

        waiting = asyncio.create_task(wait())
        await settled()
        assert scene.turns.waiting == 1
        await scene.ask(THIRD)
        presence.leave()
        with pytest.raises(GoneError):
            await waiting
        assert scene.turns.waiting == 1
        await scene.end(FLOOD)
        assert scene.holders() == Counter([THIRD])
        await scene.end(THIRD)
        assert not scene.turns._tenants._had

    asyncio.run(run())


def test_who_leaves_as_its_turn_comes_gives_it_back() -> None:
    async def run() -> None:
        scene = Scene(1)
        await scene.ask(FLOOD)
        presence = Presence()
        had: list[bool] = []

        async def wait() -> None:
            async with scene.turns.turn(OTHER, presence=presence):
                had.append(True)

        waiting = asyncio.create_task(wait())
        await settled()
        scene.running.pop()[1].set()
        while scene.turns.waiting:
            await asyncio.sleep(0)
        presence.leave()
        await waiting
        assert had == [True]  # it had begun: that can't be taken back
        await scene.ask(THIRD)
        assert scene.holders() == Counter([THIRD])
        await scene.end(THIRD)

    asyncio.run(run())


def test_nothing_begins_for_who_has_left_before() -> None:
    async def run() -> None:
        presence = Presence()
        presence.leave()
        with pytest.raises(GoneError):
            async with Scene(1).turns.turn(OTHER, presence=presence):
                raise AssertionError("its turn has come")

    asyncio.run(run())
