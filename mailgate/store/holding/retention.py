"""Deletes what is kept for too long, by each tenant's policy: messages in quarantine, timelines, audit entries, and
logins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial

from mailgate.model.envelope import TenantName
from mailgate.model.errors import UnavailableError
from mailgate.model.outcome import State
from mailgate.policy.snapshot import Snapshot
from mailgate.spool import dmarc_counts, dmarc_received
from mailgate.spool.coverage import KEPT_DAYS, day_of
from mailgate.spool.listing import Filter, Row
from mailgate.spool.queue import Moved, Selection, SpoolStore
from mailgate.spool.schedule import DAY
from mailgate.store.commands.on_spool.desk import Desk, clear, scrub
from mailgate.store.directory_thread import DirectoryThread
from mailgate.tenancy.directory import Directory

STEP = 500
SWEEP_SECONDS = 6 * 3600.0

_log = logging.getLogger(__name__)


class Retention:
    """Lives in the event loop; `thread` is the admin thread. `forget_logins` deletes those that are older than the days
    of their tenant."""

    def __init__(
        self,
        desk: Desk,
        thread: Executor,
        directory: DirectoryThread,
        forget_logins: Callable[[Callable[[TenantName], int]], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._thread = thread
        self._directory = directory
        self._forget_logins = forget_logins

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self._sweep()
            except Exception:
                _log.exception("the retention sweep failed; it is tried again")

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        clock = await loop.run_in_executor(self._thread, self._desk.listing.clock)
        if clock is not None and clock.is_in_doubt:
            _log.error("retention: nothing is deleted while the clock is in doubt: see `mailgate clock show`")
            return
        expired, forgotten, refusals = await loop.run_in_executor(self._thread, sweep, self._desk)
        pruned = await self._prune_audits()
        await self._forget_logins(lambda tenant: self._desk.policy().for_tenant(tenant).retention.login_days)
        _log.info(
            "retention: %d quarantined messages expired; deleted: %d timelines, %d refusals, %d audit entries",
            expired,
            forgotten,
            refusals,
            pruned,
        )

    async def _prune_audits(self) -> int:
        """How many entries were too old for their tenants' policies. One log at a time: recipients come in between."""
        pruned = 0
        for tenant in ("", *(tenant.name for tenant in list(self._directory.directory.tenants))):
            oldest = self._desk.clock() - self._desk.policy().for_tenant(tenant).retention.audit_days * DAY
            try:
                pruned += await self._directory.ask(partial(_prune, tenant, oldest))
            except UnavailableError as error:
                _log.warning("the audit log of tenant %s was not pruned: %s", tenant, error)
        return pruned


def _prune(tenant: str, oldest: float, directory: Directory) -> int:
    return directory.prune_audit(tenant, oldest)


def sweep(desk: Desk) -> tuple[int, int, int]:
    """Blocking, in small steps. How many (messages expired in quarantine, timelines deleted, records of refusals
    deleted)."""
    policy, now = desk.policy(), desk.clock()
    desk.write(lambda spool: spool.forget_coverage(day_of(now) - KEPT_DAYS))
    desk.write(lambda spool: spool.forget_reports(day_of(now) - dmarc_counts.KEPT_DAYS))
    desk.write(lambda spool: spool.forget_received_reports(day_of(now) - dmarc_received.KEPT_DAYS))
    refusals = desk.write(
        lambda spool: spool.forget_turned_away(
            lambda tenant: now - policy.for_tenant(tenant).retention.refusal_days * DAY
        )
    )
    done = _expire_quarantine(desk, policy, now), _forget_timelines(desk, policy, now), refusals
    scrub(desk)
    return done


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
        spool.owe_unreleased(selection, f"{row.reason}; in quarantine for more than {days} days", now)
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
