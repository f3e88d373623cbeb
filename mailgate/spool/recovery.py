"""What the start of the store puts in order: leases of holders that are gone, files that no message needs, and contents
that are needed but missing or cut short: these are reported and held for a person, never deleted."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from mailgate.model.envelope import QueueId
from mailgate.model.outcome import State
from mailgate.spool.content import ContentFolder
from mailgate.spool.damage import DAMAGED
from mailgate.spool.listing import Listing, Waiting
from mailgate.spool.queue import Selection, SpoolStore

STAGING_PATIENCE = 2 * 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """`leases` released, `orphans` (content files without a message that waits) and `staged` files removed, `damaged`
    messages held."""

    leases: int
    orphans: int
    staged: int
    damaged: tuple[QueueId, ...]


def recover(spool: SpoolStore, listing: Listing, contents: ContentFolder, staging: Path, now: float) -> Recovered:
    """Runs before anything is accepted. Staging files younger than STAGING_PATIENCE seconds stay: they may belong to an
    edge that goes on while the store starts again."""
    spool.begin()
    leases = spool.release_leases(now)
    spool.commit()
    contents.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    waiting = list(listing.waiting_contents())
    needed = {contents.path(item.queue_id, item.content) for item in waiting if item.content.in_file}
    damaged = tuple(item for item in waiting if _damage(item, contents))
    _hold(spool, damaged, contents, now)
    orphans = _sweep([path for path in contents.files() if path not in needed])
    limit = now - STAGING_PATIENCE
    staged = _sweep([path for path in _files(staging) if _changed_at(path) < limit])
    recovered = Recovered(leases, orphans, staged, tuple(item.queue_id for item in damaged))
    _log.info("spool recovered: %s", recovered)
    return recovered


def _damage(item: Waiting, contents: ContentFolder) -> str:
    """What is wrong with the content, or nothing."""
    if not item.content.in_file:
        size = item.inline_size
        return "" if size == item.content.size else f"content of {size or 0} bytes instead of {item.content.size}"
    path = contents.path(item.queue_id, item.content)
    try:
        size = path.stat().st_size
    except OSError as error:
        return f"content file {path}: {error.strerror}"
    return "" if size == item.content.size else f"{path} has {size} bytes instead of {item.content.size}"


def _hold(spool: SpoolStore, damaged: tuple[Waiting, ...], contents: ContentFolder, now: float) -> None:
    if not damaged:
        return
    spool.begin()
    for item in damaged:
        what = _damage(item, contents)
        reason = f"{DAMAGED}{what}"
        _log.error("%s waits for a person: %s; restore it, then release it", item.queue_id, reason)
        spool.mark_damaged(item.message, now, what)
        if item.is_queued:
            spool.move(Selection(item.queue_id, frozenset({State.QUEUED})), State.HELD, now, "recovery", reason)
    spool.commit()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _changed_at(path: Path) -> float:
    """Never where it has gone: an edge goes on with its files while the store starts."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _sweep(paths: list[Path]) -> int:
    for path in paths:
        _log.warning("removed %s: no message needs it", path)
        path.unlink(missing_ok=True)
    return len(paths)
