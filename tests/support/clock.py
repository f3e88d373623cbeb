"""Waiting for conditions in tests, and a clock that tests move by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
GENEROUS = 60.0


def eventually(condition: Callable[[], Found], what: str, seconds: float = GENEROUS) -> Found:
    """The first truthy value of `condition`; AssertionError that names `what` was awaited after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(0.01)


class ManualClock:
    """Seconds since 1970 that only `advance` moves."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
