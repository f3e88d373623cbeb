"""The daily figures: which share of the parts of a tenant's messages was fully scanned, and of how many the verdict was
remembered. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from mailgate.model.verdict import Verdict

Counted = tuple[int, str, str, str, int]
"""(day since 1970, tenant, verdict, reason, parts)."""
Remembered = tuple[int, str, int, int]
"""(day since 1970, tenant, contents, of which the verdict was remembered)."""


def report(counted: Iterable[Counted], remembered: Iterable[Remembered]) -> list[dict[str, Any]]:
    """Of counts in order of day and tenant: for each day and tenant {"day": ISO date, "tenant", "parts", "clean",
    "infected", "suspicious", "not_scanned": parts by reason, "share": of the parts that were scanned, 0 to 1,
    "remembered": share of the contents whose verdict was known from an earlier scan, 0 to 1}."""
    known = {(day, tenant): number / contents for day, tenant, contents, number in remembered if contents}
    by_day = groupby(counted, key=lambda each: each[:2])
    return [_day(key, list(counts), known.get(key, 0.0)) for key, counts in by_day]


def _day(key: tuple[int, str], counts: list[Counted], remembered: float) -> dict[str, Any]:
    day, tenant = key
    of = {verdict: sum(each[4] for each in counts if each[2] == verdict) for verdict in Verdict}
    parts = sum(of.values())
    return {
        "day": (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat(),
        "tenant": tenant,
        "parts": parts,
        "clean": of[Verdict.CLEAN],
        "infected": of[Verdict.INFECTED],
        "suspicious": of[Verdict.SUSPICIOUS],
        "not_scanned": {reason: number for _, _, verdict, reason, number in counts if verdict == Verdict.NOT_SCANNED},
        "share": (parts - of[Verdict.NOT_SCANNED]) / parts if parts else 1.0,
        "remembered": remembered,
    }
