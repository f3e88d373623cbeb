"""When a process that died is started again. Pure: time comes in, seconds to wait go out."""

from __future__ import annotations

from dataclasses import dataclass

DELAYS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
HEALTHY_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """`failures`: deaths in a row, each less than HEALTHY_AFTER seconds after its start."""

    failures: int = 0

    def after_death(self, lived: float) -> tuple[Backoff, float]:
        """The next state, and the seconds to wait, for a process that lived for `lived` seconds."""
        failures = 0 if lived >= HEALTHY_AFTER else self.failures
        return Backoff(failures + 1), DELAYS[min(failures, len(DELAYS) - 1)]
