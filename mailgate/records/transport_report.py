"""How private mail has left: shares by level, destinations below forward secrecy, what was lost on the way and why.
Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mailgate.model.level import TransportLevel
from mailgate.model.received_report import TlsReport

MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One line of a timeline that an attempt of the relay left: `kind` is the state it led to, `destination` the
    recipient's domain."""

    kind: str
    destination: str
    facts: dict[str, Any]


def report(lines: Iterable[AttemptLine]) -> dict[str, Any]:
    """Plain JSON values: `relayed`, `levels` (number and share each), `below_forward_secrecy`, `downgrades` and
    `held_back` (mail that waited or bounced since no connection was private enough)."""
    levels: Counter[str] = Counter()
    below: Counter[tuple[str, str, str, str]] = Counter()
    downgrades: Counter[str] = Counter()
    held_back: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        level = str(line.facts.get("level", ""))
        steps = [str(step).removesuffix(" (learned before)") for step in line.facts.get("steps_down", ())]
        host = str(line.facts.get("host", ""))
        if line.kind == "relayed" and level:
            levels[level] += 1
            downgrades.update(steps)
            if TransportLevel(level) < TransportLevel.FORWARD_SECRET:
                below[line.destination, host, level, steps[-1] if steps else ""] += 1
        elif line.facts.get("fault") == "below-floor":
            held_back[line.destination, host, str(line.facts.get("text", ""))] += 1
    total = sum(levels.values())
    return {
        "relayed": total,
        "levels": {
            level.value: {"messages": levels[level.value], "share": _share(levels[level.value], total)}
            for level in reversed(TransportLevel)
        },
        "below_forward_secrecy": _rows(("destination", "host", "level", "why"), below),
        "downgrades": [{"why": why, "messages": number} for why, number in downgrades.most_common(MOST_ROWS)],
        "held_back": _rows(("destination", "host", "why"), held_back),
    }


def reported(reports: Iterable[TlsReport]) -> list[dict[str, Any]]:
    """Of the TLS reports of others: a row for each domain and reporter; `why` names what failed most."""
    groups: dict[tuple[str, str], list[TlsReport]] = {}
    for each in reports:
        groups.setdefault((each.domain, each.reporter), []).append(each)
    return [
        {
            "domain": domain,
            "reporter": reporter,
            "reports": len(group),
            "sessions": sum(each.successes + each.failed for each in group),
            "failed": sum(each.failed for each in group),
            "why": _why(group),
        }
        for (domain, reporter), group in groups.items()
    ][:MOST_ROWS]


def _why(group: list[TlsReport]) -> str:
    counted: Counter[str] = Counter()
    for failure in (failure for each in group for failure in each.failures):
        counted[f"{failure.result} at {failure.host}" if failure.host else failure.result] += failure.sessions
    return ", ".join(f"{number} {name}" for name, number in counted.most_common(3))


def _share(number: int, total: int) -> float:
    return round(number / total, 4) if total else 0.0


def _rows(names: tuple[str, ...], counted: Counter[Any]) -> list[dict[str, Any]]:
    return [
        {**dict(zip(names, key, strict=True)), "messages": number} for key, number in counted.most_common(MOST_ROWS)
    ]
