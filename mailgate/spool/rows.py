"""From a message that was accepted to the rows that are kept. Pure."""

from __future__ import annotations

from typing import Any

from mailgate.ipc.calls import NewEntry
from mailgate.model.decision import Action
from mailgate.model.envelope import MailboxId
from mailgate.model.errors import UserError
from mailgate.model.outcome import State
from mailgate.spool.queue import Accepted, NewRow

_STATES = {Action.ACCEPT: State.QUEUED, Action.HOLD: State.HELD, Action.QUARANTINE: State.QUARANTINED}


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
        NewRow(n, position, recipient.forward_path, domain_of(recipient.forward_path), mailbox, state)
        for n, (position, recipient, mailbox) in enumerate(pairs)
    )


def summary_of(accepted: Accepted) -> dict[str, Any]:
    """The facts of the timeline's line `committed`."""
    return {
        "recipients": len(accepted.entry.envelope.recipients),
        "state": accepted.rows[0].state,
        "size": accepted.content.size,
    }
