"""Logins are looked at in fair turns: a flood from one network waits behind itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from mailgate.store.logins import turns
from mailgate.store.logins.turns import CrowdedError, Turns


class Line:
    """Logins that end when they are told to."""

    def __init__(self, at_once: int = 2) -> None:
        self.turns = Turns(at_once)
        self.running: list[str] = []
        self.served: list[str] = []
        self.turned_away: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, address: str, name: str, octets: int = 10) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._log_in(address, name, octets))
        await asyncio.sleep(0)

    async def _log_in(self, address: str, name: str, octets: int) -> None:
        try:
            async with self.turns.take(address, octets):
                self.running.append(name)
                await self._ends[name].wait()
                self.running.remove(name)
                self.served.append(name)
        except CrowdedError:
            self.turned_away.append(name)

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def end_all(self) -> None:
        for end in self._ends.values():
            end.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def in_loop(test: Callable[[Line], Coroutine[None, None, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test(Line()))

    run.__name__ = test.__name__
    return run


@in_loop
async def test_a_flood_leaves_a_turn_for_others(line: Line) -> None:
    for n in range(100):
        await line.ask("192.0.2.1", f"guess {n}")
    assert line.running == ["guess 0"]
    await line.ask("203.0.113.1", "bob")
    assert line.running == ["guess 0", "bob"], "though a hundred wait"
    await line.ask("198.51.100.9", "amy")
    await line.end("guess 0")
    assert "amy" in line.running
    await line.end_all()
    assert len(line.served) == 102


@in_loop
async def test_a_neighbourhood_shares_its_turns_among_its_networks(line: Line) -> None:
    for n in range(50):
        await line.ask(f"192.0.2.{n}", f"guess {n}")
    await line.ask("203.0.113.1", "bob")
    await line.ask("192.0.2.250", "amy")
    await line.end("guess 0")
    assert "bob" in line.running
    await line.end("bob")
    assert len(line.running) == 2
    await line.end_all()


@in_loop
async def test_who_goes_away_leaves_no_turn_behind(line: Line) -> None:
    await line.ask("192.0.2.1", "first")
    await line.ask("192.0.2.1", "second")
    await line.ask("192.0.2.1", "third")
    await line.cancel("second")
    await line.cancel("first")
    assert line.running[-1] == "third"
    await line.end("third")
    await line.ask("192.0.2.1", "fourth")
    assert line.running[-1] == "fourth"
    await line.end_all()


def test_the_greediest_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_OF_NETWORK", 5)
    monkeypatch.setattr(turns, "MOST_WAITING", 12)

    async def run() -> None:
        line = Line(0)
        for n in range(8):
            await line.ask("192.0.2.1", f"guess {n}")
        await line.settle()
        assert line.turned_away == ["guess 5", "guess 6", "guess 7"]
        for n in range(4):
            await line.ask("192.0.2.2", f"more {n}")
        for n in range(5):
            await line.ask(f"10.0.{n}.1", f"user {n}")
        await line.settle()
        assert all(name.startswith(("guess", "more")) for name in line.turned_away)
        assert len(line.turned_away) == 5
        for name in [f"guess {n}" for n in range(5)] + [f"more {n}" for n in range(4)]:
            await line.cancel(name)
        assert len(line.turns._queues) == 5
        for n in range(5):
            await line.cancel(f"user {n}")
        assert not line.turns._queues and line.turns._octets == 0 and line.turns._waiting == 0

    asyncio.run(run())


def test_what_waits_is_bounded_by_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_OCTETS", 100)

    async def run() -> None:
        line = Line(0)
        await line.ask("203.0.113.1", "bob", 40)
        await line.ask("192.0.2.1", "a", 20)
        await line.ask("192.0.2.1", "b", 50)
        await line.settle()
        assert line.turned_away == ["b"]
        await line.cancel("bob")
        await line.cancel("a")

    asyncio.run(run())
