"""The tree of a message's parts, as trace and scan show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mailgate.cli import output

_VERDICTS = {"clean": "green", "infected": "bold red", "not-scanned": "yellow"}


def show(parts: Iterable[Mapping[str, Any]], indent: int) -> None:
    """One line a part, behind `indent` spaces; a part inside another one is indented further."""
    for part in parts:
        depth = part["place"].count(".") + part["place"].count("/")
        why = part["signature"] or part["reason"] or ""
        kind = part["detected_type"] or part["declared_type"]
        name = f" {part['name']}" if part["name"] else ""
        found = f"{part['verdict']} {why}".rstrip()
        text = f"{'':{indent}}{'  ' * depth}{part['place']}{name}  {kind}, {part['size']} bytes: {found}"
        output.say(text, _VERDICTS.get(part["verdict"], ""))
