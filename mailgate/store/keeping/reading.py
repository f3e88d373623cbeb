"""Reads the contents of messages that are kept, and sees to it that damage is seen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailgate.model import digest
from mailgate.model.digest import digest_of
from mailgate.model.envelope import QueueId
from mailgate.model.errors import DamagedError
from mailgate.records.metrics import DAMAGED_MESSAGES
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Listing
from mailgate.spool.queue import Content, SpoolStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """Blocking, in the thread of the listing. `note` runs a change of the spool, now or soon; `clock` in seconds since
    1970."""

    listing: Listing
    contents: ContentFolder
    note: Callable[[Callable[[SpoolStore], object]], object]
    clock: Callable[[], float]

    def content(self, message: int, queue_id: QueueId, content: Content) -> bytes | Path:
        """What was accepted. DamagedError where it is that no more, which is put on record; NotFoundError where a small
        one is gone."""
        try:
            if content.in_file:
                self.contents.check(queue_id, content)
                return self.contents.path(queue_id, content)
            inline = self.listing.inline_content(message)
            digest.check(digest_of(inline), content.digest, f"the content of {queue_id}")
            return inline
        except DamagedError as error:
            now, what = self.clock(), str(error)
            self.note(lambda spool: note_damage(spool, queue_id, message, now, what))
            raise

    def beginning(self, message: int, queue_id: QueueId, content: Content, limit: int) -> bytes:
        """The first `limit` bytes; raises as `content` does, and OSError."""
        found = self.content(message, queue_id, content)
        if isinstance(found, bytes):
            return found[:limit]
        with found.open("rb") as file:
            return file.read(limit)


def note_damage(spool: SpoolStore, queue_id: QueueId, message: int, now: float, what: str) -> None:
    """In the writer's thread, within a transaction."""
    if spool.mark_damaged(message, now, what):
        DAMAGED_MESSAGES.inc()
        _log.error("%s is damaged and goes nowhere: %s; restore its content, then release it", queue_id, what)
