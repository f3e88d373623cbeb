"""Views of a message: the union of all parts that any mail client would show (RFC 2045 to 2049 and beyond)."""

from __future__ import annotations

from mailgate.inspect.parts import ParseLimits, Part, Views
from mailgate.inspect.places import At, Text
from mailgate.inspect.walk import Walk

__all__ = ["ParseLimits", "Part", "Views", "views"]


def views(raw: bytes | memoryview, limits: ParseLimits = ParseLimits()) -> Views:  # noqa: B008 - frozen
    """Every part of `raw` in every reading, each distinct content once; never raises, whatever the bytes.

    The strict reading comes first. Time is linear in the size of the message; what lies beyond a limit is named in
    `exceeded` and must not be called clean."""
    message = bytes(raw)
    walk = Walk(message, limits)
    walk.entity(Text(message), 0, len(message), At(place="", is_message=True))
    return walk.union.views()
