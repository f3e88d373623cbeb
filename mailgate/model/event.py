"""One line of a message's timeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """`at` in seconds since 1970; `kind` such as `received`, `decided`, `committed`, `attempt`, `delivered`.

    `recipient` is the forward-path it is about, empty for the whole message. `facts`: no body, subject or secret."""

    at: float
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    recipient: str = ""
