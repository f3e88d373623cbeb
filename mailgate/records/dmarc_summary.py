"""What reports tell of mail in a domain's name, by the addresses it came from: the bad ones first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

Counted = tuple[str, str, bool, bool, int]
"""(source, disposition, DKIM passed and aligned, SPF passed and aligned, messages)."""


def summary(counted: Iterable[Counted], reporters: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """{"reports": their number, "reporters": {name: reports}, "messages", "failed": of them neither by DKIM nor by SPF
    aligned, "sources": [{"source", "messages", "failed", "dkim", "spf": aligned by it, "failed_and": what became of
    those that failed}]}."""
    listed = [_source(source, list(rows)) for source, rows in groupby(sorted(counted), key=lambda each: each[0])]
    listed.sort(key=lambda each: (-each["failed"], -each["messages"], each["source"]))
    return {
        "reports": sum(number for _, number in reporters),
        "reporters": dict(reporters),
        "messages": sum(each["messages"] for each in listed),
        "failed": sum(each["failed"] for each in listed),
        "sources": listed,
    }


def _source(source: str, counted: Sequence[Counted]) -> dict[str, Any]:
    failed: Counter[str] = Counter()
    for _, disposition, dkim, spf, messages in counted:
        if not dkim and not spf:
            failed[disposition] += messages
    return {
        "source": source,
        "messages": sum(each[4] for each in counted),
        "failed": failed.total(),
        "dkim": sum(each[4] for each in counted if each[2]),
        "spf": sum(each[4] for each in counted if each[3]),
        "failed_and": dict(failed.most_common()),
    }
