"""The processes of a running gateway, read from /proc."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROLES = ("edge", "store", "inspector", "relay")


def children(pid: int) -> list[int]:
    """Living direct children, zombies left out."""
    with contextlib.suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [child for child in map(int, listed) if is_alive(child)]
    return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def role(pid: int) -> str:
    """One of ROLES by the `_ROLE` word of the command line, or empty."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    return next((name for name in ROLES if f"_{name}" in words), "")


def by_role(supervisor: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for pid in children(supervisor):
        if name := role(pid):
            found.setdefault(name, []).append(pid)
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of the process so far, in user and in system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Memory that the process holds, shared pages included."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
