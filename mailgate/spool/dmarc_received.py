"""What others report of mail in the names of tenants' domains, summed up by day and source; of the reports themselves
only which there were, so that none counts twice."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from mailgate.model.received_report import ReceivedReport
from mailgate.spool.coverage import day_of

KEPT_DAYS = 400
MOST_KINDS = 20_000  # of mail that is kept of one domain and day
MOST_REPORTS = 2_000  # about one domain and day

_ADD = """INSERT INTO dmarc_received VALUES (?,?,?,?,?,?,?,?)
    ON CONFLICT DO UPDATE SET messages = min(messages + excluded.messages, 1 << 50)"""
_OF_DOMAIN = """?1 IN ('', tenant) AND (domain = ?2 OR substr(domain, -length(?2) - 1) = '.' || ?2) AND day >= ?3"""
_SUMMED = f"""SELECT source, disposition, dkim, spf, sum(messages) FROM dmarc_received WHERE {_OF_DOMAIN}
    GROUP BY source, disposition, dkim, spf"""  # noqa: S608
_REPORTERS = f"SELECT reporter, count(*) FROM dmarc_report WHERE {_OF_DOMAIN} GROUP BY reporter ORDER BY 2 DESC, 1"  # noqa: S608


def by_source(
    connection: apsw.Connection, tenant: str, domain: str, since: int
) -> list[tuple[str, str, bool, bool, int]]:
    """(source, disposition, DKIM aligned, SPF aligned, messages) of the domain and those below it, from the day `since`
    (since 1970) on. `tenant` empty: of any."""
    rows = connection.execute(_SUMMED, (tenant, domain, since))
    return [(source, done, bool(dkim), bool(spf), messages) for source, done, dkim, spf, messages in rows]


def reporters(connection: apsw.Connection, tenant: str, domain: str, since: int) -> list[tuple[str, int]]:
    """How many reports came from whom, the most first."""
    return list(connection.execute(_REPORTERS, (tenant, domain, since)))


class DmarcReceived:
    """Writes through the spool's connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def add(self, tenant: str, now: float, reports: Sequence[ReceivedReport]) -> None:
        """`now` in seconds since 1970. What was told before, or is about days that can't be, does not count."""
        for report in reports:
            day = day_of(report.begin)
            if day_of(now) - KEPT_DAYS <= day <= day_of(now) + 1 and self._is_new(tenant, day, report):
                self._count(tenant, day, report)

    def _is_new(self, tenant: str, day: int, report: ReceivedReport) -> bool:
        key = (tenant, report.domain, day)
        known = self._connection.execute(
            "SELECT count(*) FROM dmarc_report WHERE tenant = ? AND domain = ? AND day = ?", key
        ).get
        if known >= MOST_REPORTS:
            return False
        row = (*key, report.reporter, report.report_id)
        self._connection.execute("INSERT OR IGNORE INTO dmarc_report VALUES (?,?,?,?,?)", row)
        return self._connection.changes() > 0

    def _count(self, tenant: str, day: int, report: ReceivedReport) -> None:
        key = (tenant, report.domain, day)
        known = self._connection.execute(
            "SELECT count(*) FROM dmarc_received WHERE tenant = ? AND domain = ? AND day = ?", key
        ).get
        for mail in report.mails[: max(0, MOST_KINDS - known)]:
            row = (*key, mail.source, mail.disposition, mail.dkim, mail.spf, mail.messages)
            self._connection.execute(_ADD, row)

    def forget(self, before: int) -> None:
        """Days before this one."""
        self._connection.execute("DELETE FROM dmarc_received WHERE day < ?", (before,))
        self._connection.execute("DELETE FROM dmarc_report WHERE day < ?", (before,))
