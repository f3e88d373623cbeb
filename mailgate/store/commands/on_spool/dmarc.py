"""Commands on what others report of the tenants' domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailgate.model.address import AddressError, parse_domain
from mailgate.model.errors import UserError
from mailgate.records.dmarc_summary import summary
from mailgate.spool.coverage import day_of
from mailgate.spool.dmarc_received import KEPT_DAYS
from mailgate.store.commands.on_spool.desk import Desk, Json


def _summary(desk: Desk, domain: str, tenant: str = "", days: int = 30) -> Json:
    """See records.dmarc_summary; of the last `days` days and today. UserError."""
    if not 1 <= days <= KEPT_DAYS:
        raise UserError(f"days {days}: give 1 to {KEPT_DAYS}")
    try:
        name = parse_domain(domain)
    except AddressError as error:
        raise UserError(f"{domain!r} is no domain: {error}") from None
    since = day_of(desk.clock()) - days
    counted = desk.listing.dmarc_sources(tenant, name, since)
    return {"domain": name, "days": days, **summary(counted, desk.listing.dmarc_reporters(tenant, name, since))}


COMMANDS: dict[str, Callable[..., Any]] = {"dmarc.summary": _summary}
