"""The nouns of the spool and what a spool must do (`SpoolStore`). A recipient row exists exactly as long as it waits:
when it becomes final it leaves the spool in the same transaction that puts its end into the timeline."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from mailgate.ipc.calls import NewEntry
from mailgate.model.dmarc import Seen
from mailgate.model.envelope import Envelope, MailboxId, QueueId, TenantName
from mailgate.model.event import Event
from mailgate.model.outcome import Outcome, State
from mailgate.spool.clock_steps import ClockState
from mailgate.spool.dmarc_counts import ReportKey
from mailgate.spool.turned_away import Owned

PLAIN_FORMAT = 1
CONTENT_COLUMNS = "m.content_size, m.content_format, m.content_key_id, m.content_in_file, m.content_digest"

Untold = Literal[0, 1, 2]
"""What a recipient is to be told of mail in quarantine: nothing, in the next digest, by a notice of its own."""


class Route(enum.StrEnum):
    """LOCAL rows have a mailbox here, RELAY rows go to a next hop."""

    LOCAL = "local"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a message and how they are kept: `format` 1 is plain; `key_id` is empty for plain ones. `inline`
    holds the bytes of a small message; where it is None they are in a file. `size` in stored bytes; `digest` of these
    (see model.digest), empty where the version that kept them wrote down none."""

    size: int
    inline: bytes | None
    format: int = PLAIN_FORMAT
    key_id: str = ""
    digest: bytes = b""

    @classmethod
    def of_row(cls, size: int, format: int, key_id: str, in_file: int, digest: bytes | None) -> Content:
        """From the columns of CONTENT_COLUMNS; without the bytes of a small one."""
        return cls(size, None if in_file else b"", format, key_id, digest or b"")

    @property
    def in_file(self) -> bool:
        return self.inline is None


@dataclass(frozen=True, slots=True)
class NewRow:
    """One recipient to be kept: a pair of forward-path and mailbox (empty: relay). `position` is the index of its
    recipient in the envelope, where its DSN parameters stand. `notify`: what the sender is told of, `untold`: what the
    recipient is told of, see `rows`."""

    n: int
    position: int
    forward_path: str
    destination: str
    mailbox: MailboxId
    state: State
    notify: tuple[str, ...] = ()
    untold: Untold = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message ready to be kept. `at_once`: its local rows are leased with the commit, for delivery from memory."""

    entry: NewEntry
    content: Content
    rows: tuple[NewRow, ...]
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A leased recipient: attempt `number` (1 for the first) is on record already. Times in seconds since 1970.
    `message` and `n` name the row. `mailbox` is empty for the relay. `notify`, `is_proven` as in `rows`."""

    message: int
    n: int
    queue_id: QueueId
    tenant: TenantName
    forward_path: str
    mailbox: MailboxId
    destination: str
    position: int
    number: int
    received_at: float
    expires_at: float
    notice_at: float | None
    notify: tuple[str, ...] = field(kw_only=True)
    is_proven: bool = field(kw_only=True)
    holder: str = field(kw_only=True)
    content: Content = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Finished:
    """How an attempt ended; `facts` go into the timeline beside the outcome."""

    attempt: Attempt
    outcome: Outcome
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """`freed` are messages whose content file nobody needs any more; `next_due` the earliest new deferral. `owes`: a
    sender is to be told of something."""

    freed: tuple[tuple[QueueId, Content], ...] = ()
    next_due: float | None = None
    owes: bool = False


@dataclass(frozen=True, slots=True)
class Owed:
    """What the sender of a message is to be told: `outcome` for the recipient at `position` of the envelope, QUEUED for
    a delay. `retry_until`, `at` in seconds since 1970."""

    id: int
    position: int
    at: float
    outcome: Outcome
    retry_until: float


@dataclass(frozen=True, slots=True)
class Selection:
    """Recipients that a person names: those of one message in one of `states`, all or only the given forward-paths.
    `tenant` restricts it to that tenant's messages; empty: any. `numbers`: only these rows."""

    queue_id: QueueId
    states: frozenset[State]
    forward_paths: frozenset[str] = frozenset()
    tenant: str = ""
    numbers: frozenset[int] = frozenset()

    def holds(self, tenant: str, n: int, forward_path: str, state: str) -> bool:
        return (
            state in self.states
            and self.tenant in ("", tenant)
            and (not self.forward_paths or forward_path in self.forward_paths)
            and (not self.numbers or n in self.numbers)
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """What an administrative change did. `busy` forward-paths were under an attempt and stay as they were."""

    changed: tuple[str, ...]
    busy: tuple[str, ...]
    freed: tuple[tuple[QueueId, Content], ...] = ()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """`busy`: messages under an attempt now, which stay. `freed`: files that can go after the commit. `last`: where the
    next step begins; None where nothing is left."""

    messages: int
    busy: int
    freed: tuple[tuple[QueueId, Content], ...]
    last: int | None


@dataclass(frozen=True, slots=True)
class Debt:
    """A message whose sender is to be told something. `is_clean`: every part was scanned and is clean."""

    message: int
    envelope: Envelope
    content: Content
    is_clean: bool
    owed: tuple[Owed, ...]


@dataclass(frozen=True, slots=True)
class UntoldRow:
    """One recipient's mail in quarantine of which it has not been told. `received_at` in seconds since 1970;
    `is_encrypted`: it is there since something in it is encrypted."""

    message: int
    n: int
    queue_id: QueueId
    tenant: TenantName
    mailbox: MailboxId
    reverse_path: str
    forward_path: str
    received_at: float
    reason: str
    is_encrypted: bool


@dataclass(frozen=True, slots=True)
class WithheldRow:
    """One recipient's mail in quarantine, or held, of which its sender wants to know. `position` is that in the
    envelope; `received_at` in seconds since 1970."""

    message: int
    n: int
    position: int
    tenant: TenantName
    received_at: float
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Unscanned:
    """A message that is held until it has been scanned, for these recipients."""

    message: int
    envelope: Envelope
    content: Content
    forward_paths: tuple[str, ...]


class SpoolStore(Protocol):
    """One writer's view of the spool. Every method joins the transaction that `begin` opened; nothing is kept before
    `commit` returns. StorageFullError where there is no room: then the caller rolls back and nothing is kept."""

    def begin(self, durable: bool = True) -> None:
        """`durable` False leaves the sync to the next durable commit (for what may be done again after a crash)."""

    def commit(self) -> None:
        """After a durable one everything that was committed before is on stable storage, too."""

    def sync(self) -> None:
        """Outside of a transaction: what was committed is on stable storage, whatever readers are doing."""

    @property
    def is_synced(self) -> bool:
        """Whether everything that was committed is on stable storage."""

    def rollback(self) -> None: ...

    def keep(self, accepted: Accepted, now: float, holder: str, seconds: float) -> list[Attempt]:
        """Keep one message; the attempts are those of its rows that are leased at once to `holder` for `seconds`."""

    def note(self, envelope: Envelope, events: Sequence[Event], seen: Sequence[Seen] = ()) -> None:
        """The timeline of a message that was not accepted; `seen`: see NewEntry."""

    def keep_turned_away(self, found: Sequence[Owned]) -> None:
        """Clients that were refused, within the bounds of `spool.turned_away`."""

    def forget_turned_away(self, before: Callable[[TenantName], float]) -> int:
        """Those that came last before the moment that holds for their tenant; how many."""

    def lease(
        self,
        route: Route,
        holder: str,
        limit: int,
        now: float,
        seconds: float,
        excluded_destinations: Collection[str] = (),
    ) -> list[Attempt]:
        """Up to `limit` due rows, fair among tenants and, for RELAY, among the destinations of a tenant. The attempt is
        counted here, before it is made. A lease that is not answered in `seconds` falls back to the queue."""

    def record(self, finished: Sequence[Finished], now: float) -> Recorded:
        """Outcomes of attempts. One whose lease went to another holder only leaves its line in the timeline."""

    def owe(self, message: int, position: int, outcome: Outcome, now: float) -> None:
        """The sender is to be told of this, whatever it asked for."""

    def owe_unreleased(self, selection: Selection, text: str, now: float) -> bool:
        """The senders of what leaves quarantine for nowhere are to be told; False where nobody wants to know."""

    def hand_over(self, message: int, numbers: Sequence[int], now: float, by: str) -> None:
        """These recipients' mail in quarantine is for the tenant's administrators to see and release."""

    def remind(self, rows: Sequence[WithheldRow], now: float) -> None:
        """The senders are to be told that these still wait."""

    def settle(self, message: int, owed: Sequence[Owed], now: float, facts: dict[str, Any]) -> Recorded:
        """The sender has its notice, or can't have one; `facts` say so in the timeline."""

    def next_due(self, route: Route) -> float | None: ...

    def leased(self, message: int, n: int) -> Attempt | None:
        """The row as it stands, without its inline content; None where it waits no more."""

    def envelope(self, message: int) -> Envelope: ...

    def move(
        self, selection: Selection, state: State, now: float, by: str, reason: str, is_scanned: bool = False
    ) -> Moved:
        """QUEUED: tried now; HELD, QUARANTINED: waits; DELETED: final. NotFoundError where no such row waits. What is
        held until it has been scanned leaves that state only with `is_scanned`, or to be deleted; else
        ConflictError."""

    def mark_damaged(self, message: int, now: float, what: str) -> bool:
        """Its content is not what was accepted; False where that was known. To be held is the caller's business. Who
        makes it QUEUED again has put it right."""

    def damage_told(self, messages: Sequence[int]) -> None:
        """The administrators of their tenants know of these damaged messages."""

    def release_leases(self, now: float) -> int:
        """All leases are void (at start: their holders are gone). Returns how many there were."""

    def release_relay_leases(self, holder: str, now: float) -> int:
        """Those of every relay but `holder`: a new one has started, the one before is gone. Returns how many."""

    def told(self, rows: Sequence[UntoldRow], now: float, notice: QueueId) -> None:
        """These recipients have been told, by the message `notice`."""

    def tell_later(self, rows: Sequence[UntoldRow]) -> None:
        """By the next digest instead of a notice of their own."""

    def had_digest(self, mailbox: MailboxId, day: int) -> None:
        """The mailbox has had its digest of this day (since 1970)."""

    def reported(self, key: ReportKey) -> bool:
        """The DMARC report is made, or not to be made; False where that was so before: then it must not go out."""

    def tls_reported(self, day: int, domain: str) -> bool:
        """The same for the TLS report about `domain`; `day` since 1970."""

    def forget_reports(self, before: int) -> None:
        """Retention: drop what is known for reports of days (since 1970) before this one."""

    def forget_received_reports(self, before: int) -> None:
        """The same for what others have reported."""

    def publish_policy(self, version: str, now: float, snapshot: bytes) -> None: ...

    def checkpoint(self) -> bool:
        """Outside of a transaction: works the log into the database, and so bounds it. False where readers of an older
        state keep a part of it; that a sync was made is not said."""

    @property
    def log_is_long(self) -> bool: ...

    @property
    def growth(self) -> int:
        """Bytes that a checkpoint may still add to the database; negative where it holds room to be used again. May be
        read from any thread."""

    def forget(self, messages: Sequence[int]) -> None:
        """Retention: drop these messages' timelines; one that still waits stays."""

    def forget_coverage(self, before: int) -> None:
        """Retention: drop the figures of days (since 1970) before this one."""

    def forget_tenant(self, tenant: TenantName, now: float, after: int, limit: int) -> Forgotten:
        """A step of the tenant's end: `limit` messages from number `after` on, waiting or not, and the figures."""

    def keep_clock(self, state: ClockState) -> None:
        """What is known of the clock, for the next start."""

    def move_times(self, seconds: float, today: int) -> None:
        """The wall clock stepped: the times of all that waits go along. `today` as days since 1970, by the new time."""

    def scrub(self) -> bool:
        """One step of overwriting what was deleted: called, in transactions of its own, while it returns True. The next
        checkpoint then empties the log, which holds old pages too."""

    def close(self) -> None: ...
