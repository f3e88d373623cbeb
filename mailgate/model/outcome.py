"""Where a recipient of an accepted message stands (promise 1), and how one attempt ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    """QUEUED, HELD and QUARANTINED wait; the other five are final."""

    QUEUED = "queued"
    HELD = "held"
    QUARANTINED = "quarantined"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    DELETED = "deleted"

    @property
    def is_final(self) -> bool:
        return self not in (State.QUEUED, State.HELD, State.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt for one recipient row ended. `state` QUEUED means deferral: it is tried again.

    `code` and `enhanced` are the next hop's (0 and empty where there was none); `text` is for people. `reply` is all
    that the next hop said, e.g. `550 5.1.1 No such user`, and `remote_mta` its host name. `takes_dsn`: the next hop was
    given the DSN parameters and owes the sender the notices from now on (RFC 3461 section 5.2.2)."""

    state: State
    text: str
    code: int = 0
    enhanced: str = ""
    reply: str = ""
    remote_mta: str = ""
    takes_dsn: bool = False
