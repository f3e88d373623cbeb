"""A DNS that the test holds in its hand, and short ways to messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailgate.model.dns import Answer, Mx, Status
from mailgate.senderauth import body, dkim_verify, header
from mailgate.senderauth.dkim_verify import DkimResult

NOW = 1_800_000_000


@dataclass
class Zone:
    """`{"example.org TXT": ["v=spf1 -all"]}`; MX as `10 host`. Names in `failing` get no answer, those in `hanging`
    none ever; those in `without_data` exist without the records asked for. `asked` keeps every question."""

    data: Mapping[str, Iterable[str]] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()
    hanging: frozenset[str] = frozenset()
    without_data: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    async def txt(self, name: str) -> Answer[str]:
        return await self._find(name, "TXT")

    async def a(self, name: str) -> Answer[str]:
        return await self._find(name, "A")

    async def aaaa(self, name: str) -> Answer[str]:
        return await self._find(name, "AAAA")

    async def ptr(self, name: str) -> Answer[str]:
        return await self._find(name, "PTR")

    async def mx(self, name: str) -> Answer[Mx]:
        found = await self._find(name, "MX")
        pairs = [record.split() for record in found.records]
        return Answer(found.status, tuple(Mx(int(preference), host) for preference, host in pairs), reason=found.reason)

    async def _find(self, name: str, kind: str) -> Answer[str]:
        self.asked.append(f"{name} {kind}")
        if name in self.hanging:
            await asyncio.Event().wait()
        if name in self.failing:
            return Answer(Status.FAILED, reason="SERVFAIL")
        records = tuple(self.data.get(f"{name} {kind}", ()))
        if records:
            return Answer(Status.FOUND, records)
        return Answer(Status.NO_DATA if name in self.without_data else Status.NXDOMAIN)


def message(*fields: str, text: str = "Hello\r\n") -> bytes:
    return "".join(f"{each}\r\n" for each in fields).encode() + b"\r\n" + text.encode()


def verify(raw: bytes, zone: Zone, now: float = NOW) -> tuple[DkimResult, ...]:
    """All DKIM results of a message."""

    async def run() -> tuple[DkimResult, ...]:
        found = header.read(raw)
        candidates = dkim_verify.candidates(found)

        async def digests() -> Mapping[str, bytes]:
            return body.body_hashes(dkim_verify.body_forms(candidates), raw[found.size :])

        return await dkim_verify.verify(found, candidates, digests(), zone, now)

    return asyncio.run(run())


def run(awaitable: Any) -> Any:
    return asyncio.run(awaitable)
