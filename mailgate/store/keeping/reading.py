"""Reads the content of a message that is kept."""

from __future__ import annotations

from pathlib import Path

from mailgate.model.envelope import Envelope
from mailgate.spool.content import ContentFolder
from mailgate.spool.listing import Listing
from mailgate.spool.queue import Content


def read_content(
    listing: Listing, contents: ContentFolder, message: int, envelope: Envelope, content: Content
) -> bytes | Path:
    """What is to be scanned; NotFoundError where a small content is gone. In the thread of the listing."""
    if content.in_file:
        return contents.path(envelope.queue_id, content)
    return listing.inline_content(message)
