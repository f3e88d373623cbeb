"""The least private level that a delivery may take: the highest of all demands. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailgate.model.level import TransportLevel


@dataclass(frozen=True, slots=True)
class Demand:
    """`source` says in words who demands `level`, e.g. `the policy of acme.example's tenant`, `MTA-STS`."""

    level: TransportLevel
    source: str


@dataclass(frozen=True, slots=True)
class Floor:
    """`sources`: all that demand just this level; empty for plaintext, which nobody has to demand."""

    level: TransportLevel
    sources: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """`at least forward-secret transport (demanded by …)`."""
        return f"at least {self.level.value} transport (demanded by {' and '.join(self.sources)})"


def highest(demands: Iterable[Demand]) -> Floor:
    listed = list(demands)
    level = max((demand.level for demand in listed), default=TransportLevel.PLAINTEXT)
    if level is TransportLevel.PLAINTEXT:
        return Floor(level)
    return Floor(level, tuple(dict.fromkeys(demand.source for demand in listed if demand.level is level)))
