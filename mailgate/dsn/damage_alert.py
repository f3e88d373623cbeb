"""Tells a tenant's administrators of messages whose content was damaged while they waited. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate

from mailgate.dsn.compose import Composed, header_text, plain_notice
from mailgate.dsn.lines import paragraph
from mailgate.dsn.notice import Language
from mailgate.model.envelope import QueueId

MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class DamageAlert:
    """`damaged`: queue id and arrival of each message. Times in seconds since 1970."""

    queue_id: QueueId
    recipient: str
    damaged: Sequence[tuple[QueueId, float]]
    hostname: str
    language: Language
    now: float


@dataclass(frozen=True, slots=True)
class _Words:
    sender_name: str
    subject: str
    before: str
    line: str
    more: str
    after: tuple[str, ...]


_WORDS: dict[Language, _Words] = {
    "en": _Words(
        "Mail gateway",
        "Damaged mail is held",
        "Mail of your domains that the gateway had accepted was damaged on its disk. What is not known to be as it "
        "came is not delivered, so these messages are held:",
        "{queue_id}, received {date}",
        "and {number} more",
        (
            "mailgate trace ID tells who sent the message and to whom. Ask its sender to send it again, or the "
            "operator of the gateway, who knows as well, to restore it from a backup and release it.",
        ),
    ),
    "de": _Words(
        "Mail-Gateway",
        "Beschädigte E-Mails werden zurückgehalten",
        "E-Mails Ihrer Domains, die das Gateway angenommen hatte, sind auf dessen Datenträger beschädigt worden. Was "
        "nicht nachweislich so ist, wie es ankam, wird nicht zugestellt; diese Nachrichten werden zurückgehalten:",
        "{queue_id}, eingegangen {date}",
        "und {number} weitere",
        (
            "mailgate trace ID zeigt, von wem und an wen eine Nachricht ist. Bitten Sie den Absender, sie noch einmal "
            "zu senden, oder den Betreiber des Gateways, der ebenfalls Bescheid weiß, sie aus einer Sicherung "
            "zurückzuholen und freizugeben.",
        ),
    ),
}


def compose_damage(alert: DamageAlert) -> Composed:
    words = _WORDS[alert.language]
    message_id = f"<{alert.queue_id}.alert@{alert.hostname}>"
    return plain_notice(
        _fields(alert, words, message_id),
        "".join(f"{line}\r\n" for line in _lines(alert, words)),
        message_id,
        not alert.recipient.isascii(),
    )


def _lines(alert: DamageAlert, words: _Words) -> Iterator[str]:
    yield from (*paragraph(words.before), "")
    for queue_id, at in alert.damaged[:MOST_NAMED]:
        yield "  " + words.line.format(queue_id=queue_id, date=formatdate(at))
    if len(alert.damaged) > MOST_NAMED:
        yield "  " + words.more.format(number=len(alert.damaged) - MOST_NAMED)
    yield ""
    for text in words.after:
        yield from (*paragraph(text), "")


def _fields(alert: DamageAlert, words: _Words, message_id: str) -> Iterator[tuple[str, str]]:
    yield "From", f"{header_text(words.sender_name)} <postmaster@{alert.hostname}>"
    yield "To", f"<{alert.recipient}>"
    yield "Subject", header_text(words.subject)
    yield "Date", formatdate(alert.now)
    yield "Message-ID", message_id
    yield "Auto-Submitted", "auto-generated"
    yield "Content-Language", alert.language
    yield "MIME-Version", "1.0"
