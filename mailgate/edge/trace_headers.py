"""Pure: the fields that the gateway puts on top of a message (RFC 5321 section 4.4, RFC 8601)."""

from __future__ import annotations

import secrets
from email.utils import formatdate

from mailgate.model.address import is_helo
from mailgate.model.envelope import Client, Direction, Envelope
from mailgate.senderauth.results import AuthenticationResults, MethodResult, Property


def prefix(
    envelope: Envelope,
    hostname: str,
    has_date: bool,
    has_message_id: bool,
    checked: tuple[MethodResult, ...] = (),
    is_client_hidden: bool = False,
) -> bytes:
    """The trace fields. Received stands below the results: a message that begins with a blank continues the field above
    it, and nobody is to write on in what we say of him. Return-Path only where the message stays here (final
    delivery). `checked`: what the checks of the sender found. `is_client_hidden`: of a user who has logged in the
    recipients learn neither address nor host name nor login name; the timeline has them."""
    is_hidden = is_client_hidden and bool(envelope.client.account)
    fields = []
    if all(recipient.mailboxes for recipient in envelope.recipients):
        fields.append(f"Return-Path: <{envelope.reverse_path}>")
    account = "" if is_hidden else envelope.client.account
    fields += [
        _authentication_results(envelope.client, hostname, account, checked),
        _received(envelope, hostname, is_hidden),
    ]
    if envelope.direction is Direction.OUTBOUND:
        fields += _completed(envelope, hostname, has_date, has_message_id)
    return "".join(f"{field}\r\n" for field in fields).encode()


def protocol(client: Client, smtputf8: bool) -> str:
    """The `with` word: RFC 3848, RFC 6531 section 4.3."""
    if not client.esmtp:
        return "SMTP"
    word = "UTF8SMTP" if smtputf8 else "ESMTP"
    return word + ("S" if client.tls_version else "") + ("A" if client.account else "")


def helo_of(client: Client) -> str:
    """What the client calls itself, or its address where that is no name that may stand in Received."""
    return client.helo if is_helo(client.helo) else _literal(client)


def _literal(client: Client) -> str:
    return f"[IPv6:{client.address}]" if ":" in client.address else f"[{client.address}]"


def _received(envelope: Envelope, hostname: str, is_hidden: bool) -> str:
    """The grammar wants a name after `from`: where the client's is hidden, ours stands there."""
    client = envelope.client
    source = f"{hostname} (client not shown)" if is_hidden else f"{helo_of(client)} ({_literal(client)})"
    lines = [
        f"Received: from {source}",
        f"by {hostname} with {protocol(client, envelope.smtputf8)} id {envelope.queue_id}",
    ]
    if client.tls_version:
        lines.append(f"(version={client.tls_version} cipher={client.tls_cipher})")
    if len(envelope.recipients) == 1:
        recipient = envelope.recipients[0]
        lines.append(f"for <{recipient.forwarder or recipient.forward_path}>")
    return "\r\n\t".join(lines) + f";\r\n\t{formatdate(envelope.received_at, localtime=False)}"


def _authentication_results(client: Client, hostname: str, account: str, checked: tuple[MethodResult, ...]) -> str:
    if client.account:
        named = (Property("smtp", "auth", account),) if account else ()
        checked = (MethodResult("auth", "pass", properties=named), *checked)
    return AuthenticationResults(hostname, checked).field()


def _completed(envelope: Envelope, hostname: str, has_date: bool, has_message_id: bool) -> list[str]:
    """Fields that a submission should not lack (RFC 6409 sections 8.1, 8.2)."""
    fields = []
    if not has_date:
        fields.append(f"Date: {formatdate(envelope.received_at, localtime=False)}")
    if not has_message_id:
        fields.append(f"Message-ID: <{secrets.token_hex(12)}.{envelope.queue_id}@{hostname}>")
    return fields
