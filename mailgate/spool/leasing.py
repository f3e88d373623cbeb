"""Which due recipients are attempted next: every tenant gets its turn, and for the relay every destination of a tenant,
so that one with a million messages delays nobody else. Where the last call stopped is remembered in memory only."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

import apsw

from mailgate.spool.queue import CONTENT_COLUMNS, Attempt, Content, Route

_DUE = {
    Route.LOCAL: "listed = 1 AND state = 'queued' AND mailbox <> ''",
    Route.RELAY: "listed = 1 AND state = 'queued' AND mailbox = ''",
}
# named, since without statistics the planner takes an index by state and looks at a whole queue
_BY_LANE = {Route.LOCAL: "local_due", Route.RELAY: "relay_due"}
_BY_TIME = {Route.LOCAL: "local_due_at", Route.RELAY: "relay_due_at"}
_COLUMNS = f"""r.message, r.n, m.queue_id, r.tenant, r.forward_path, r.mailbox, r.destination, r.position,
    r.attempts, r.received_at, r.expires_at, r.notice_at, r.notify, r.is_proven, {CONTENT_COLUMNS}"""
_TAKE = f"""SELECT {_COLUMNS}, c.bytes
    FROM recipient r INDEXED BY {{index}} JOIN message m ON m.id = r.message LEFT JOIN content c ON c.id = r.message
    WHERE {{lane}} AND r.next_attempt_at <= ? AND {{due}} ORDER BY r.next_attempt_at LIMIT ?"""  # noqa: S608
_FIND = f"""SELECT {_COLUMNS}, r.lease_holder
    FROM recipient r JOIN message m ON m.id = r.message WHERE r.message = ? AND r.n = ?"""  # noqa: S608
_MARK = """UPDATE recipient SET attempts = attempts + 1, lease_holder = ?, lease_until = ?2, next_attempt_at = ?2
    WHERE message = ? AND n = ?"""
_RELEASE_ALL = (
    "UPDATE recipient SET lease_holder = '', lease_until = 0, next_attempt_at = ?, listed = 1 WHERE lease_holder <> ''"
)
_RELEASE_RELAY = """UPDATE recipient SET lease_holder = '', lease_until = 0, next_attempt_at = ?1
    WHERE listed = 1 AND state = 'queued' AND mailbox = '' AND lease_holder NOT IN ('', ?2)"""

_LOOKS_A_TURN = 1_000


class Leasing:
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._last_tenant = {Route.LOCAL: "", Route.RELAY: ""}
        self._last_destination: dict[str, str] = {}

    def lease(
        self, route: Route, holder: str, limit: int, now: float, seconds: float, excluded: Collection[str]
    ) -> list[Attempt]:
        due = self.next_due(route)
        if due is None or due > now:
            return []
        share = max(1, limit // 16)
        taken: list[Attempt] = []
        tenants: Iterable[str] = self._tenants(route)
        while tenants and len(taken) < limit:
            hungry: list[str] = []
            for tenant in tenants:
                self._last_tenant[route] = tenant
                rows = self._turn(route, tenant, min(share, limit - len(taken)), now, excluded)
                taken += [self._take(row, holder, now + seconds) for row in rows]
                if len(taken) >= limit:
                    break
                if rows:
                    hungry.append(tenant)
            tenants = hungry
        return taken

    def next_due(self, route: Route) -> float | None:
        """When the first row of `route` is due, leases that run out included."""
        found: float | None = self._connection.execute(
            f"SELECT min(next_attempt_at) FROM recipient INDEXED BY {_BY_TIME[route]} WHERE {_DUE[route]}"  # noqa: S608
        ).get
        return found

    def release_all(self, now: float) -> int:
        self._connection.execute(_RELEASE_ALL, (now,))
        return self._connection.changes()

    def release_relay(self, holder: str, now: float) -> int:
        self._connection.execute(_RELEASE_RELAY, (now, holder))
        return self._connection.changes()

    def _tenants(self, route: Route) -> Iterator[str]:
        query = _smallest("tenant", route, "tenant > ?")
        return self._ring(query, (), self._last_tenant[route])

    def _ring(self, query: str, bound: tuple[str, ...], last: str) -> Iterator[str]:
        """All values in order, once each, beginning after `last` and going round."""
        value = last
        while (value := self._connection.execute(query, (*bound, value)).get) is not None:
            yield value
        value = ""
        while (value := self._connection.execute(query, (*bound, value)).get) is not None and value <= last:
            yield value

    def _turn(
        self, route: Route, tenant: str, share: int, now: float, excluded: Collection[str]
    ) -> list[tuple[Any, ...]]:
        if route is Route.LOCAL:
            return self._due(route, "r.tenant = ?", (tenant,), now, share)
        rows: list[tuple[Any, ...]] = []
        others = self._destinations(tenant, excluded)
        while len(rows) < share and (group := list(itertools.islice(others, share - len(rows)))):
            each = (share - len(rows)) // len(group)
            for destination in group:
                rows += self._due(route, "r.tenant = ? AND r.destination = ?", (tenant, destination), now, each)
        return rows

    def _destinations(self, tenant: str, excluded: Collection[str]) -> Iterator[str]:
        """Those whose turn it is, in their order."""
        query = _smallest("destination", Route.RELAY, "tenant = ? AND destination > ?")
        ring = self._ring(query, (tenant,), self._last_destination.get(tenant, ""))
        for destination in itertools.islice(ring, _LOOKS_A_TURN):
            self._last_destination[tenant] = destination
            if destination not in excluded:
                yield destination

    def _due(self, route: Route, lane: str, bound: tuple[str, ...], now: float, limit: int) -> list[tuple[Any, ...]]:
        statement = _TAKE.format(lane=lane, due=_DUE[route], index=_BY_LANE[route])
        return list(self._connection.execute(statement, (*bound, now, limit)))

    def _take(self, row: tuple[Any, ...], holder: str, until: float) -> Attempt:
        self._connection.execute(_MARK, (holder, until, row[0], row[1]))
        content = replace(Content.of_row(*row[14:19]), inline=row[19])
        counted = (*row[:8], row[8] + 1, *row[9:])
        return _attempt(counted, holder, content)

    def find(self, message: int, n: int) -> Attempt | None:
        row = self._connection.execute(_FIND, (message, n)).fetchone()
        if row is None:
            return None
        return _attempt(row, row[19], Content.of_row(*row[14:19]))


def _smallest(column: str, route: Route, among: str) -> str:
    return f"SELECT min({column}) FROM recipient INDEXED BY {_BY_LANE[route]} WHERE {_DUE[route]} AND {among}"  # noqa: S608


def _attempt(row: tuple[Any, ...], holder: str, content: Content) -> Attempt:
    notify, is_proven = row[12:14]
    return Attempt(
        *row[:12],
        notify=tuple(notify.split(",")) if notify else (),
        is_proven=bool(is_proven),
        holder=holder,
        content=content,
    )
