"""What came of one transaction with a next hop, before anybody judges it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailgate.model.reply import Reply


class FaultKind(enum.StrEnum):
    """Why there was no regular end. NO_ADDRESS, REFUSED_ADDRESS: DNS leads nowhere, or where no mail goes. BUSY: the
    host has too many connections from us. POLICY: the connection would have been less private than it must be. LOCAL:
    the reason lies with us."""

    NO_ADDRESS = "no-address"
    REFUSED_ADDRESS = "refused-address"
    UNREACHABLE = "unreachable"
    REFUSED = "connection-refused"
    TIMEOUT = "timeout"
    DROPPED = "dropped"
    GARBAGE = "garbage"
    BUSY = "busy"
    GREETING = "greeting"
    TLS = "tls"
    POLICY = "below-floor"
    AUTH = "auth"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Fault:
    """`step` is where the dialogue ended, e.g. `RCPT TO`; `reply` what the host said there, if anything."""

    kind: FaultKind
    step: str
    text: str
    reply: Reply | None = None


@dataclass(slots=True)
class Transfer:
    """The replies to one transaction, None where none came; `rcpt` in the order of the recipients. `end` is the reply
    to the end of the message or, where that was refused, to DATA; LMTP has one in `ends` for each recipient that it
    took at RCPT, by number (RFC 2033 section 4.2). `is_sent`: the whole message has left, so without
    an `end` nobody knows whether the host has it. `takes_dsn`: it was given the DSN parameters."""

    rcpt: list[Reply | None]
    mail: Reply | None = None
    end: Reply | None = None
    fault: Fault | None = None
    is_sent: bool = False
    takes_dsn: bool = False
    ends: dict[int, Reply] = field(default_factory=dict)

    def end_for(self, recipient: int) -> Reply | None:
        return self.ends.get(recipient, self.end)

    @property
    def replies(self) -> Iterator[Reply]:
        """All that came."""
        return filter(None, (self.mail, *self.rcpt, self.end, *self.ends.values()))
