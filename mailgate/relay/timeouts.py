"""How long each step of a session may take (RFC 5321 section 4.5.3.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `stagger`: the head start of an address before the next one is tried beside it (RFC 8305)."""

    connect: float = 30.0
    stagger: float = 0.3
    greeting: float = 300.0
    hello: float = 300.0
    tls: float = 60.0
    auth: float = 120.0
    mail: float = 300.0
    rcpt: float = 300.0
    data_start: float = 120.0
    data_block: float = 180.0
    data_end: float = 600.0
    quit: float = 2.0
    delivery: float = 1_800.0
