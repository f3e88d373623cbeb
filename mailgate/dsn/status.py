"""The second part of a notice, for programs: message/delivery-status (RFC 3464), or message/global-delivery-status
(RFC 6533) where a field needs more than ASCII."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate

from mailgate.dsn import xtext
from mailgate.dsn.lines import ascii_line, field, host, one_line
from mailgate.dsn.notice import Action, Fate, Notice
from mailgate.dsn.parameters import original_recipient

LOCAL_DIAGNOSTIC = "X-Mailgate"  # type of what we say ourselves, where no server said anything


def delivery_status(notice: Notice) -> str:
    """All groups of fields, the message's first; lines end in CR LF."""
    groups = [_message(notice), *(_recipient(notice, fate) for fate in notice.fates)]
    return "\r\n".join("".join(field(name, value) for name, value in group) for group in groups)


def _message(notice: Notice) -> Iterator[tuple[str, str]]:
    envelope = notice.envelope
    if envelope.envid:
        yield "Original-Envelope-Id", xtext.decode(envelope.envid)
    yield "Reporting-MTA", f"dns; {notice.hostname}"
    yield "Arrival-Date", formatdate(envelope.received_at)


def _recipient(notice: Notice, fate: Fate) -> Iterator[tuple[str, str]]:
    outcome = fate.outcome
    if fate.recipient.orcpt:
        kind, address = original_recipient(fate.recipient.orcpt)
        yield "Original-Recipient", f"{kind}; {one_line(address)}"
    yield "Final-Recipient", _typed(fate.recipient.forward_path)
    yield "Action", fate.action.field
    yield "Status", fate.status
    remote = host(outcome.remote_mta)
    if remote:
        yield "Remote-MTA", f"dns; {remote}"
    if outcome.reply:
        yield "Diagnostic-Code", f"smtp; {ascii_line(outcome.reply)}"
    elif outcome.text:
        yield "Diagnostic-Code", f"{LOCAL_DIAGNOSTIC}; {ascii_line(outcome.text)}"
    yield "Last-Attempt-Date", formatdate(fate.at)
    yield "Final-Log-ID", notice.envelope.queue_id
    if fate.action in (Action.DELAYED, Action.HELD) and fate.retry_until is not None:
        yield "Will-Retry-Until", formatdate(fate.retry_until)


def _typed(path: str) -> str:
    return f"rfc822; {one_line(path)}" if path.isascii() else f"utf-8; {one_line(path)}"
