"""From a message that was accepted to the rows that are kept. Pure."""

from __future__ import annotations

from typing import Any

from mailgate.ipc.calls import NewEntry
from mailgate.model.decision import ENCRYPTED_KEYS, Action, Decision
from mailgate.model.envelope import Direction, Envelope, MailboxId, Recipient
from mailgate.model.errors import UserError
from mailgate.model.outcome import State
from mailgate.spool.queue import Accepted, NewRow, Untold

_STATES = {Action.ACCEPT: State.QUEUED, Action.HOLD: State.HELD, Action.QUARANTINE: State.QUARANTINED}


WITHHELD = "WITHHELD"
"""Stands among the words of NOTIFY where only that is told."""


def domain_of(path: str) -> str:
    """The domain of a path, in lower case; empty for `postmaster` and for the null reverse-path."""
    return path.rpartition("@")[2].lower() if "@" in path else ""


def rows_of(entry: NewEntry) -> tuple[NewRow, ...]:
    """One row for each pair of recipient and mailbox, numbered from 0. UserError for a decision that keeps nothing."""
    state = _STATES.get(entry.decision.action)
    if state is None:
        raise UserError(f"a message to {entry.decision.action} can't be kept")
    pairs = [
        (position, recipient, mailbox)
        for position, recipient in enumerate(entry.envelope.recipients)
        for mailbox in recipient.mailboxes or (MailboxId(""),)
    ]
    if not pairs:
        raise UserError("a message without recipients can't be kept")
    return tuple(
        NewRow(
            n,
            position,
            recipient.forward_path,
            domain_of(recipient.forward_path),
            mailbox,
            state,
            notify_of(entry.envelope, recipient),
            untold_of(entry.decision) if mailbox else 0,
        )
        for n, (position, recipient, mailbox) in enumerate(pairs)
    )


def is_proven(envelope: Envelope) -> bool:
    """Whether the reverse-path is known to be the sender's: by its login, or because the message is ours. What turns
    out undeliverable of any other mail is quarantined, never bounced to somebody who may have nothing to do with it."""
    return envelope.direction is Direction.OUTBOUND or bool(envelope.client.account)


def notify_of(envelope: Envelope, recipient: Recipient) -> tuple[str, ...]:
    """What the sender is told of: what it asked for, else failures and delays (RFC 3461 section 4.1). Nothing is sent
    to the null reverse-path, nor to one that is not proven; but who sent from the null one after a login, or from a
    server of the tenant, is told of what is WITHHELD, at an address of its own."""
    if not is_proven(envelope) or recipient.notify == ("NEVER",):
        return ()
    if not envelope.reverse_path:
        return (WITHHELD,) if envelope.client.account or envelope.client.address else ()
    return recipient.notify or ("FAILURE", "DELAY")


def untold_of(decision: Decision) -> Untold:
    """What a recipient whose mailbox is here is to be told: of encrypted mail at once, since it may be able to release
    it; of anything else in quarantine by the next digest."""
    if decision.action is not Action.QUARANTINE:
        return 0
    return 2 if decision.key in ENCRYPTED_KEYS else 1


def summary_of(accepted: Accepted) -> dict[str, Any]:
    """The facts of the timeline's line `committed`."""
    return {
        "recipients": len(accepted.entry.envelope.recipients),
        "state": accepted.rows[0].state,
        "size": accepted.content.size,
    }
