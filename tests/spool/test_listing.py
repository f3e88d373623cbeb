"""Lists of what waits: filters, pages, and that they use an index whatever the size of the queue."""

from __future__ import annotations

import pytest

from mailgate.model.decision import Action
from mailgate.spool.listing import Filter, Listing, Row
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import NOW, entry, keep, local, outside


def paths(rows: list[Row]) -> list[str]:
    return [row.forward_path for row in rows]


@pytest.fixture
def filled(spool: SqliteSpool) -> None:
    keep(spool, entry(local("old@acme.example"), at=NOW - 7200, reverse_path="x@one.example"))
    keep(spool, entry(outside("out@else.example"), at=NOW - 3600, reverse_path=""))
    keep(spool, entry(local("in@globex.example"), tenant="globex", action=Action.QUARANTINE, at=NOW - 60))
    keep(spool, entry(local("held@acme.example"), action=Action.HOLD, at=NOW - 30, reverse_path="x@one.example"))


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Filter(), ["old@acme.example", "out@else.example", "in@globex.example", "held@acme.example"]),
        (Filter(tenant="acme"), ["old@acme.example", "out@else.example", "held@acme.example"]),
        (Filter(tenant="globex", state="quarantined"), ["in@globex.example"]),
        (Filter(tenant="acme", state="quarantined"), []),
        (Filter(state="queued"), ["old@acme.example", "out@else.example"]),
        (Filter(destination="else.example"), ["out@else.example"]),
        (Filter(reverse_path="x@one.example"), ["old@acme.example", "held@acme.example"]),
        (Filter(reverse_path=""), ["out@else.example"]),
        (Filter(older_than=NOW - 3000), ["old@acme.example", "out@else.example"]),
        (Filter(younger_than=NOW - 3000), ["in@globex.example", "held@acme.example"]),
        (Filter(older_than=NOW - 45, younger_than=NOW - 5000), ["out@else.example", "in@globex.example"]),
        (Filter(older_than=NOW - 9000), []),
        (Filter(younger_than=NOW + 9000), []),
        (Filter(tenant="acme", reverse_path="x@one.example", state="held"), ["held@acme.example"]),
    ],
)
def test_filters(listing: Listing, chosen: Filter, expected: list[str]) -> None:
    assert paths(listing.page(chosen)) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pages_join_to_the_whole(spool: SqliteSpool, listing: Listing, size: int) -> None:
    for n in range(5):
        keep(spool, entry(outside(f"a{n}@x.example"), outside(f"b{n}@x.example"), at=NOW + n))
    whole = paths(listing.page(Filter()))
    found: list[str] = []
    after = (0, -1)
    while rows := listing.page(Filter(destination="x.example"), after, size):
        found += paths(rows)
        after = (rows[-1].message, rows[-1].n)
    assert found == whole
    assert len(whole) == 10


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        (Filter(tenant="acme"), "by_tenant"),
        (Filter(tenant="acme", state="quarantined"), "by_tenant_state"),
        (Filter(state="held"), "by_state"),
        (Filter(destination="else.example"), "by_destination"),
        (Filter(reverse_path="x@one.example"), "by_reverse_path"),
        (Filter(tenant="acme", older_than=NOW), "by_tenant"),
        (Filter(), "PRIMARY KEY"),
    ],
)
def test_each_filter_has_its_index_and_needs_no_sort(listing: Listing, chosen: Filter, index: str) -> None:
    seen: list[str] = []

    def explain(cursor: object, sql: str, bound: object) -> bool:
        if sql.startswith("SELECT r.message"):
            plan = listing._connection.cursor()
            plan.exec_trace = None
            seen.extend(str(row[3]) for row in plan.execute("EXPLAIN QUERY PLAN " + sql, bound))  # type: ignore[call-overload]
        return True

    listing._connection.exec_trace = explain  # type: ignore[assignment]
    listing.page(chosen)
    listing._connection.exec_trace = None
    plan = "\n".join(seen)
    assert f"{index} (" in plan, plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.usefixtures("filled")
def test_summary_and_counts(listing: Listing) -> None:
    assert listing.counts() == {"queued": 2, "quarantined": 1, "held": 1}
    assert listing.counts("globex") == {"quarantined": 1}
    assert listing.oldest_queued() == NOW - 7200
    rows = listing.summary("acme")
    assert ("else.example", "queued", "", 1, NOW - 3600) in rows
    assert all(row[0] != "globex.example" for row in rows)


def test_an_empty_spool(listing: Listing) -> None:
    assert listing.counts() == {}
    assert listing.oldest_queued() is None
    assert listing.summary() == []
