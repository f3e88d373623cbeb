"""What is not looked at can't cost: headers are refused before they are read; several tenants, the strictest limits."""

from __future__ import annotations

import asyncio
import time
import types
from pathlib import Path
from typing import Any

import pytest

from mailgate.edge import message_end
from mailgate.ipc.inspect_calls import InspectLimits
from mailgate.model.envelope import Direction
from mailgate.model.verdict import Inspection
from tests.edge.dialogue import stage

_SIZE = 16 << 20
_BOMBS = {
    "fields": b"a:\r\n" * (_SIZE // 4),
    "no fields": b"x\r\n" * (_SIZE // 3),
    "folds": b"a:\r\n" + b" \r\n" * (_SIZE // 3),
    "one line": b"a: " + b"b" * _SIZE,
    "late end": b"a: b\r\n" * (_SIZE // 6) + b"\r\nbody",
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_header_bomb_is_refused_at_no_cost(tmp_path: Path, bomb: str) -> None:
    async def run() -> float:
        async with stage(tmp_path, size_limit=2 * _SIZE) as played:
            client = await played.connect()
            await client.hello()
            await client.ask("MAIL FROM:<a@b.example>", 250)
            await client.ask("RCPT TO:<bob@acme.example>", 250)
            await client.ask("DATA", 354)
            await client.send(_BOMBS[bomb])
            ended: list[float] = []
            real = message_end.finish

            async def finish(tx: Any) -> Any:
                began = time.process_time()
                answer = await real(tx)
                ended.append(time.process_time() - began)
                return answer

            message_end.finish = finish  # type: ignore[assignment]
            try:
                assert "header" in await client.ask(b"\r\n.", 552)
            finally:
                message_end.finish = real
            assert not played.store.kept
            return ended[0]

    assert asyncio.run(run()) < 0.2


def test_of_several_tenants_the_strictest_limits_hold() -> None:
    given: list[InspectLimits] = []

    class Recording:
        async def inspect(self, staging: object, limits: InspectLimits, *rest: object) -> Inspection:
            given.append(limits)
            return Inspection(parts=())

    def tenant(depth: int, parts: int) -> object:
        return types.SimpleNamespace(limits=types.SimpleNamespace(depth=depth, parts=parts))

    policies = {"acme": tenant(50, 100), "beta": tenant(5, 1000), "gamma": tenant(30, 90)}
    tx: Any = types.SimpleNamespace(
        around=types.SimpleNamespace(
            limits=lambda: types.SimpleNamespace(reply_seconds=60.0),
            policy=lambda: types.SimpleNamespace(for_tenant=policies.__getitem__),
            inspectors=Recording(),
        ),
        recipients=[("acme", None), ("beta", None)],
        tenant="gamma",
        staging=None,
        share=None,
        presence=None,
        direction=Direction.OUTBOUND,
    )
    asyncio.run(message_end.inspect(tx))
    assert (given[0].depth, given[0].parts) == (5, 90)
