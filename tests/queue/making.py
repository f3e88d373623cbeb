"""Submissions of bob's, and what next hops say to them."""

from __future__ import annotations

from typing import Any

from mailgate.ipc.calls import NewEntry
from mailgate.model.envelope import Client, Direction, Recipient
from mailgate.model.outcome import Outcome, State
from tests.spool.making import entry

BOB = "bob@acme.example"
BOUNCED = Outcome(State.BOUNCED, "refused", 550, "5.1.1", "550 5.1.1 No such user", "mx.far.example")
DEFERRED = Outcome(State.QUEUED, "busy", 450, "4.2.1", "450 4.2.1 Busy", "mx.far.example")
RELAYED = Outcome(State.RELAYED, "taken", 250, "2.0.0", "250 2.0.0 Ok", "mx.far.example")


def submission(*recipients: Recipient, **more: Any) -> NewEntry:
    """Mail of bob's, for recipients elsewhere."""
    given = {"direction": Direction.OUTBOUND, "reverse_path": BOB, "client": Client("192.0.2.1", account=BOB)}
    return entry(*(recipients or (Recipient("kim@far.example"),)), **(given | more))
