"""The envelope of a message and what is known of the client that sent it (RFC 5321 section 2.3.1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Literal, NewType

QueueId = NewType("QueueId", str)
TenantName = NewType("TenantName", str)
MailboxId = NewType("MailboxId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no letter that is read as a digit
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)


def queue_id(now: float, entropy: int) -> QueueId:
    """16 characters: 9 of time (milliseconds, sorts by age until 3084), 7 of `entropy` (35 bits)."""
    value = (int(now * 1000) & ((1 << 45) - 1)) << 35 | entropy & ((1 << 35) - 1)
    return QueueId("".join([_PAIRS[value >> shift & 1023] for shift in range(70, -1, -10)]))


class Direction(enum.StrEnum):
    """INBOUND came in on MX; OUTBOUND was submitted by an authenticated user of the tenant, or is a notice of ours."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True)
class Client:
    """Who speaks to us: `address` and `port` of the peer (after PROXY), its HELO name, TLS facts, account."""

    address: str
    port: int = 0
    helo: str = ""
    esmtp: bool = True
    tls_version: str = ""
    tls_cipher: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path as the client gave it, and where it leads: mailboxes here, or (`mailboxes` empty) the relay.

    `notify`, `orcpt`: DSN parameters (RFC 3461 sections 4.1, 4.2), empty where not given: `notify` in upper case,
    `orcpt` checked and as the client wrote it (`type;xtext`), to be passed on as it is. `forwarder`: the address here
    that passes the mail on to this path, where the client gave that one.
    """

    forward_path: str
    mailboxes: tuple[MailboxId, ...] = ()
    notify: tuple[str, ...] = ()
    orcpt: str = ""
    forwarder: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One transaction of one tenant. `reverse_path` is empty for the null one. `received_at`: seconds since 1970.
    `ret`, `envid`: DSN parameters (RFC 3461 sections 4.3, 4.4); `envid` is xtext, checked, as the client wrote it.
    `requiretls`: it may only go on by authenticated TLS, to hosts that promise the same (RFC 8689).
    `must_be_signed`: it may only leave with a DKIM signature."""

    queue_id: QueueId
    tenant: TenantName
    direction: Direction
    reverse_path: str
    recipients: tuple[Recipient, ...]
    client: Client
    received_at: float
    body: Literal["7BIT", "8BITMIME"] = "7BIT"
    smtputf8: bool = False
    requiretls: bool = False
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""
    must_be_signed: bool = field(default=False, kw_only=True)
    message_id: str = field(default="", kw_only=True)
