"""How private a connection to a next hop is: one ordered scale (promise 3)."""

from __future__ import annotations

import enum
import functools


@functools.total_ordering
class TransportLevel(enum.Enum):
    """PLAINTEXT < ENCRYPTED < FORWARD_SECRET < AUTHENTICATED; the values are the words of policies and records."""

    PLAINTEXT = "plaintext"
    ENCRYPTED = "encrypted"
    FORWARD_SECRET = "forward-secret"  # noqa: S105 (not a password)
    AUTHENTICATED = "authenticated"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, TransportLevel):
            return NotImplemented
        scale = list(TransportLevel)
        return scale.index(self) < scale.index(other)
