"""What the edge asks of others for its clients: lookups and callouts, of which one network never holds all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailgate.edge import lookups as lookups_module
from mailgate.edge import verify
from mailgate.edge.lookups import AT_ONCE, UNCOUNTED, WatchedResolver
from mailgate.edge.turns import Share
from mailgate.edge.verify import MOST_AT_ONCE, Standing, Verifier
from mailgate.model.address import Address
from mailgate.model.dns import Answer, Mx, Status
from mailgate.model.reply import Reply
from mailgate.policy.schema import InboundRoute
from tests.relay.harness import FakeNames

FLOOD = Share("", "192.0.2.0/24")
OTHER = Share("", "198.51.100.0/24")
ROUTE = InboundRoute.model_validate({"domain": "routed.acme.example", "server": "127.0.0.1:1"})


class SilentZone:
    """Names below `silent.example` are never answered."""

    def __init__(self) -> None:
        self.open = 0

    async def txt(self, name: str) -> Answer[str]:
        if name.endswith("silent.example"):
            self.open += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.open -= 1
        return Answer(Status.FOUND, ("here",))

    async def a(self, name: str) -> Answer[str]:
        return await self.txt(name)

    async def aaaa(self, name: str) -> Answer[str]:
        return await self.txt(name)

    async def ptr(self, name: str) -> Answer[str]:
        return await self.txt(name)

    async def mx(self, name: str) -> Answer[Mx]:
        return Answer(Status.NO_DATA)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_one_network_holds_half_of_the_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups_module, "PATIENCE", 0.05)

    async def run() -> None:
        zone = SilentZone()
        resolver = WatchedResolver(zone)
        resolver.is_away = False
        flood = resolver.of(FLOOD)
        asked = [asyncio.create_task(flood.txt(f"{number}.silent.example")) for number in range(1000)]
        await settled()
        assert zone.open == UNCOUNTED + AT_ONCE // 2
        assert (await resolver.of(OTHER).txt("good.example")).records == ("here",)
        assert (await asyncio.gather(*asked[UNCOUNTED + AT_ONCE // 2 :]))[0].status is Status.FAILED
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        assert (zone.open, resolver._uncounted) == (0, 0)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_one_network_does_not_hold_all_callouts_nor_make_the_server_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verify, "TURN_SECONDS", 0.05)

    async def run() -> None:
        verifier = Verifier(FakeNames(), "mx.acme.example", lambda: 1000.0)
        open_now: list[Address] = []
        is_over = asyncio.Event()

        async def ask(server: object, route: InboundRoute, recipient: Address) -> Reply:
            open_now.append(recipient)
            if recipient.local.startswith("slow"):
                await is_over.wait()
            return Reply(250, "2.1.5", "ok")

        monkeypatch.setattr(verifier, "_ask", ask)
        addresses = [Address(f"slow{number}", "routed.acme.example") for number in range(50)]
        asked = [asyncio.create_task(verifier.standing(ROUTE, address, FLOOD)) for address in addresses]
        await settled()
        assert len(open_now) == MOST_AT_ONCE // 2
        assert await verifier.standing(ROUTE, Address("joe", "routed.acme.example"), OTHER) is Standing.KNOWN
        waited = await asyncio.gather(*asked[MOST_AT_ONCE // 2 :])
        assert set(waited) == {Standing.AWAY}
        assert await verifier.standing(ROUTE, Address("ann", "routed.acme.example"), OTHER) is Standing.KNOWN
        is_over.set()
        assert set(await asyncio.gather(*asked[: MOST_AT_ONCE // 2])) == {Standing.KNOWN}

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_full_memory_forgets_the_oldest_answer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "CACHE_SIZE", 3)

    async def run() -> None:
        verifier = Verifier(FakeNames(), "mx.acme.example", lambda: 1000.0)
        asked = []

        async def ask(server: object, route: InboundRoute, recipient: Address) -> Reply:
            asked.append(recipient.local)
            return Reply(250, "2.1.5", "ok")

        monkeypatch.setattr(verifier, "_ask", ask)
        for local in ("a", "b", "c", "d", "d", "c", "b", "a"):
            await verifier.standing(ROUTE, Address(local, "routed.acme.example"), OTHER)
        assert asked == ["a", "b", "c", "d", "a"]

    asyncio.run(run())
