"""What a DNS lookup found, in types of our own, so that what judges it stays pure and needs no DNS library."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Status(enum.StrEnum):
    """NO_DATA: the name exists without such records. FAILED: nobody knows (SERVFAIL, time-out); BOGUS: the resolver
    found that DNSSEC does not hold. Neither of the last two ever means that there are none."""

    FOUND = "found"
    NO_DATA = "no-data"
    NXDOMAIN = "nxdomain"
    FAILED = "failed"
    BOGUS = "bogus"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`is_secure`: a trusted resolver has validated it by DNSSEC, absence included. `name` is the owner of the records
    after CNAMEs, without a final dot; `reason` says why it FAILED."""

    status: Status
    records: tuple[T, ...] = ()
    is_secure: bool = False
    name: str = ""
    reason: str = ""

    @property
    def is_known(self) -> bool:
        """False where the lookup failed: then nothing follows from it, and mail waits."""
        return self.status not in (Status.FAILED, Status.BOGUS)


@dataclass(frozen=True, slots=True)
class Mx:
    """`host` without a final dot; the root (null MX, RFC 7505) is empty."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """RFC 6698 section 2.1."""

    usage: int
    selector: int
    matching: int
    data: bytes


class Resolver(Protocol):
    """Names are A-labels without a final dot. Nothing raises: what goes wrong is an Answer too."""

    async def mx(self, name: str) -> Answer[Mx]: ...

    async def a(self, name: str) -> Answer[str]: ...

    async def aaaa(self, name: str) -> Answer[str]: ...

    async def tlsa(self, name: str) -> Answer[Tlsa]: ...

    async def txt(self, name: str) -> Answer[str]:
        """One text for each record, its strings joined."""
