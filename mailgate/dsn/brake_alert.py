"""Tells a tenant's administrators that an account sends unusually much and that its mail is held. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

from mailgate.dsn.compose import Composed, header_text, plain_notice
from mailgate.dsn.lines import paragraph
from mailgate.dsn.notice import Language
from mailgate.model.envelope import QueueId


@dataclass(frozen=True, slots=True)
class BrakeAlert:
    """`account` is the login; `reason` which limit it passed. `now` in seconds since 1970."""

    queue_id: QueueId
    recipient: str
    account: str
    reason: str
    hostname: str
    language: Language
    now: float


@dataclass(frozen=True, slots=True)
class _Words:
    sender_name: str
    subject: str
    text: tuple[str, ...]


_WORDS: dict[Language, _Words] = {
    "en": _Words(
        "Mail gateway",
        "Mail of {account} is held",
        (
            "{account} has sent unusually much mail: {reason}. Somebody else may know the password. What the account "
            "sends is accepted and held from now on; nobody has been told but you.",
            "If it was not the owner: set a new password (mailgate user passwd {account}) and let the operator of the "
            "gateway delete what is held (mailgate queue delete --why {account}).",
            "If all is well: mailgate user release {account} delivers what is held and ends the hold.",
        ),
    ),
    "de": _Words(
        "Mail-Gateway",
        "E-Mails von {account} werden angehalten",
        (
            "{account} hat ungewöhnlich viele E-Mails gesendet ({reason}). Vielleicht kennt jemand anderes das "
            "Passwort. Was das Konto sendet, wird ab jetzt angenommen und angehalten; außer Ihnen weiß das niemand.",
            "War es nicht der Inhaber: Setzen Sie ein neues Passwort (mailgate user passwd {account}) und lassen Sie "
            "den Betreiber des Gateways löschen, was angehalten ist (mailgate queue delete --why {account}).",
            "Ist alles in Ordnung: mailgate user release {account} stellt das Angehaltene zu und beendet das Anhalten.",
        ),
    ),
}


def compose_alert(alert: BrakeAlert) -> Composed:
    words = _WORDS[alert.language]
    lines = [
        line
        for text in words.text
        for line in (*paragraph(text.format(account=alert.account, reason=alert.reason)), "")
    ]
    message_id = f"<{alert.queue_id}.alert@{alert.hostname}>"
    return plain_notice(
        _fields(alert, words, message_id),
        "".join(f"{line}\r\n" for line in lines),
        message_id,
        not alert.recipient.isascii(),
    )


def _fields(alert: BrakeAlert, words: _Words, message_id: str) -> Iterator[tuple[str, str]]:
    yield "From", f"{header_text(words.sender_name)} <postmaster@{alert.hostname}>"
    yield "To", f"<{alert.recipient}>"
    yield "Subject", header_text(words.subject.format(account=alert.account))
    yield "Date", formatdate(alert.now)
    yield "Message-ID", message_id
    yield "Auto-Submitted", "auto-generated"
    yield "Content-Language", alert.language
    yield "MIME-Version", "1.0"
