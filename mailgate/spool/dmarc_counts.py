"""What inbound mail showed of its authors' domains, counted by day until the domain has its report (RFC 9990). Counted
when a message is put on record, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import apsw
import msgspec

from mailgate.model.dmarc import Counted, Seen
from mailgate.model.envelope import TenantName
from mailgate.spool.coverage import day_of

MOST_DOMAINS = 1_000  # that one tenant reports to in a day
MOST_KINDS = 5_000  # of messages that one report tells of
KEPT_DAYS = 7

_AGAIN = """UPDATE dmarc_seen SET messages = messages + 1
    WHERE day = ? AND tenant = ? AND domain = ? AND seen = ?"""
_KINDS = "SELECT domain, count(*) FROM dmarc_seen WHERE day = ? AND tenant = ? GROUP BY domain"
_NEXT = """SELECT day, tenant, domain FROM dmarc_seen
    WHERE (day, tenant, domain) > (?, ?, ?) AND day < ? ORDER BY day, tenant, domain LIMIT 1"""
_OF_DAY = """SELECT seen, messages FROM dmarc_seen WHERE day = ? AND tenant = ? AND domain = ?
    ORDER BY messages DESC"""

_encode = msgspec.json.Encoder().encode
_seen = msgspec.json.Decoder(Seen).decode


@dataclass(frozen=True, slots=True, order=True)
class ReportKey:
    """One report: `day` since 1970 (UTC), `domain` whose policy it is about."""

    day: int
    tenant: TenantName
    domain: str


FIRST = ReportKey(-1, TenantName(""), "")
"""Comes before every report."""


def next_report(connection: apsw.Connection, after: ReportKey, before_day: int) -> ReportKey | None:
    """The first one after `after` of a day before `before_day`."""
    found = connection.execute(_NEXT, (after.day, after.tenant, after.domain, before_day)).fetchone()
    return ReportKey(*found) if found is not None else None


def counted(connection: apsw.Connection, key: ReportKey) -> tuple[Counted, ...]:
    """What the report tells, the most frequent first."""
    rows = connection.execute(_OF_DAY, (key.day, key.tenant, key.domain))
    return tuple(Counted(_seen(encoded), messages) for encoded, messages in rows)


class DmarcCounts:
    """Writes through the spool's connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._day = -1
        self._kinds: dict[TenantName, dict[str, int]] = {}

    def count(self, tenant: TenantName, at: float, found: Iterable[Seen]) -> None:
        """One message of each. `at` in seconds since 1970. What goes beyond the limits is not counted: who sends mail
        under ever new names must not fill the disk."""
        for each in found:
            kinds = self._kinds_of(tenant, day_of(at))
            domain = each.policy.domain
            known = kinds.get(domain, 0)
            row = (day_of(at), tenant, domain, _encode(each))
            self._connection.execute(_AGAIN, row)
            is_new = not self._connection.changes()
            if is_new and known < MOST_KINDS and (known or len(kinds) < MOST_DOMAINS):
                self._connection.execute("INSERT INTO dmarc_seen VALUES (?,?,?,?,1)", row)
                kinds[domain] = known + 1

    def _kinds_of(self, tenant: TenantName, day: int) -> dict[str, int]:
        """By domain. Of no account where a transaction fails: it is a limit, not a figure."""
        if day != self._day:
            self._day, self._kinds = day, {}
        if tenant not in self._kinds:
            self._kinds[tenant] = dict(self._connection.execute(_KINDS, (day, tenant)))
        return self._kinds[tenant]

    def reported(self, key: ReportKey) -> bool:
        """It is made, or not to be made. False where it was before."""
        self._connection.execute(
            "DELETE FROM dmarc_seen WHERE day = ? AND tenant = ? AND domain = ?", (key.day, key.tenant, key.domain)
        )
        return self._connection.changes() > 0

    def forget(self, before: int) -> None:
        """Days before this one."""
        self._connection.execute("DELETE FROM dmarc_seen WHERE day < ?", (before,))
