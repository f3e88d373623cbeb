"""Commands on what the spool knows of outbound transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailgate.records.transport_report import AttemptLine, report
from mailgate.store.commands.on_spool.desk import Desk, Json


def _report(desk: Desk, tenant: str = "", since: float = 0.0) -> Json:
    """See records.transport_report; `since` in seconds since 1970."""
    lines = desk.listing.attempts(since, tenant)
    return report(AttemptLine(kind, recipient.rpartition("@")[2], facts) for kind, recipient, facts in lines)


COMMANDS: dict[str, Callable[..., Any]] = {"transport.report": _report}
