"""Shows from a trace of system calls that no `250` was sent before what it stands for was on stable storage.

For each queue id that a `250` names:
* the write-ahead log: a write that holds the queue id was followed by a sync of the log, begun after the write ended;
* a large message: its content file was synced after the last write to it, its folder after the file got its name, and
  the folder above it where the folder is new;
and all of that ended before the `250` began."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from tests.support.strace import Call

_REPLY = re.compile(r"250 2\.\d\.\d .*?\b([0-9a-hjkmnp-tv-z]{16})\b")
_SENDING = ("write", "writev", "send", "sendto", "sendmsg")
_WRITING = ("write", "writev", "pwrite64", "pwritev", "copy_file_range", "sendfile", "splice")
_SYNCING = ("fsync", "fdatasync")
_NAMING = ("open", "openat", "creat", "link", "linkat", "rename", "renameat", "renameat2")


@dataclass(frozen=True, slots=True)
class Violation:
    queue_id: str
    missing: str

    def __str__(self) -> str:
        return f"{self.queue_id}: 250 was sent before {self.missing}"


@dataclass(frozen=True, slots=True)
class Report:
    """`replies`: how many 250s were judged, `large` how many of them stood for a content file."""

    replies: int
    large: int
    violations: tuple[Violation, ...]


def _written_path(call: Call) -> str:
    """The file a call writes to: the last shown descriptor for copy_file_range and splice, else the first."""
    if call.name in ("copy_file_range", "splice"):
        shown = re.findall(r"\d+<([^>]*)>", call.arguments)
        return shown[-1] if shown else ""
    return call.path


def _synced(syncs: Iterable[Call], path: str, after: int, before: int) -> bool:
    return any(
        call.path == path and call.succeeded and call.began > after and call.ended is not None and call.ended < before
        for call in syncs
    )


def judge(calls: list[Call], content_folder: str = "/spool/content/") -> Report:
    """`content_folder`: part of the path of every content file; its name holds the queue id."""
    syncs = [call for call in calls if call.name in _SYNCING]
    writes = [call for call in calls if call.name in _WRITING and call.succeeded]
    log_writes = [call for call in writes if call.path.endswith("-wal")]
    content_writes = [call for call in writes if content_folder in _written_path(call)]
    folders = [call for call in calls if call.name in ("mkdir", "mkdirat") and call.succeeded]
    names = [call for call in calls if _is_naming(call) and call.succeeded and content_folder in _named(call)]
    replies, large, violations = 0, 0, []
    for reply in (call for call in calls if call.name in _SENDING and "-wal" not in call.path):
        for queue_id in _REPLY.findall(" ".join(reply.strings)):
            replies += 1
            if not _log_is_safe(log_writes, syncs, queue_id, reply.began):
                violations.append(Violation(queue_id, "its row was synced"))
            own = [call for call in content_writes if queue_id in _written_path(call)]
            if own:
                large += 1
                named = [call for call in names if queue_id in _named(call)]
                missing = _missing_for_content(own, named, folders, syncs, reply.began)
                violations += [Violation(queue_id, what) for what in missing]
    return Report(replies, large, tuple(violations))


def _is_naming(call: Call) -> bool:
    """A file that is only read has its name already."""
    return call.name in _NAMING and (not call.name.startswith("open") or "O_CREAT" in call.arguments)


def _named(call: Call) -> str:
    """The last path among the arguments: the one that comes into being."""
    return call.strings[-1] if call.strings else ""


def _log_is_safe(log_writes: list[Call], syncs: list[Call], queue_id: str, before: int) -> bool:
    return any(
        queue_id in call.arguments and call.ended is not None and _synced(syncs, call.path, call.ended, before)
        for call in log_writes
    )


def _missing_for_content(
    writes: list[Call], names: list[Call], folders: list[Call], syncs: list[Call], before: int
) -> list[str]:
    missing = []
    path = PurePath(_written_path(writes[-1]))
    if not _synced(syncs, str(path), max(call.ended or 0 for call in writes), before):
        missing.append("its content was synced")
    created = max((call.ended or 0 for call in names), default=writes[0].began)
    if not _synced(syncs, str(path.parent), created, before):
        missing.append("the folder of its content was synced")
    for made in (call.ended or 0 for call in folders if _named(call).endswith(f"/{path.parent.name}")):
        if not _synced(syncs, str(path.parent.parent), made, before):
            missing.append("the folder above its new folder was synced")
    return missing
