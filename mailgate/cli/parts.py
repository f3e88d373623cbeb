"""The tree of a message's parts, as trace, scan and quarantine show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailgate.cli import output
from mailgate.model.part_class import PartClass

_VERDICTS = {"clean": "green", "infected": "bold red", "suspicious": "red", "not-scanned": "yellow"}
_RULE_CLASSES = frozenset(PartClass)

Remarks = Mapping[str, Sequence[str]]


def show(parts: Iterable[Mapping[str, Any]], indent: int, remarks: Remarks | None = None) -> None:
    """One line a part, behind `indent` spaces; a part inside another one is indented further. Below it stand the
    `remarks` on its place, and the digest of a part that somebody may want to write an exception for."""
    for part in parts:
        place = part["place"]
        margin = " " * indent + "  " * (place.count(".") + place.count("/"))
        output.say(f"{margin}{_described(part)}", _VERDICTS.get(part["verdict"], ""))
        said = (remarks or {}).get(place, ())
        for remark in said:
            output.say(f"{margin}  -> {remark}", "yellow")
        if part["digest"] and (said or part["verdict"] != "clean"):
            output.say(f"{margin}   sha256 {part['digest']}", "dim")


def exceptions(decisions: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Remarks on the exceptions that were used."""
    used: dict[str, list[str]] = {}
    for decision in decisions:
        for use in decision.get("exceptions", ()):
            grounds = f"{use['reason']} ({use['made_by']}, until {use['expires']})"
            used.setdefault(use["place"], []).append(f"{use['waived']}, excepted by {use['rule']}: {grounds}")
    return used


def _described(part: Mapping[str, Any]) -> str:
    """`2/1 setup.exe  application/x-dosexec, 74 bytes, executable: clean`."""
    others = [name for name in part.get("names", ()) if name != part["name"]]
    also = f" (also {', '.join(others)})" if others else ""
    name = f" {part['name']}{also}" if part["name"] else ""
    kind = part["detected_type"] or part["declared_type"] or "unknown type"
    classes = "".join(f", {name}" for name in part.get("classes", ()) if name in _RULE_CLASSES)
    why = part["signature"] or part["reason"] or ""
    detail = f" ({part['detail']})" if part["detail"] and part["detail"] != why else ""
    found = f"{part['verdict']} {why}".rstrip()
    return f"{part['place'] or '*'}{name}  {kind}, {part['size']} bytes{classes}: {found}{detail}"
