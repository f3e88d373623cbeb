"""Commands on what the spool knows of outbound transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailgate.records.transport_report import AttemptLine, report, reported
from mailgate.spool.coverage import day_of
from mailgate.store.commands.on_spool.desk import Desk, Json


def _report(desk: Desk, tenant: str = "", since: float = 0.0) -> Json:
    """See records.transport_report; `since` in seconds since 1970. `reported`: what others tell of TLS with our hosts,
    [{"domain", "reporter", "reports", "sessions", "failed", "why"}]."""
    lines = desk.listing.attempts(since, tenant)
    found = report(AttemptLine(kind, recipient.rpartition("@")[2], facts) for kind, recipient, facts in lines)
    return found | {"reported": reported(desk.listing.tls_reports(tenant, day_of(since)))}


COMMANDS: dict[str, Callable[..., Any]] = {"transport.report": _report}
