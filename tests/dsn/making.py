"""Envelopes, fates and notices for the tests of this folder, and the way back from bytes to what a program reads."""

from __future__ import annotations

import email
import email.policy
import quopri
from collections.abc import Sequence
from dataclasses import replace
from email.message import EmailMessage, Message
from typing import Any

from mailgate.dsn.compose import compose
from mailgate.dsn.notice import Action, Fate, Notice, Returned
from mailgate.model.envelope import Client, Direction, Envelope, QueueId, Recipient, TenantName
from mailgate.model.outcome import Outcome, State

NOW = 1_800_000_000.0
CONTENT = b"Received: from here\r\nFrom: bob@acme.example\r\nSubject: secret\r\n\r\nThe body.\r\n"
BOUNCED = Outcome(
    State.BOUNCED,
    "mx.far.example refused the recipient",
    550,
    "5.1.1",
    reply="550 5.1.1 No such user",
    remote_mta="mx.far.example",
)


def envelope(*recipients: Recipient, **changes: Any) -> Envelope:
    made = Envelope(
        queue_id=QueueId("0123456789abcdef"),
        tenant=TenantName("acme"),
        direction=Direction.OUTBOUND,
        reverse_path="bob@acme.example",
        recipients=recipients or (Recipient("kim@far.example"),),
        client=Client("192.0.2.1", account="bob@acme.example"),
        received_at=NOW - 60,
        message_id="<1@acme.example>",
    )
    return replace(made, **changes)


def fate(recipient: Recipient | str = "kim@far.example", action: Action = Action.FAILED, **changes: Any) -> Fate:
    given = Recipient(recipient) if isinstance(recipient, str) else recipient
    return replace(Fate(given, action, BOUNCED, NOW), **changes)


def notice(*fates: Fate, returned: Returned | None = None, **changes: Any) -> Notice:
    """`changes` are of the notice, or with the prefix `envelope_` of its envelope."""
    given = fates or (fate(),)
    inner = {
        name.removeprefix("envelope_"): changes.pop(name) for name in list(changes) if name.startswith("envelope_")
    }
    made = Notice(
        queue_id=QueueId("zyxwvtsrqpnmkjhg"),
        envelope=envelope(*(each.recipient for each in given), **inner),
        fates=given,
        returned=returned or Returned(CONTENT),
        hostname="mx.gateway.example",
        language="en",
        boundary="the-boundary",
        now=NOW,
    )
    return replace(made, **changes)


def parsed(made: Notice) -> EmailMessage:
    """As Python's parser reads it; every line within the limit of RFC 5322, and ended by CR LF."""
    content = compose(made).content
    assert content.endswith(b"\r\n")
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert message.get_content_type() == "multipart/report"
    assert len(parts(message)) == 3
    assert not message.defects
    return message


def parts(message: EmailMessage) -> Sequence[Message]:
    return list(message.iter_parts())


def readable(made: Notice) -> str:
    """The first part, its lines joined: the text itself, not where it wraps."""
    text = parts(parsed(made))[0]
    assert isinstance(text, EmailMessage)
    return " ".join(str(text.get_content()).split())


def status_groups(made: Notice) -> list[Message]:
    """The groups of fields of the second part, the message's own first."""
    part = parts(parsed(made))[1]
    if part.get_content_type() == "message/delivery-status":
        return list(part.get_payload())  # type: ignore[arg-type]
    raw = quoted_back(part)
    return [email.message_from_string(group, policy=email.policy.SMTPUTF8) for group in raw.split("\r\n\r\n")]


def quoted_back(part: Message) -> str:
    """The text of a quoted-printable part of a type that the parser takes for a message."""
    payload = part.get_payload()
    inner = payload[0].as_bytes() if isinstance(payload, list) else str(payload).encode()
    return quopri.decodestring(inner.lstrip(b"\r\n")).decode().replace("\r\n", "\n").replace("\n", "\r\n")
