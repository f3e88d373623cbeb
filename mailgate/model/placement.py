"""Where in a message a part is, in the words that attachment rules use."""

from __future__ import annotations

import enum


class Placement(enum.StrEnum):
    """The values of `PartReport.placements`. BODY: text that people read as the message itself; ATTACHMENT: attached to
    the message itself; MESSAGE: in an attached message; ARCHIVE: in an archive, a disk image or a document."""

    BODY = "body"
    ATTACHMENT = "attachment"
    MESSAGE = "message"
    ARCHIVE = "archive"
