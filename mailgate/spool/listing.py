"""What waits in the spool and what happened to a message, read beside the writer by a connection that only reads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mailgate.model.decision import Decision
from mailgate.model.dmarc import Counted
from mailgate.model.envelope import Envelope, MailboxId, QueueId, TenantName, queue_id
from mailgate.model.errors import NotFoundError
from mailgate.model.event import Event
from mailgate.model.outcome import Outcome, State
from mailgate.model.received_report import TlsReport
from mailgate.model.verdict import Inspection, Verdict
from mailgate.spool import damage, dmarc_counts, dmarc_received, owing, telling, tls_received, turned_away
from mailgate.spool.clock_keeping import read_clock
from mailgate.spool.clock_steps import ClockState
from mailgate.spool.damage import DamagedMessage
from mailgate.spool.dmarc_counts import ReportKey
from mailgate.spool.queue import CONTENT_COLUMNS, Content, Debt, Owed, Unscanned, UntoldRow, WithheldRow
from mailgate.spool.schema import open_reader
from mailgate.spool.turned_away import TurnedAwayRow

_COLUMNS = """r.message, r.n, m.queue_id, r.tenant, r.reverse_path, r.forward_path, r.mailbox, r.destination, r.state,
    r.attempts, r.received_at, r.next_attempt_at, r.lease_holder, r.expires_at, r.reason, r.reply_code,
    r.reply_enhanced, m.content_size"""

MOST_KEPT = 1_000
_KEPT = """id, envelope, accepted, decision, inspection, events, content_size, content_format, content_key_id,
    content_in_file, content_digest"""
_DEBTS = f"""SELECT m.id, m.envelope, m.inspection, {CONTENT_COLUMNS}
    FROM (
        SELECT n.message FROM notice n WHERE n.message > ? GROUP BY n.message HAVING min(n.at) <= ? OR NOT EXISTS (
            SELECT 1 FROM recipient r
            WHERE r.message = n.message AND r.state = 'queued' AND (r.lease_holder <> '' OR r.attempts = 0)
        )
    ) due JOIN message m ON m.id = due.message ORDER BY m.id LIMIT ?"""  # noqa: S608

LONGEST_WAIT = 30 * 86_400.0
"""Seconds that a recipient is tried at most, whatever the schedule."""

_events = msgspec.json.Decoder(list[Event]).decode
_envelope = msgspec.json.Decoder(Envelope).decode
_decision = msgspec.json.Decoder(Decision).decode
_inspection = msgspec.json.Decoder(Inspection).decode
_outcome = msgspec.json.Decoder(Outcome).decode


Key = tuple[int, int]
"""(message, n) of a row."""
FIRST: Key = (0, -1)
"""Comes before every row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One waiting recipient as people see it. Times in seconds since 1970, `size` in bytes."""

    message: int
    n: int
    queue_id: QueueId
    tenant: TenantName
    reverse_path: str
    forward_path: str
    mailbox: str
    destination: str
    state: State
    attempts: int
    received_at: float
    next_attempt_at: float
    lease_holder: str
    expires_at: float
    reason: str
    reply_code: int
    reply_enhanced: str
    size: int


@dataclass(frozen=True, slots=True)
class Filter:
    """All that are given must hold. `older_than` and `younger_than`: seconds since 1970 of the arrival."""

    tenant: str = ""
    destination: str = ""
    reverse_path: str | None = None
    state: str = ""
    older_than: float | None = None
    younger_than: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits, and where its content is. `inline_size` is what the database holds of it; `is_queued`: some
    recipient would be attempted."""

    message: int
    queue_id: QueueId
    content: Content
    inline_size: int | None
    is_queued: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of one message. `decision` and `content` are None where it was refused in the dialogue."""

    message: int
    envelope: Envelope
    accepted: bool
    decision: Decision | None
    inspection: Inspection | None
    events: tuple[Event, ...]
    content: Content | None

    @property
    def size(self) -> int | None:
        return None if self.content is None else self.content.size


class Listing:
    """Opened after the writer, which makes the database. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = open_reader(path)

    def clock(self) -> ClockState | None:
        """What is known of the wall clock; None before the first start."""
        return read_clock(self._connection)

    def page(self, chosen: Filter, after: Key = FIRST, limit: int = 100) -> list[Row]:
        """Oldest first, those after the row (message, n) of the page before. A filtered list leaves out what is in the
        attempt made together with the commit (a moment, in general)."""
        terms, bound = self._terms(chosen)
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM recipient r JOIN message m ON m.id = r.message "  # noqa: S608
            f"WHERE (r.message, r.n) > (?, ?) {terms} ORDER BY r.message, r.n LIMIT ?",
            (*after, *bound, limit),
        )
        return [Row(*row) for row in rows]

    def outlines(self, chosen: Filter, after: Key, limit: int) -> Iterator[tuple[int, int, str, str, str]]:
        """(message, n, forward-path, reason, rule that decided) of the rows that `page` would list."""
        terms, bound = self._terms(chosen)
        yield from self._connection.execute(
            "SELECT r.message, r.n, r.forward_path, r.reason, m.decision ->> '$.rule' "  # noqa: S608
            "FROM recipient r JOIN message m ON m.id = r.message "
            f"WHERE (r.message, r.n) > (?, ?) {terms} ORDER BY r.message, r.n LIMIT ?",
            (*after, *bound, limit),
        )

    def rows_at(self, keys: Iterable[Key]) -> list[Row]:
        """The rows with these keys, in this order; what has gone is left out."""
        statement = (
            f"SELECT {_COLUMNS} FROM recipient r JOIN message m ON m.id = r.message "  # noqa: S608
            "WHERE r.message = ? AND r.n = ?"
        )
        return [Row(*row) for key in keys for row in self._connection.execute(statement, key)]

    def rows_of(self, queue_id: str) -> list[Row]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM message m JOIN recipient r ON r.message = m.id WHERE m.queue_id = ? ORDER BY r.n",  # noqa: S608
            (queue_id,),
        )
        return [Row(*row) for row in rows]

    def summary(self, tenant: str = "") -> list[tuple[str, str, str, int, float]]:
        """(destination, state, reason, recipients, oldest arrival), most first."""
        where = "WHERE tenant = ?" if tenant else ""
        return list(
            self._connection.execute(
                "SELECT destination, state, reason, count(*), min(received_at) FROM recipient "  # noqa: S608
                f"{where} GROUP BY destination, state, reason ORDER BY count(*) DESC LIMIT 1000",
                (tenant,) if tenant else (),
            )
        )

    def counts(self, tenant: str = "") -> dict[str, int]:
        """Waiting recipients by state."""
        where = "AND tenant = ?" if tenant else ""
        return dict(
            self._connection.execute(
                f"SELECT state, count(*) FROM recipient WHERE listed = 1 {where} GROUP BY state",  # noqa: S608
                (tenant,) if tenant else (),
            )
        )

    def waiting_for(self, mailbox: MailboxId) -> int:
        """How many recipients will be delivered into the mailbox, or may be once they are released."""
        return int(self._connection.execute("SELECT count(*) FROM recipient WHERE mailbox = ?", (mailbox,)).get)

    def oldest_queued(self) -> float | None:
        """Arrival of the recipient that has been in the queue for longest, seconds since 1970."""
        found: float | None = self._connection.execute(
            "SELECT received_at FROM recipient WHERE listed = 1 AND state = 'queued' ORDER BY message, n LIMIT 1"
        ).get
        return found

    def kept(
        self, queue_id_or_message_id: str, is_shown: Callable[[Envelope], bool] = lambda envelope: True
    ) -> list[Kept]:
        """The messages with this queue id or Message-ID (with or without its angle brackets), oldest first. Of those
        that are shown the newest MOST_KEPT: anybody can send a thousand with the Message-ID of another."""
        given = queue_id_or_message_id
        exact = f"SELECT {_KEPT} FROM message WHERE queue_id = ?"  # noqa: S608
        named = f"SELECT {_KEPT} FROM message WHERE message_id <> '' AND message_id IN (?, ?) ORDER BY id DESC"  # noqa: S608
        rows = itertools.chain(
            self._connection.execute(exact, (given,)), self._connection.execute(named, (given, f"<{given}>"))
        )
        found = itertools.islice((row for row in rows if is_shown(_envelope(row[1]))), MOST_KEPT)
        return [self._kept(*row) for _, row in sorted({row[0]: row for row in found}.items())]

    def _kept(self, message: int, envelope: bytes, accepted: int, *rest: Any) -> Kept:
        decision, inspection, events, *content = rest
        later = self._connection.execute(
            "SELECT at, kind, facts, recipient FROM timeline WHERE message = ? ORDER BY seq", (message,)
        )
        return Kept(
            message=message,
            envelope=_envelope(envelope),
            accepted=bool(accepted),
            decision=_decision(decision) if decision else None,
            inspection=_inspection(inspection) if inspection else None,
            events=(
                *_events(events),
                *(Event(at, kind, msgspec.json.decode(facts), recipient) for at, kind, facts, recipient in later),
            ),
            content=Content.of_row(*content) if accepted else None,
        )

    def waiting_contents(self) -> Iterator[Waiting]:
        rows = self._connection.execute(
            f"SELECT m.id, m.queue_id, length(c.bytes), r.is_queued, {CONTENT_COLUMNS} "  # noqa: S608
            "FROM (SELECT message, max(state = 'queued') AS is_queued FROM recipient GROUP BY message UNION ALL "
            "SELECT DISTINCT message, 0 FROM notice n "
            "WHERE NOT EXISTS (SELECT 1 FROM recipient WHERE message = n.message)) r "
            "JOIN message m ON m.id = r.message LEFT JOIN content c ON c.id = m.id"
        )
        for message, name, inline_size, is_queued, *content in rows:
            yield Waiting(message, name, Content.of_row(*content), inline_size, bool(is_queued))

    def debts(self, after: int, owed_before: float, limit: int) -> list[Debt]:
        """Messages whose sender is to be told something, from number `after` on. While other recipients of a message
        are under an attempt, or wait for their first one, it is left out, so that all that ends together is told
        together; but not where it has waited since `owed_before`."""
        rows: list[Any] = self._connection.execute(_DEBTS, (after, owed_before, limit)).fetchall()
        return [self._debt(*row) for row in rows]

    def _debt(self, message: int, envelope: bytes, inspection: bytes | None, *content: Any) -> Debt:
        owed: Iterable[Any] = self._connection.execute(
            "SELECT id, position, at, outcome, retry_until FROM notice WHERE message = ? ORDER BY id", (message,)
        )
        return Debt(
            message=message,
            envelope=_envelope(envelope),
            content=Content.of_row(*content),
            is_clean=inspection is not None and _inspection(inspection).verdict is Verdict.CLEAN,
            owed=tuple(Owed(id, position, at, _outcome(told), until) for id, position, at, told, until in owed),
        )

    def withheld(self, state: State, before: float, after: Key, limit: int) -> list[WithheldRow]:
        """See spool.owing."""
        return owing.withheld(self._connection, state, before, after, limit)

    def handed(self, tenant: str) -> frozenset[tuple[str, str]]:
        """See spool.owing."""
        return owing.handed(self._connection, tenant)

    def unscanned(self, after: int, limit: int) -> list[Unscanned]:
        """Messages that are held until they have been scanned, from number `after` on."""
        found = self._connection.execute(
            "SELECT DISTINCT message FROM recipient WHERE unscanned = 1 AND message > ? ORDER BY message LIMIT ?",
            (after, limit),
        ).fetchall()
        return [each for (message,) in found for each in self._unscanned(message)]

    def _unscanned(self, message: Any) -> Iterator[Unscanned]:
        """None where its recipients have gone in the meantime."""
        rows: list[Any] = self._connection.execute(
            f"SELECT m.envelope, r.forward_path, {CONTENT_COLUMNS} "  # noqa: S608
            "FROM message m JOIN recipient r ON r.message = m.id WHERE m.id = ? AND r.unscanned = 1 ORDER BY r.n",
            (message,),
        ).fetchall()
        for envelope, _, *content in rows[:1]:
            paths = tuple(dict.fromkeys(row[1] for row in rows))
            yield Unscanned(message, _envelope(envelope), Content.of_row(*content), paths)

    def inline_content(self, message: int) -> bytes:
        """The bytes of a small message; NotFoundError where they are gone."""
        found: bytes | None = self._connection.execute("SELECT bytes FROM content WHERE id = ?", (message,)).get
        if found is None:
            raise NotFoundError(f"message {message} has no content any more")
        return found

    def damaged(self) -> list[DamagedMessage]:
        """See spool.damage, as for the next one."""
        return damage.damaged(self._connection)

    def untold_damage(self, limit: int) -> list[DamagedMessage]:
        return damage.untold_damage(self._connection, limit)

    def untold_alone(self, limit: int) -> list[UntoldRow]:
        """See spool.telling, as for the next two."""
        return telling.untold_alone(self._connection, limit)

    def next_report(self, after: ReportKey, before_day: int) -> ReportKey | None:
        return dmarc_counts.next_report(self._connection, after, before_day)

    def counted(self, key: ReportKey) -> tuple[Counted, ...]:
        return dmarc_counts.counted(self._connection, key)

    def dmarc_sources(self, tenant: str, domain: str, since: int) -> list[tuple[str, str, bool, bool, int]]:
        return dmarc_received.by_source(self._connection, tenant, domain, since)

    def dmarc_reporters(self, tenant: str, domain: str, since: int) -> list[tuple[str, int]]:
        return dmarc_received.reporters(self._connection, tenant, domain, since)

    def turned_away_path(self, path: str) -> list[TurnedAwayRow]:
        return turned_away.of_path(self._connection, path)

    def turned_away_client(self, address: str) -> list[TurnedAwayRow]:
        return turned_away.of_client(self._connection, address)

    def tls_reports(self, tenant: str, since: int) -> list[TlsReport]:
        return tls_received.since(self._connection, tenant, since)

    def untold_of_mailbox(self, tenant: str, mailbox: str) -> list[UntoldRow]:
        return telling.untold_of_mailbox(self._connection, tenant, mailbox)

    def mailboxes_for_digest(self, day: int) -> list[tuple[TenantName, MailboxId]]:
        return telling.mailboxes_for_digest(self._connection, day)

    def messages_before(self, received_at: float, after: int, limit: int) -> list[tuple[int, str, float]]:
        """(message, tenant, arrival) of what arrived before `received_at`, from number `after` on; for retention."""
        return list(
            self._connection.execute(
                "SELECT id, tenant, received_at FROM message WHERE id > ? AND received_at < ? ORDER BY id LIMIT ?",
                (after, received_at, limit),
            )
        )

    def attempts(self, since: float, tenant: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(state, recipient, facts) of every attempt of the relay since then. A message may be tried for days, so those
        that came before count too."""
        rows = self._connection.execute(
            "SELECT t.kind, t.recipient, t.facts FROM timeline t JOIN message m ON m.id = t.message "
            "WHERE t.message >= ? AND t.at >= ? AND ? IN ('', m.tenant) "
            "AND t.kind IN ('relayed', 'deferred', 'bounced', 'expired')",
            (self._first_since(max(0.0, since - LONGEST_WAIT)), since, tenant),
        )
        for kind, recipient, facts in rows:
            yield kind, recipient, msgspec.json.decode(facts)

    def coverage(self, first: int, last: int, tenant: str = "") -> list[tuple[int, str, str, str, int]]:
        """(day since 1970, tenant, verdict, reason, parts) of these days, in order."""
        return list(
            self._connection.execute(
                "SELECT day, tenant, verdict, reason, parts FROM coverage WHERE day BETWEEN ? AND ? "
                "AND ? IN ('', tenant) ORDER BY day, tenant, verdict, reason",
                (first, last, tenant),
            )
        )

    def remembered(self, first: int, last: int, tenant: str = "") -> list[tuple[int, str, int, int]]:
        """(day since 1970, tenant, contents, of which the verdict was remembered) of these days."""
        return list(
            self._connection.execute(
                "SELECT day, tenant, contents, remembered FROM remembered WHERE day BETWEEN ? AND ? "
                "AND ? IN ('', tenant)",
                (first, last, tenant),
            )
        )

    def policy(self, version: str) -> bytes | None:
        found: bytes | None = self._connection.execute(
            "SELECT snapshot FROM policy_version WHERE version = ?", (version,)
        ).get
        return found

    def _terms(self, chosen: Filter) -> tuple[str, list[Any]]:
        exact = {"tenant": chosen.tenant, "destination": chosen.destination, "state": chosen.state}
        terms = [(f"r.{column} = ?", value) for column, value in exact.items() if value]
        if chosen.reverse_path is not None:
            terms.append(("r.reverse_path = ?", chosen.reverse_path))
        text = "".join(f"AND {term} " for term, _ in terms) + ("AND r.listed = 1 " if terms else "")
        bound: list[Any] = [value for _, value in terms]
        for comparison, moment in (("<", chosen.older_than), (">=", chosen.younger_than)):
            if moment is not None:
                # queue ids sort by time, message numbers grow with it: a range of the key instead of a column to filter
                text += f"AND r.message {comparison} ? "
                bound.append(self._first_since(moment))
        return text, bound

    def _first_since(self, moment: float) -> int:
        found: int | None = self._connection.execute(
            "SELECT id FROM message WHERE queue_id >= ? ORDER BY queue_id LIMIT 1", (queue_id(moment, 0),)
        ).get
        return found if found is not None else 1 << 62

    def close(self) -> None:
        self._connection.close()
