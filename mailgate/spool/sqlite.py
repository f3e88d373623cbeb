"""The spool in SQLite: one writing connection, used by one thread; transactions are opened and closed from outside, so
that many messages share one sync."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from mailgate.model.dmarc import Seen
from mailgate.model.envelope import Envelope, MailboxId, QueueId, TenantName
from mailgate.model.event import Event
from mailgate.model.outcome import Outcome, State
from mailgate.spool import offboarding, tls_received
from mailgate.spool.clock_keeping import keep_clock, move_times
from mailgate.spool.clock_steps import ClockState
from mailgate.spool.coverage import Coverage
from mailgate.spool.damage import Damage
from mailgate.spool.dmarc_counts import DmarcCounts, ReportKey
from mailgate.spool.dmarc_received import DmarcReceived
from mailgate.spool.leasing import Leasing
from mailgate.spool.moving import Moving
from mailgate.spool.owing import Owing
from mailgate.spool.queue import (
    Accepted,
    Attempt,
    Finished,
    Forgotten,
    Moved,
    NewRow,
    Owed,
    Recorded,
    Route,
    Selection,
    UntoldRow,
    WithheldRow,
)
from mailgate.spool.recording import Recording
from mailgate.spool.rows import is_proven, summary_of
from mailgate.spool.schedule import Schedule
from mailgate.spool.schema import BUSY_MILLISECONDS, VERSION, open_database
from mailgate.spool.scrubbing import Scrubbing
from mailgate.spool.telling import Telling
from mailgate.spool.timeline import Timeline
from mailgate.spool.trouble import named, translated
from mailgate.spool.turned_away import Owned, TurnedAwayTable

LONG_LOG_PAGES = 4_000
PAGE_BYTES = 4_096  # SQLite's default

_encode = msgspec.json.Encoder().encode
_decode_envelope = msgspec.json.Decoder(Envelope).decode

_INSERT_MESSAGE = f"INSERT INTO message VALUES ({','.join('?' * 15)})"  # noqa: S608
_INSERT_RECIPIENT = f"INSERT INTO recipient VALUES ({','.join('?' * 25)})"  # noqa: S608


class SqliteSpool:
    """A `SpoolStore`. `chance` gives numbers in [0, 1) for the jitter of the retry schedule."""

    def __init__(
        self, path: Path, schedule: Schedule | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self.path = path
        self._connection = open_database(path)
        self._schedule = schedule or Schedule()
        with named(path):
            timeline = Timeline(self._connection)
        self._timeline = timeline
        self._leasing = Leasing(self._connection)
        self._coverage = Coverage(self._connection)
        self._dmarc = DmarcCounts(self._connection)
        self._received = DmarcReceived(self._connection)
        self._turned_away = TurnedAwayTable(self._connection)
        self._owing = Owing(self._connection, timeline)
        self._recording = Recording(self._connection, timeline, self._owing, self._schedule, chance)
        self._telling = Telling(self._connection, timeline)
        self._damage = Damage(self._connection)
        self._moving = Moving(self._connection, timeline, self._schedule)
        self._synchronous = "full"
        self._is_synced = True
        self._log_pages = 0
        self._free_pages = 0
        self._scrubbing = Scrubbing(self._connection)
        self._is_log_to_be_emptied = False
        self._connection.set_wal_hook(self._note_written)
        with named(path):
            self._next_message = 1 + (self._connection.execute("SELECT max(id) FROM message").get or 0)

    @translated
    def begin(self, durable: bool = True) -> None:
        wanted = "full" if durable else "normal"
        if wanted != self._synchronous:
            self._connection.pragma("synchronous", wanted)
            self._synchronous = wanted
        self._connection.execute("BEGIN IMMEDIATE")
        self._free_pages = self._connection.pragma("freelist_count")

    @translated
    def commit(self) -> None:
        self._connection.execute("COMMIT")
        if self._synchronous == "full" and not self._is_synced:
            # nothing was changed, so SQLite wrote and synced nothing: what was committed before is not safe by this
            self.sync()

    def sync(self) -> None:
        if self._is_synced:
            return
        self.begin()
        # writes its page even where the number is the same; a commit syncs the log whatever readers hold, a checkpoint
        # does not: with an older snapshot in use it may do nothing at all
        self._connection.pragma("user_version", VERSION)
        self.commit()

    @property
    def is_synced(self) -> bool:
        return self._is_synced

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @translated
    def keep(self, accepted: Accepted, now: float, holder: str, seconds: float) -> list[Attempt]:
        entry, content = accepted.entry, accepted.content
        message = self._insert_message(
            entry.envelope,
            (
                _encode(entry.decision),
                _encode(entry.inspection) if entry.inspection is not None else None,
                _encode((*entry.events, Event(now, "committed", summary_of(accepted)))),
                content.size,
                content.format,
                content.key_id,
                content.in_file,
                content.digest or None,
            ),
        )
        self._coverage.count(entry.envelope.tenant, now, entry.inspection)
        self._dmarc.count(entry.envelope.tenant, now, entry.seen)
        self._received.add(entry.envelope.tenant, now, entry.reports)
        tls_received.add(self._connection, entry.envelope.tenant, now, entry.tls_reports)
        if content.inline is not None:
            self._connection.execute("INSERT INTO content VALUES (?,?)", (message, content.inline))
        self._owing.owe_withheld(message, accepted.rows, entry.decision.reason, now)
        attempts: list[Attempt] = []
        for row in accepted.rows:
            at_once = accepted.at_once and row.state is State.QUEUED and bool(row.mailbox)
            attempt = self._insert_recipient(message, row, accepted, now, holder if at_once else "", now + seconds)
            if at_once:
                attempts.append(attempt)
        return attempts

    def _insert_message(self, envelope: Envelope, rest: tuple[object, ...], accepted: bool = True) -> int:
        message = self._next_message
        self._next_message += 1
        self._connection.execute(
            _INSERT_MESSAGE,
            (
                message,
                envelope.queue_id,
                envelope.tenant,
                envelope.message_id,
                envelope.received_at,
                accepted,
                _encode(envelope),
                *rest,
            ),
        )
        return message

    def _insert_recipient(
        self, message: int, row: NewRow, accepted: Accepted, now: float, holder: str, lease_end: float
    ) -> Attempt:
        envelope = accepted.entry.envelope
        attempt = Attempt(
            message=message,
            n=row.n,
            queue_id=envelope.queue_id,
            tenant=envelope.tenant,
            forward_path=row.forward_path,
            mailbox=row.mailbox,
            destination=row.destination,
            position=row.position,
            number=1 if holder else 0,
            received_at=envelope.received_at,
            expires_at=self._schedule.expires_at(now),
            notice_at=self._schedule.notice_at(now, now),
            notify=row.notify,
            is_proven=is_proven(envelope),
            holder=holder,
            content=accepted.content,
        )
        self._connection.execute(
            _INSERT_RECIPIENT,
            (
                message,
                row.n,
                row.position,
                row.forward_path,
                row.mailbox,
                envelope.tenant,
                row.destination,
                envelope.reverse_path,
                envelope.received_at,
                row.state,
                attempt.number,
                lease_end if holder else now,
                holder,
                lease_end if holder else 0.0,
                attempt.notice_at,
                attempt.expires_at,
                accepted.entry.decision.reason if row.state is not State.QUEUED else "",
                0,
                "",
                ",".join(attempt.notify),
                row.state is State.HELD,
                attempt.is_proven,
                not holder,
                row.untold,
                0,
            ),
        )
        return attempt

    @translated
    def note(self, envelope: Envelope, events: Sequence[Event], seen: Sequence[Seen] = ()) -> None:
        known = self._connection.execute("SELECT id FROM message WHERE queue_id = ?", (envelope.queue_id,)).get
        if known is None:
            self._insert_message(envelope, (None, None, _encode(events), *[None] * 5), accepted=False)
            self._coverage.count(envelope.tenant, envelope.received_at, None, events)
            self._dmarc.count(envelope.tenant, envelope.received_at, seen)
            return
        for event in events:
            self._timeline.add(known, event.at, event.kind, event.recipient, event.facts)

    @translated
    def keep_turned_away(self, found: Sequence[Owned]) -> None:
        self._turned_away.add(found)

    @translated
    def forget_turned_away(self, before: Callable[[TenantName], float]) -> int:
        return sum(self._turned_away.forget(tenant, before(tenant)) for tenant in self._turned_away.tenants())

    @translated
    def lease(
        self,
        route: Route,
        holder: str,
        limit: int,
        now: float,
        seconds: float,
        excluded_destinations: Collection[str] = (),
    ) -> list[Attempt]:
        return self._leasing.lease(route, holder, limit, now, seconds, excluded_destinations)

    @translated
    def next_due(self, route: Route) -> float | None:
        return self._leasing.next_due(route)

    @translated
    def leased(self, message: int, n: int) -> Attempt | None:
        return self._leasing.find(message, n)

    @translated
    def envelope(self, message: int) -> Envelope:
        encoded = self._connection.execute("SELECT envelope FROM message WHERE id = ?", (message,)).get
        return _decode_envelope(encoded)

    @translated
    def release_leases(self, now: float) -> int:
        return self._leasing.release_all(now)

    @translated
    def release_relay_leases(self, holder: str, now: float) -> int:
        return self._leasing.release_relay(holder, now)

    @translated
    def record(self, finished: Sequence[Finished], now: float) -> Recorded:
        return self._recording.record(finished, now)

    @translated
    def owe(self, message: int, position: int, outcome: Outcome, now: float) -> None:
        self._owing.owe(message, position, outcome, now, now)

    @translated
    def owe_unreleased(self, selection: Selection, text: str, now: float) -> bool:
        return self._owing.owe_unreleased(selection, text, now)

    @translated
    def hand_over(self, message: int, numbers: Sequence[int], now: float, by: str) -> None:
        self._owing.hand_over(message, numbers, now, by)

    @translated
    def remind(self, rows: Sequence[WithheldRow], now: float) -> None:
        self._owing.remind(rows, now)

    @translated
    def settle(self, message: int, owed: Sequence[Owed], now: float, facts: dict[str, Any]) -> Recorded:
        return self._owing.settle(message, owed, now, facts)

    @translated
    def move(
        self, selection: Selection, state: State, now: float, by: str, reason: str, is_scanned: bool = False
    ) -> Moved:
        if state is State.QUEUED:
            self._damage.forget(selection.queue_id)
        return self._moving.move(selection, state, now, by, reason, is_scanned)

    @translated
    def mark_damaged(self, message: int, now: float, what: str) -> bool:
        return self._damage.mark(message, now, what)

    @translated
    def damage_told(self, messages: Sequence[int]) -> None:
        self._damage.told(messages)

    @translated
    def told(self, rows: Sequence[UntoldRow], now: float, notice: QueueId) -> None:
        self._telling.told(rows, now, notice)

    @translated
    def tell_later(self, rows: Sequence[UntoldRow]) -> None:
        self._telling.tell_later(rows)

    @translated
    def had_digest(self, mailbox: MailboxId, day: int) -> None:
        self._telling.had_digest(mailbox, day)

    @translated
    def reported(self, key: ReportKey) -> bool:
        return self._dmarc.reported(key)

    @translated
    def tls_reported(self, day: int, domain: str) -> bool:
        self._connection.execute("INSERT OR IGNORE INTO tls_report VALUES (?,?)", (day, domain))
        return self._connection.changes() > 0

    @translated
    def forget_received_reports(self, before: int) -> None:
        self._received.forget(before)
        tls_received.forget(self._connection, before)

    @translated
    def forget_reports(self, before: int) -> None:
        self._dmarc.forget(before)
        self._connection.execute("DELETE FROM tls_report WHERE day < ?", (before,))

    @translated
    def publish_policy(self, version: str, now: float, snapshot: bytes) -> None:
        self._connection.execute("INSERT OR IGNORE INTO policy_version VALUES (?,?,?)", (version, now, snapshot))

    @translated
    def forget(self, messages: Sequence[int]) -> None:
        waiting = (
            "SELECT 1 FROM recipient WHERE recipient.message = ?1 "
            "UNION ALL SELECT 1 FROM notice WHERE notice.message = ?1"
        )
        ids = [(message,) for message in messages]
        # the timeline first: once the message's row is gone nothing would tell that it does not wait
        self._connection.executemany(f"DELETE FROM timeline WHERE message = ?1 AND NOT EXISTS ({waiting})", ids)  # noqa: S608
        self._connection.executemany(f"DELETE FROM message WHERE id = ?1 AND NOT EXISTS ({waiting})", ids)  # noqa: S608
        self._connection.execute("DELETE FROM damaged WHERE message NOT IN (SELECT id FROM message)")

    @translated
    def forget_tenant(self, tenant: TenantName, now: float, after: int, limit: int) -> Forgotten:
        return offboarding.forget_tenant(self._connection, tenant, now, after, limit)

    @translated
    def forget_coverage(self, before: int) -> None:
        self._coverage.forget(before)

    @property
    def log_is_long(self) -> bool:
        return self._log_pages > LONG_LOG_PAGES

    @property
    def growth(self) -> int:
        return (self._log_pages - self._free_pages) * PAGE_BYTES

    @translated
    def keep_clock(self, state: ClockState) -> None:
        keep_clock(self._connection, state)

    @translated
    def move_times(self, seconds: float, today: int) -> None:
        move_times(self._connection, seconds, today)

    @translated
    def scrub(self) -> bool:
        self._is_log_to_be_emptied = True
        return self._scrubbing.step()

    @translated
    def checkpoint(self) -> bool:
        if self._is_log_to_be_emptied:
            self._empty_log()
        pages, done = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._log_pages = pages - done
        return pages <= done and not self._is_log_to_be_emptied

    def _empty_log(self) -> None:
        """Cuts the log to nothing; where somebody reads from it now, the next checkpoint does."""
        self._connection.set_busy_timeout(0)
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._is_log_to_be_emptied = False
        except apsw.BusyError:
            pass
        finally:
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)

    def _note_written(self, connection: apsw.Connection, name: str, pages: int) -> int:
        """Called by SQLite after each commit that wrote to the log, and synced it where that was asked for."""
        self._log_pages = pages
        self._is_synced = self._synchronous == "full"
        return apsw.SQLITE_OK

    def close(self) -> None:
        self._connection.close()
