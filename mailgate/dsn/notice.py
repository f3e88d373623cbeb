"""The nouns of notices: what became of whom, and what the sender is told."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

from mailgate.model.envelope import Envelope, QueueId, Recipient
from mailgate.model.outcome import Outcome

Language = Literal["en", "de"]


class Action(enum.StrEnum):
    """What a sender is told of. HELD: kept in quarantine; WAITING: kept here for another reason, with no end."""

    FAILED = "failed"
    DELAYED = "delayed"
    HELD = "held"
    WAITING = "waiting"
    DELIVERED = "delivered"
    RELAYED = "relayed"

    @property
    def field(self) -> str:
        """The value of the field `Action` (RFC 3464 section 2.3.3)."""
        return "delayed" if self in (Action.HELD, Action.WAITING) else str(self)

    @property
    def is_good(self) -> bool:
        return self in (Action.DELIVERED, Action.RELAYED)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient. `outcome` is that of the last attempt, with what the other server said; `at` its
    time; `retry_until` when a delayed one is given up. `is_expired`: failed because the time was up. Times in seconds
    since 1970."""

    recipient: Recipient
    action: Action
    outcome: Outcome
    at: float
    retry_until: float | None = None
    is_expired: bool = False

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463) of the field `Status`."""
        if self.is_expired:
            return "4.4.7"
        digit = {"failed": "5", "delayed": "4"}.get(self.action.field, "2")
        enhanced = self.outcome.enhanced
        # a next hop may contradict itself (550 4.1.1): what we do about it is what counts
        return digit + enhanced[1:] if enhanced.count(".") == 2 else f"{digit}.0.0"


@dataclass(frozen=True, slots=True)
class Returned:
    """What comes back of the message: the stored bytes, all of them (`is_whole`) or the header at least."""

    content: bytes
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice to the sender of `envelope` about recipients that fared alike. `hostname` is ours; `boundary` must be
    one that nobody can have foreseen; `now` in seconds since 1970. `to`: who is told, where it is not the sender.
    `answer_to`: an address by which the reader can ask for what is held, or empty."""

    queue_id: QueueId
    envelope: Envelope
    fates: tuple[Fate, ...]
    returned: Returned
    hostname: str
    language: Language
    boundary: str
    now: float
    to: str = ""
    answer_to: str = ""

    @property
    def reader(self) -> str:
        """The address that it goes to."""
        return self.to or self.envelope.reverse_path

    @property
    def action(self) -> Action:
        return self.fates[0].action
