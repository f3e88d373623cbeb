"""Whether the scanners find what they must, and how old their signatures are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from mailgate.inspect.clamd import client
from mailgate.inspect.scanners import Health, ScannerPool
from mailgate.ops.checks import OLD_SIGNATURES_DAYS, Check, fail, ok, warn

PATIENCE = 7.0
_DAY = 86_400.0


class ScannerCheck:
    """Has each endpoint prove what the gateway relies on (see canaries); callable from several threads. `largest`:
    bytes of a message."""

    def __init__(self, endpoints: Sequence[str], largest: int, clock: Callable[[], float] = time.time) -> None:
        self._pool = ScannerPool([client(endpoint) for endpoint in endpoints], largest=largest)
        self._lock = threading.Lock()
        self._clock = clock

    def __call__(self) -> list[Check]:
        with self._lock:
            states = self._pool.health(time.monotonic() + PATIENCE)
        return [scanners(states), signatures(states, self._clock())]


def scanners(states: Sequence[Health]) -> Check:
    """One that is well is enough to go on; none means that all mail is deferred. `lines` of clamd.conf mend what has
    not been proved."""
    troubles = {state.name: state.trouble.removeprefix(f"{state.name}: ") for state in states if state.trouble}
    listed = "; ".join(f"{name}: {trouble}" for name, trouble in troubles.items())
    lines = list(dict.fromkeys(line for state in states for fault in state.faults for line in fault.lines))
    mend = f"put into clamd.conf, then restart clamd: {'; '.join(lines)}" if lines else ""
    if len(troubles) == len(states):
        advice = mend or "start clamd, or correct MAILGATE_CLAMD"
        return fail("scanner", listed, f"{advice}. Until then mail is deferred with 451", lines=lines)
    if troubles:
        advice = mend or "look at that clamd"
        return warn("scanner", listed, f"{advice}. The others do its work", down=sorted(troubles), lines=lines)
    if lines:
        faults = "; ".join(f"{state.name}: {fault}" for state in states for fault in state.faults)
        return warn("scanner", faults, mend, lines=lines)
    engines = ", ".join(f"{state.name} ({state.version.engine})" for state in states if state.version)
    return ok("scanner", f"has proved what it finds, opens and tells: {engines}")


def signatures(states: Sequence[Health], now: float) -> Check:
    """The oldest signatures of any scanner in use count."""
    versions = [state.version for state in states if state.version and not state.trouble]
    if not versions:
        return warn("signatures", "unknown: no scanner answers", "see the check of the scanner")
    dates = [version.signed_at for version in versions if version.signed_at is not None]
    if len(dates) < len(versions):
        return warn(
            "signatures", "a scanner has only local signatures", "run freshclam: without its database little is found"
        )
    days = (now - min(dates)) / _DAY
    if days > OLD_SIGNATURES_DAYS:
        return warn("signatures", f"{days:.0f} days old", "see why freshclam does not update", age_seconds=days * _DAY)
    return ok("signatures", f"{max(days, 0):.1f} days old", age_seconds=days * _DAY)
