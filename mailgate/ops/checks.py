"""What `/healthz` and `mailgate doctor` look at: each check is one function that never raises."""

from __future__ import annotations

import datetime
import enum
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LEAST_FREE_BYTES = 512 << 20
OLD_SIGNATURES_DAYS = 7.0


class Status(enum.StrEnum):
    """WARN needs a look; FAIL means that mail is deferred or refused, or soon will be."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """`text` says what was found; `advice` what to do about it (empty where all is well); `facts` are numbers."""

    name: str
    status: Status
    text: str
    advice: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(name: str, text: str, **facts: Any) -> Check:
    return Check(name, Status.OK, text, facts=facts)


def warn(name: str, text: str, advice: str, **facts: Any) -> Check:
    return Check(name, Status.WARN, text, advice, facts)


def fail(name: str, text: str, advice: str, **facts: Any) -> Check:
    return Check(name, Status.FAIL, text, advice, facts)


def disk(folder: Path, message_size_limit: int) -> Check:
    """Free space below what ten of the largest messages need is a failure: the edge answers 452 soon."""
    try:
        free = shutil.disk_usage(folder).free
        inodes = os.statvfs(folder).f_favail
    except OSError as error:
        return fail("disk", f"{folder}: {error.strerror}", "create the folder, or set MAILGATE_DATA_DIR")
    least = max(LEAST_FREE_BYTES, 10 * message_size_limit)
    facts = {"free_bytes": free, "free_files": inodes}
    if free < least:
        return fail("disk", f"{free >> 20} MiB free on {folder}, {least >> 20} MiB needed", "make room", **facts)
    if free < 4 * least:
        return warn("disk", f"only {free >> 20} MiB free on {folder}", "make room before it runs out", **facts)
    return ok("disk", f"{free >> 20} MiB free on {folder}", **facts)


def clock(doubted_since: float | None) -> Check:
    """`doubted_since`: seconds since 1970, by the clock in doubt; None where nothing is."""
    if doubted_since is None:
        return ok("clock", "has not stepped")
    since = datetime.datetime.fromtimestamp(doubted_since, datetime.UTC)
    return warn(
        "clock",
        f"it stepped ({since:%Y-%m-%d %H:%M} UTC): nothing is deleted for its age",
        "set it right; if it is right: `mailgate clock confirm`",
    )


def policies_in_force(refused: str) -> Check:
    """`refused`: what is wrong with the policy folder, where an earlier version is in force; else nothing."""
    if not refused:
        return ok("policies", "those of the folder are in force")
    text = f"the folder's are wrong, an earlier version is in force: {refused}"
    return warn("policies", text, "correct them (`mailgate policy check`), then `mailgate reload`")


def processes(states: Mapping[str, bool]) -> Check:
    """`states`: which of the processes that should run do."""
    down = sorted(name for name, runs in states.items() if not runs)
    if down:
        return fail("processes", f"not running: {', '.join(down)}", "see the log; they are started again", down=down)
    return ok("processes", f"all {len(states)} run", count=len(states))
