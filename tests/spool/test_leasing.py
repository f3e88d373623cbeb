"""Who comes next: nobody waits for another's million messages."""

from __future__ import annotations

from collections import Counter

import pytest

from mailgate.model.outcome import Outcome, State
from mailgate.spool.queue import Attempt, Finished, Route
from mailgate.spool.sqlite import SqliteSpool
from tests.spool.making import NOW, entry, keep, local, outside


def take(spool: SqliteSpool, route: Route, limit: int, *excluded: str, now: float = NOW) -> list[Attempt]:
    spool.begin()
    attempts = spool.lease(route, "relay", limit, now, 600, excluded)
    spool.commit()
    return attempts


def everything(spool: SqliteSpool, route: Route, limit: int) -> list[list[Attempt]]:
    rounds = []
    while found := take(spool, route, limit):
        rounds.append(found)
    return rounds


@pytest.mark.parametrize("route", [Route.LOCAL, Route.RELAY])
def test_a_small_tenant_is_served_in_the_first_round(spool: SqliteSpool, route: Route) -> None:
    def recipient(n: int) -> str:
        return f"user{n}@one.example"

    big = [entry(*_to(route, recipient(n)), tenant="big") for n in range(300)]
    keep(
        spool,
        *big,
        entry(*_to(route, "a@two.example"), tenant="small"),
        entry(*_to(route, "b@two.example"), tenant="zz"),
    )
    first = take(spool, route, 20)
    assert len(first) == 20
    assert {attempt.tenant for attempt in first} == {"big", "small", "zz"}


def _to(route: Route, path: str) -> list:  # type: ignore[type-arg]
    return [local(path)] if route is Route.LOCAL else [outside(path)]


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("route", [Route.LOCAL, Route.RELAY])
def test_everything_is_leased_once(spool: SqliteSpool, route: Route, limit: int) -> None:
    for tenant in ("a", "b", "c"):
        keep(spool, *(entry(*_to(route, f"u{n}@d{n % 5}.example"), tenant=tenant) for n in range(20)))
    taken = [attempt for found in everything(spool, route, limit) for attempt in found]
    assert len(taken) == 60
    assert max(Counter(attempt.message for attempt in taken).values()) == 1


def test_with_a_limit_of_one_tenants_take_turns(spool: SqliteSpool) -> None:
    for tenant in ("a", "b", "c"):
        keep(spool, *(entry(tenant=tenant) for _ in range(3)))
    order = [found[0].tenant for found in everything(spool, Route.LOCAL, 1)]
    assert order == ["a", "b", "c"] * 3


def test_destinations_of_a_tenant_take_turns(spool: SqliteSpool) -> None:
    keep(spool, *(entry(outside(f"u{n}@busy.example")) for n in range(100)))
    keep(spool, entry(outside("x@quiet.example")))
    assert "quiet.example" in {attempt.destination for attempt in take(spool, Route.RELAY, 10)}


def test_the_share_of_a_turn_is_divided_among_destinations(spool: SqliteSpool) -> None:
    keep(spool, *(entry(outside(f"u{n}@{name}.example")) for name in ("a", "b", "c") for n in range(300)))
    taken = Counter(attempt.destination for attempt in take(spool, Route.RELAY, 160))
    assert set(taken) == {"a.example", "b.example", "c.example"}
    assert max(taken.values()) - min(taken.values()) <= 160 // 16


def test_a_queue_to_one_destination_is_not_asked_for_row_by_row(spool: SqliteSpool) -> None:
    keep(spool, *(entry(outside(f"u{n}@d.example")) for n in range(160)))
    statements: list[str] = []
    spool._connection.set_exec_trace(lambda cursor, sql, bound: not statements.append(sql))
    assert len(take(spool, Route.RELAY, 160)) == 160
    assert sum(sql.lstrip().startswith("SELECT") for sql in statements) < 160 // 2


def test_excluded_destinations_wait_and_hold_up_nobody(spool: SqliteSpool) -> None:
    keep(spool, *(entry(outside(f"u{n}@hanging.example")) for n in range(100)))
    keep(spool, *(entry(outside(f"u{n}@good.example")) for n in range(5)))
    taken = take(spool, Route.RELAY, 50, "hanging.example")
    assert [attempt.destination for attempt in taken] == ["good.example"] * 5
    assert len(take(spool, Route.RELAY, 500)) == 100


def test_local_and_relay_are_apart(spool: SqliteSpool) -> None:
    keep(spool, entry(local(), outside("x@else.example")))
    assert [attempt.mailbox for attempt in take(spool, Route.LOCAL, 10)] == ["box-bob"]
    assert [attempt.destination for attempt in take(spool, Route.RELAY, 10)] == ["else.example"]


def test_the_one_that_has_waited_longest_comes_first(spool: SqliteSpool) -> None:
    keep(spool, entry(outside("new@d.example")), now=NOW)
    keep(spool, entry(outside("old@d.example")), now=NOW - 100)
    assert [attempt.forward_path for attempt in take(spool, Route.RELAY, 1)] == ["old@d.example"]


def test_nothing_is_leased_before_its_time(spool: SqliteSpool) -> None:
    keep(spool, entry(outside("x@d.example")), now=NOW + 5)
    assert take(spool, Route.RELAY, 10) == []
    assert len(take(spool, Route.RELAY, 10, now=NOW + 5)) == 1


def test_a_deferred_destination_leaves_the_turn_to_others(spool: SqliteSpool) -> None:
    keep(spool, *(entry(outside(f"u{n}@late.example")) for n in range(3)), entry(outside("x@on.example")))
    late = take(spool, Route.RELAY, 3, "on.example")
    spool.begin()
    spool.record([Finished(attempt, Outcome(State.QUEUED, "busy")) for attempt in late], NOW)
    spool.commit()
    assert [attempt.destination for attempt in take(spool, Route.RELAY, 10)] == ["on.example"]
    assert len(take(spool, Route.RELAY, 10, now=NOW + 400)) == 3


@pytest.mark.parametrize("route", [Route.LOCAL, Route.RELAY])
def test_a_lease_looks_at_no_more_rows_than_it_takes(spool: SqliteSpool, route: Route) -> None:
    """Counted in steps of the database's machine: a queue ten times as long must not cost ten times as much."""

    def cost() -> int:
        steps = 0

        def count() -> bool:
            nonlocal steps
            steps += 1
            return False

        spool._connection.set_progress_handler(count, 10)
        taken = take(spool, route, 20)
        spool._connection.set_progress_handler(None)
        assert len(taken) == 20
        return steps

    keep(spool, *(entry(*_to(route, f"u{n}@d{n % 7}.example"), tenant=f"t{n % 3}") for n in range(100)))
    short = cost()
    keep(spool, *(entry(*_to(route, f"u{n}@d{n % 7}.example"), tenant=f"t{n % 3}") for n in range(1500)))
    assert cost() < 1.5 * short + 20
