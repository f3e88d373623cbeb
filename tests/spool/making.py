"""Messages for the tests of spool and store."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailgate.ipc.calls import NewEntry
from mailgate.model.decision import Action, Decision
from mailgate.model.envelope import Client, Direction, Envelope, MailboxId, Recipient, TenantName, queue_id
from mailgate.model.event import Event
from mailgate.spool.content import inline_content
from mailgate.spool.queue import Accepted
from mailgate.spool.rows import rows_of
from mailgate.spool.sqlite import SqliteSpool

NOW = 1_800_000_000.0
HOLDER = "holder-1"
_numbers = itertools.count()


def local(path: str = "bob@acme.example", *mailboxes: str) -> Recipient:
    return Recipient(path, tuple(map(MailboxId, mailboxes or ("box-bob",))))


def outside(path: str) -> Recipient:
    return Recipient(path)


def envelope(*recipients: Recipient, at: float = NOW, tenant: str = "acme", **more: Any) -> Envelope:
    name = queue_id(at, next(_numbers))
    return replace(
        Envelope(
            queue_id=name,
            tenant=TenantName(tenant),
            direction=Direction.INBOUND,
            reverse_path="ann@sender.example",
            recipients=recipients or (local(),),
            client=Client("192.0.2.1", helo="mx.sender.example"),
            received_at=at,
            message_id=f"<{name}@sender.example>",
        ),
        **more,
    )


def entry(
    *recipients: Recipient,
    action: Action = Action.ACCEPT,
    body: bytes = b"Subject: hello\r\n\r\nhi\r\n",
    at: float = NOW,
    tenant: str = "acme",
    **more: Any,
) -> NewEntry:
    return NewEntry(
        envelope=envelope(*recipients, at=at, tenant=tenant, **more),
        decision=Decision(action, "test rule", "because of the test", "v1"),
        prefix=b"Received: by test\r\n",
        inline=body,
        body_size=len(body),
        events=(Event(at, "received", {"size": len(body)}),),
    )


def staged(path: Path, body: bytes, *recipients: Recipient, cuts: Sequence[tuple[int, int]] = ()) -> NewEntry:
    """An entry whose body lies in the file `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    small = entry(*recipients)
    return NewEntry(
        envelope=small.envelope,
        decision=small.decision,
        prefix=small.prefix,
        staged=str(path),
        body_size=len(body),
        cuts=tuple(cuts),
        events=small.events,
    )


def accepted(given: NewEntry, at_once: bool = False) -> Accepted:
    assert given.inline is not None
    content = inline_content(given.prefix, given.inline, given.cuts)
    return Accepted(given, content, rows_of(given), at_once)


def keep(spool: SqliteSpool, *entries: NewEntry, now: float = NOW) -> list[str]:
    """Commits the entries without a lease; their queue ids."""
    spool.begin()
    for given in entries:
        spool.keep(accepted(given), now, HOLDER, 60)
    spool.commit()
    return [given.envelope.queue_id for given in entries]
