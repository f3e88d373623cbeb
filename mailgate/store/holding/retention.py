"""Deletes what is kept for too long: timelines of messages, and messages in quarantine, by each tenant's policy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mailgate.model.outcome import State
from mailgate.policy.snapshot import Snapshot
from mailgate.spool import dmarc_counts, dmarc_received
from mailgate.spool.coverage import KEPT_DAYS, day_of
from mailgate.spool.listing import Filter, Row
from mailgate.spool.queue import Moved, Selection, SpoolStore
from mailgate.spool.schedule import DAY
from mailgate.store.commands.on_spool.desk import Desk, clear

STEP = 500


def sweep(desk: Desk) -> tuple[int, int]:
    """Blocking, in small steps. How many (messages expired in quarantine, timelines deleted)."""
    policy, now = desk.policy(), desk.clock()
    desk.write(lambda spool: spool.forget_coverage(day_of(now) - KEPT_DAYS))
    desk.write(lambda spool: spool.forget_reports(day_of(now) - dmarc_counts.KEPT_DAYS))
    desk.write(lambda spool: spool.forget_received_reports(day_of(now) - dmarc_received.KEPT_DAYS))
    return _expire_quarantine(desk, policy, now), _forget_timelines(desk, policy, now)


def _expire_quarantine(desk: Desk, policy: Snapshot, now: float) -> int:
    expired: set[str] = set()
    after = (0, -1)
    while rows := desk.listing.page(Filter(state=State.QUARANTINED), after, STEP):
        after = (rows[-1].message, rows[-1].n)
        for row in rows:
            days = policy.for_tenant(row.tenant).retention.quarantine_days
            if row.received_at < now - days * DAY and row.queue_id not in expired:
                expired.add(row.queue_id)
                _expire(desk, row, days, now)
    return len(expired)


def _expire(desk: Desk, row: Row, days: int, now: float) -> None:
    selection = Selection(row.queue_id, frozenset({State.QUARANTINED}))

    def apply(spool: SpoolStore) -> Moved:
        return spool.move(selection, State.EXPIRED, now, "retention", f"in quarantine for more than {days} days")

    desk.write(apply, partial(clear, desk))


def _forget_timelines(desk: Desk, policy: Snapshot, now: float) -> int:
    days: Callable[[str], int] = lambda tenant: policy.for_tenant(tenant).retention.timeline_days  # noqa: E731
    shortest = min(days(tenant) for tenant in ("", *policy.tenants))
    forgotten, after = 0, 0
    while rows := desk.listing.messages_before(now - shortest * DAY, after, STEP):
        after = rows[-1][0]
        old = [message for message, tenant, received_at in rows if received_at < now - days(tenant) * DAY]
        if old:
            desk.write(partial(_forget, old))
            forgotten += len(old)
    return forgotten


def _forget(messages: list[int], spool: SpoolStore) -> None:
    spool.forget(messages)
