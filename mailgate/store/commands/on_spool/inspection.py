"""Commands on what was scanned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailgate.model.errors import UserError
from mailgate.records.coverage_report import report
from mailgate.spool.coverage import KEPT_DAYS, day_of
from mailgate.store.commands.on_spool.desk import Desk, Json


def _report(desk: Desk, tenant: str = "", days: int = 7) -> list[Json]:
    """See records.coverage_report; the last `days` days, today included."""
    if not 1 <= days <= KEPT_DAYS:
        raise UserError(f"days {days}: give 1 to {KEPT_DAYS}")
    today = day_of(desk.clock())
    asked = today - days + 1, today, tenant
    return report(desk.listing.coverage(*asked), desk.listing.remembered(*asked))


COMMANDS: dict[str, Callable[..., Any]] = {"inspection.report": _report}
