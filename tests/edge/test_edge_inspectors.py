"""The pool of inspectors: what probably takes long gets half of it, until a network has shown that it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mailgate.edge import inspectors as inspectors_module
from mailgate.edge.budget import Budget
from mailgate.edge.inspectors import BusyError, Inspectors
from mailgate.edge.staging import Staging
from mailgate.edge.turns import Share
from mailgate.ipc.inspect_calls import Inspect, Inspected, InspectLimits
from mailgate.model.verdict import Inspection

FLOOD = Share("acme", "192.0.2.0/24")
OTHER = Share("acme", "198.51.100.0/24")


class Lines:
    """Stand-ins for connections to inspectors; each answers once `answer` is called for it."""

    def __init__(self, inspectors: Inspectors) -> None:
        self.asked: list[tuple[Inspect, asyncio.Future[Inspected]]] = []
        inspectors._lines = [self for _ in inspectors._lines]  # type: ignore[misc]

    async def ask(self, request: Inspect, descriptor: int | None) -> Any:
        turn = asyncio.get_running_loop().create_future()
        self.asked.append((request, turn))
        return await turn

    async def answer(self) -> None:
        for _, turn in self.asked:
            if not turn.done():
                turn.set_result(Inspected(Inspection(parts=())))
        self.asked.clear()
        await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def large(folder: Path) -> Staging:
    staging = Staging(folder / "none", 1 << 30, Budget(1 << 40))
    staging.write(b"x" * 1000)
    staging.size = 5 << 20  # as far as the pool looks
    return staging


def pool(count: int) -> tuple[Inspectors, Lines]:
    inspectors = Inspectors([Path(f"/nonexistent/{number}") for number in range(count)])
    return inspectors, Lines(inspectors)


def test_large_messages_of_an_unknown_network_get_half_until_they_have_been_quick(tmp_path: Path) -> None:
    async def run() -> None:
        inspectors, lines = pool(4)

        def ask(share: Share) -> asyncio.Task[Inspection]:
            return asyncio.create_task(inspectors.inspect(large(tmp_path), InspectLimits(), True, share))

        first = [ask(FLOOD) for _ in range(4)]
        await settled()
        assert len(lines.asked) == 2
        other = ask(OTHER)
        await settled()
        assert len(lines.asked) == 3
        while not all(task.done() for task in (*first, other)):
            await lines.answer()
        again = [ask(FLOOD) for _ in range(8)]
        for _ in range(8):
            await settled()
            most = len(lines.asked)
            if most == 4:
                break
            await lines.answer()
        assert most == 4, "a network that is quick gets them all while nobody waits"
        while not all(task.done() for task in again):
            await lines.answer()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_who_waits_too_long_is_busy_and_what_it_has_waited_is_off_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspectors_module, "PATIENCE", 0.05)

    async def run() -> None:
        inspectors, lines = pool(1)
        first = asyncio.create_task(inspectors.inspect(large(tmp_path), InspectLimits(), True, FLOOD))
        await settled()
        with pytest.raises(BusyError):
            await inspectors.inspect(large(tmp_path), InspectLimits(), True, OTHER)
        second = asyncio.create_task(inspectors.inspect(large(tmp_path), InspectLimits(wall_seconds=50.0), True, OTHER))
        await asyncio.sleep(0.01)
        await lines.answer()
        ((request, _),) = lines.asked
        assert request.limits.wall_seconds < 50.0
        await lines.answer()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(run(), 20))
