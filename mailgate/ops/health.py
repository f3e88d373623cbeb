"""What `/healthz` answers: is mail received, scanned and moved on?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mailgate.ipc import keys
from mailgate.ipc.calls import Admin, Answer, Hello, Result
from mailgate.ipc.frames import Calls, converse
from mailgate.model.errors import MailgateError
from mailgate.ops import checks
from mailgate.ops.checks import Check, fail, ok, warn
from mailgate.ops.scanner_check import ScannerCheck
from mailgate.settings import Settings

MOST_NAMED = 5
RESTORE_CONTENT = "restore the content from a backup, then `mailgate queue release` (docs/operations.md, Damage)"
OLD_ENTRY_SECONDS = 4 * 3600.0

States = Callable[[], Mapping[str, bool]]


class Health:
    """Called for each request; `states` says which processes run, `key` proves to the store who asks."""

    def __init__(
        self, settings: Settings, states: States, clock: Callable[[], float] = time.time, key: bytes = b""
    ) -> None:
        self._settings = settings
        self._states = states
        self._hello = Hello(keys.SUPERVISOR, key)
        self._clock = clock
        self._scanners = ScannerCheck(settings.clamd, settings.message_size_limit, clock)

    def __call__(self) -> list[Check]:
        settings = self._settings
        return [
            checks.processes(self._states()),
            *self._scanners(),
            *self._store(),
            checks.disk(settings.data_dir, settings.message_size_limit),
        ]

    def _store(self) -> list[Check]:
        try:
            answer = converse(self._settings.store_path, self._ask)
        except MailgateError as error:
            return [fail("spool", f"the store does not answer: {error}", "see the log")]
        summary = answer.value if isinstance(answer, Result) else {}
        return [
            spool(summary, self._clock()),
            checks.clock(summary.get("clock_doubted_since")),
            checks.policies_in_force(summary.get("policy_refused", "")),
        ]

    async def _ask(self, calls: Calls) -> Answer:
        await calls.call(self._hello)
        return await calls.call(Admin("queue.summary"))


def damaged_words(queue_ids: Sequence[str]) -> str:
    more = len(queue_ids) - MOST_NAMED
    named = [*queue_ids[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
    return f"messages whose content is damaged, held back: {', '.join(named)}"


def spool(summary: Mapping[str, Any], now: float) -> Check:
    """`summary`: recipients by state, and `oldest_queued`, seconds since 1970 or None, `damaged`, queue ids."""
    states = summary.get("states", {})
    waiting = int(states.get("queued", 0))
    oldest = summary.get("oldest_queued")
    age = max(0.0, now - oldest) if oldest is not None else 0.0
    damaged = list(summary.get("damaged", ()))
    facts = {"states": states, "oldest_seconds": age, "damaged": len(damaged)}
    if damaged:
        return warn("spool", damaged_words(damaged), RESTORE_CONTENT, **facts)
    if age > OLD_ENTRY_SECONDS:
        text = f"{waiting} recipients queued, the oldest for {age / 3600:.1f} hours"
        return warn("spool", text, "`mailgate queue list` shows why", **facts)
    return ok("spool", f"{waiting} recipients queued", **facts)
