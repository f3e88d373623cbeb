"""Finding waiting recipients by what no index covers: a step looks at a bounded number of rows, so that no list takes
long whatever the size of the queue."""

from __future__ import annotations

from dataclasses import dataclass

from mailgate.spool.listing import Filter, Key, Listing, Row

MOST_EXAMINED = 10_000  # rows of one step


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that are given must hold. `reason`: text within the reason, in any case; `forward_path`: exactly, or with an
    `@` in front every address of a domain; `rule`: text within the name of the rule that decided when it came in, in
    any case."""

    reason: str = ""
    forward_path: str = ""
    rule: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.reason or self.forward_path or self.rule)

    def holds(self, forward_path: str, reason: str, rule: str) -> bool:
        given, path = self.forward_path.lower(), forward_path.lower()
        if given and not (path.endswith(given) if given.startswith("@") else path == given):
            return False
        return self.reason.lower() in reason.lower() and self.rule.lower() in rule.lower()


@dataclass(frozen=True, slots=True)
class Step:
    """`rows` in order; `next` is where the search goes on, None where it is over. A step may find nothing and not be
    over."""

    rows: list[Row]
    next: Key | None


def search(listing: Listing, chosen: Filter, wanted: Wanted, after: Key, limit: int) -> Step:
    """Oldest first, up to `limit` rows after the row `after`."""
    if wanted.is_empty:
        rows = listing.page(chosen, after, limit)
        return Step(rows, (rows[-1].message, rows[-1].n) if len(rows) == limit else None)
    found: list[Key] = []
    examined, last = 0, after
    for message, n, *words in listing.outlines(chosen, after, MOST_EXAMINED):
        examined, last = examined + 1, (message, n)
        if wanted.holds(*words):
            found.append(last)
            if len(found) == limit:
                break
    is_over = examined < MOST_EXAMINED and len(found) < limit
    return Step(listing.rows_at(found), None if is_over else last)
