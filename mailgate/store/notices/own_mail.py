"""Messages of the gateway's own, ready to be kept: from the null reverse-path, so that nothing answers them."""

from __future__ import annotations

from mailgate.dsn.compose import Composed
from mailgate.ipc.calls import NewEntry
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName
from mailgate.model.event import Event
from mailgate.spool.content import inline_content
from mailgate.spool.queue import Accepted
from mailgate.spool.rows import rows_of


def own_mail(
    composed: Composed,
    queue_id: QueueId,
    tenant: TenantName,
    recipient: Recipient,
    hostname: str,
    decision: Decision,
    event: Event,
    *,
    requiretls: bool = False,
    must_be_signed: bool = False,
) -> Accepted:
    """`event` is the first line of its timeline, and gives its time."""
    envelope = Envelope(
        queue_id=queue_id,
        tenant=tenant,
        direction=Direction.OUTBOUND,
        reverse_path="",
        recipients=(recipient,),
        client=Client("", helo=hostname),
        received_at=event.at,
        body="8BITMIME" if composed.is_8bit else "7BIT",
        smtputf8=composed.smtputf8,
        requiretls=requiretls,
        must_be_signed=must_be_signed,
        message_id=composed.message_id,
    )
    prefix = b"Return-Path: <>\r\n" if recipient.mailboxes else b""
    entry = NewEntry(
        envelope=envelope,
        decision=decision,
        prefix=prefix,
        inline=composed.content,
        body_size=len(composed.content),
        events=(event,),
    )
    return Accepted(entry, inline_content(prefix, composed.content, ()), rows_of(entry))


def allowed(about: str, policy_version: str) -> Decision:
    """The decision on such a message."""
    return Decision(Action.ACCEPT, "built-in: notice", about, policy_version)
