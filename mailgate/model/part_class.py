"""What kind of thing a part is, in the words that attachment rules use. Found from the bytes, not from the name."""

from __future__ import annotations

import enum


class PartClass(enum.StrEnum):
    """The values of `PartReport.classes`; a part may be of several classes, or of none."""

    EXECUTABLE = "executable"
    SCRIPT = "script"
    MACRO = "macro"
    ARCHIVE = "archive"
    ENCRYPTED = "encrypted"
    END_TO_END_ENCRYPTED = "end-to-end-encrypted"
    DISK_IMAGE = "disk-image"
    SHORTCUT = "shortcut"
