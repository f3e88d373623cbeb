"""What others report of TLS with the mail hosts of tenants' domains (RFC 8460), one row a report."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import msgspec

from mailgate.model.received_report import TlsFailure, TlsReport
from mailgate.spool.coverage import day_of
from mailgate.spool.dmarc_received import KEPT_DAYS, MOST_REPORTS

_KNOWN = "SELECT count(*) FROM tls_received WHERE tenant = ? AND domain = ? AND day = ?"
_ADD = "INSERT OR IGNORE INTO tls_received VALUES (?,?,?,?,?,?,?,?)"
_SINCE = """SELECT domain, reporter, successes, failed, failures FROM tls_received
    WHERE ?1 IN ('', tenant) AND day >= ?2 ORDER BY domain, reporter, day"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[TlsFailure, ...]).decode


def add(connection: apsw.Connection, tenant: str, now: float, reports: Sequence[TlsReport]) -> None:
    """`now` in seconds since 1970. What was told before, or is about days that can't be, does not count."""
    for report in reports:
        day = day_of(report.begin)
        if not day_of(now) - KEPT_DAYS <= day <= day_of(now) + 1:
            continue
        known = connection.execute(_KNOWN, (tenant, report.domain, day)).get
        if known < MOST_REPORTS:
            figures = (report.successes, report.failed, _encode(report.failures))
            row = (tenant, report.domain, day, report.reporter, report.report_id, *figures)
            connection.execute(_ADD, row)


def since(connection: apsw.Connection, tenant: str, day: int) -> list[TlsReport]:
    """From this day (since 1970) on; `tenant` empty: of any."""
    rows = connection.execute(_SINCE, (tenant, day))
    return [
        TlsReport(reporter, "", domain, 0, successes, failed, _decode(failures))
        for domain, reporter, successes, failed, failures in rows
    ]


def forget(connection: apsw.Connection, before: int) -> None:
    """Days before this one."""
    connection.execute("DELETE FROM tls_received WHERE day < ?", (before,))
