"""What an operator is shown of a message without having asked for more: that there are names, not which. Pure.

Operators steer the queue of every tenant; subjects and the names of files are content (docs/tenants.md)."""

from __future__ import annotations

import re
from typing import Any

MASK = "(masked)"
_SHOWN = frozenset(
    {"received", "return-path", "date", "message-id", "mime-version", "from", "sender", "to", "cc", "reply-to"}
    | {"authentication-results", "dkim-signature", "arc-seal", "arc-message-signature", "arc-authentication-results"}
)
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}$")


def masked_header(fields: list[list[str]]) -> list[list[str]]:
    """[name, value] of each field; the values stay of those that every mail has and that say how it came."""
    return [[name, value if name.lower() in _SHOWN else MASK] for name, value in fields]


def masked_inspection(inspection: dict[str, Any]) -> dict[str, Any]:
    """Of a file name its ending stays: what kind of file it is."""
    parts = [
        part
        | {"name": _masked_name(part["name"]), "names": sorted({_masked_name(name) for name in part.get("names", ())})}
        | ({"detail": MASK} if part.get("detail") else {})
        for part in inspection.get("parts", ())
    ]
    defects = [defect | ({"detail": MASK} if defect.get("detail") else {}) for defect in inspection.get("defects", ())]
    return inspection | {"parts": parts, "defects": defects}


def has_names(inspection: dict[str, Any]) -> bool:
    return any(part.get("name") for part in inspection.get("parts", ()))


def _masked_name(name: str) -> str:
    ending = _ENDING.search(name)
    return name and f"{MASK}{ending[0] if ending else ''}"
