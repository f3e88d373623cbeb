"""Tells those who use a mailbox that an administrator may read it for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from mailgate.dsn.compose import Composed, header_text, plain_notice
from mailgate.dsn.lines import one_line, paragraph
from mailgate.dsn.notice import Language
from mailgate.dsn.waiting_words import WAITING_WORDS, moment
from mailgate.model.envelope import QueueId

REASON_LIMIT = 500  # characters


@dataclass(frozen=True, slots=True)
class AccessNotice:
    """`mailbox` is its address. `until` and `now` in seconds since 1970; `id` names the access in commands."""

    queue_id: QueueId
    mailbox: str
    requested_by: str
    confirmed_by: str
    reason: str
    until: float
    id: str
    hostname: str
    language: Language
    now: float


@dataclass(frozen=True, slots=True)
class _Words:
    sender_name: str
    subject: str
    opening: str
    asked: str
    confirmed: str
    reason: str
    until: str
    closing: str


_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        sender_name="Mailbox Access",
        subject="An administrator may read this mailbox for a while",
        opening="An administrator may read the mailbox {mailbox} until the time below. A second person agreed.",
        asked="asked for by",
        confirmed="confirmed by",
        reason="reason",
        until="until",
        closing="It ends by itself. Who uses the mailbox can end it now: mailgate breakglass end {id}",
    ),
    "de": _Words(
        sender_name="Postfachzugriff",
        subject="Ein Administrator darf dieses Postfach eine Zeit lang lesen",
        opening="Ein Administrator darf das Postfach {mailbox} bis zur unten genannten Zeit lesen. Eine zweite "
        "Person hat zugestimmt.",
        asked="beantragt von",
        confirmed="bestätigt von",
        reason="Grund",
        until="bis",
        closing="Der Zugriff endet von selbst. Wer das Postfach benutzt, kann ihn sofort beenden: "
        "mailgate breakglass end {id}",
    ),
}


def compose_access(notice: AccessNotice) -> Composed:
    """7-bit; addresses beyond ASCII need SMTPUTF8."""
    message_id = f"<{notice.queue_id}.access@{notice.hostname}>"
    return plain_notice(_fields(notice, message_id), _readable(notice), message_id, not notice.mailbox.isascii())


def _fields(notice: AccessNotice, message_id: str) -> Iterator[tuple[str, str]]:
    words = _WORDS[notice.language]
    yield "From", f"{header_text(words.sender_name)} <postmaster@{notice.hostname}>"
    yield "To", f"<{notice.mailbox}>"
    yield "Subject", header_text(words.subject)
    yield "Date", formatdate(notice.now)
    yield "Message-ID", message_id
    yield "Auto-Submitted", "auto-generated"
    yield "Content-Language", notice.language
    yield "MIME-Version", "1.0"


def _readable(notice: AccessNotice) -> str:
    """Lines end in CR LF."""
    words = _WORDS[notice.language]
    facts = (
        (words.asked, notice.requested_by),
        (words.confirmed, notice.confirmed_by),
        (words.reason, one_line(notice.reason, REASON_LIMIT)),
        (words.until, moment(notice.until, WAITING_WORDS[notice.language])),
    )
    lines = [*paragraph(words.opening.format(mailbox=notice.mailbox)), ""]
    lines += [f"  {name}: {value}" for name, value in facts]
    lines += ["", *paragraph(words.closing.format(id=notice.id))]
    return "".join(f"{line}\r\n" for line in lines)
