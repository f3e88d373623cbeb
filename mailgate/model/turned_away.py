"""What is known of a client that was refused before a message of it was kept: for the log, and for `mailgate trace`."""

from __future__ import annotations

from msgspec import Struct


class TurnedAway(Struct, frozen=True):
    """`at` in seconds since 1970. `network` is that of `client` (an IPv4 /24, an IPv6 /48). `sender` is the
    reverse-path that was given, `<>` for the null one and empty for none; `recipients` the forward-paths that it is
    about. `command` is an SMTP verb, `connect` or `handshake`; `reply` what the client heard, empty where it heard
    nothing; `reason` says it to an administrator. `queue_id` of a message that has a timeline. Paths and names are as
    strangers gave them, without control characters."""

    at: float
    listener: str
    client: str
    network: str
    helo: str
    tls: str
    command: str
    sender: str
    recipients: tuple[str, ...]
    reply: str
    reason: str
    queue_id: str = ""
