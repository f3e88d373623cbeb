"""What is to be done with a message, and which rule of which policy version says so (promise 5)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Action(enum.StrEnum):
    """HOLD waits until scanned or released; QUARANTINE waits for a person; DEFER answers 451; REJECT answers 554."""

    ACCEPT = "accept"
    HOLD = "hold"
    QUARANTINE = "quarantine"
    DEFER = "defer"
    REJECT = "reject"


ENCRYPTED_KEYS = frozenset({"unscanned.encrypted", "unscanned.end_to_end_encrypted"})
"""The keys of the policy that withhold mail since something in it is encrypted."""


INFECTED_KEYS = frozenset({"scanning.infected"})


@dataclass(frozen=True, slots=True)
class ExceptionUse:
    """That an exception of the policy was used: `rule` names it, e.g. `gateway.toml: scanner_exceptions[1]`, `waived`
    says what did not count for the part at `place`; who made the exception, why, and its last day (ISO 8601)."""

    rule: str
    place: str
    waived: str
    made_by: str
    reason: str
    expires: str

    def __str__(self) -> str:
        return f"{self.waived}, excepted by {self.rule}: {self.reason} ({self.made_by}, until {self.expires})"


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` names what decided, e.g. `tenants/acme.toml: attachments[2] "no executables"` or `built-in: infected`;
    `reason` is a sentence for people (shown in the SMTP reply for REJECT, so it holds nothing of the inside); `code` is
    that of the reply to a rejection; `exceptions` are all that were used on the way, whatever was decided."""

    action: Action
    rule: str
    reason: str
    policy_version: str
    place: str = ""
    code: int = 554
    exceptions: tuple[ExceptionUse, ...] = ()

    @property
    def key(self) -> str:
        """The key of the policy that decided, e.g. `infected` for `built-in: infected`; of an attachment rule its
        place in the file and name."""
        return self.rule.rpartition(": ")[2]
