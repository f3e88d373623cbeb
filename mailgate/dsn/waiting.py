"""Tells recipients of mail in quarantine that is theirs: one message at once, or all of a day in a digest. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

from mailgate.dsn.compose import Composed, header_text, plain_notice
from mailgate.dsn.lines import one_line, paragraph
from mailgate.dsn.notice import Language
from mailgate.dsn.waiting_words import WAITING_WORDS, moment
from mailgate.model.envelope import QueueId

REASON_LIMIT = 200  # characters; it may quote names that a stranger chose
PATH_LIMIT = 256
LOCAL_SHOWN = 20  # characters of a sender's local part


@dataclass(frozen=True, slots=True)
class Withheld:
    """One message that waits. `release_address` is empty where an answer does nothing; it holds until `release_until`.
    `is_to_be_asked`: an answer asks the administrators. `deleted_at`: when retention ends. Times in seconds since
    1970."""

    queue_id: QueueId
    reverse_path: str
    forward_path: str
    received_at: float
    reason: str
    deleted_at: float
    release_address: str = ""
    release_until: float = 0.0
    is_to_be_asked: bool = False


@dataclass(frozen=True, slots=True)
class WaitingNotice:
    """`recipient` is the address of the mailbox; `messages` are all its own, one at least; `more` of them are not
    listed. `hostname` is ours; `now` in seconds since 1970. `asked_by`: who asks the reader, an administrator, for a
    release."""

    queue_id: QueueId
    recipient: str
    messages: tuple[Withheld, ...]
    is_digest: bool
    hostname: str
    language: Language
    now: float
    more: int = 0
    asked_by: str = ""


def compose_waiting(notice: WaitingNotice) -> Composed:
    """No subject and no content of what waits: what a stranger wrote must not reach people in our name."""
    message_id = f"<{notice.queue_id}.waiting@{notice.hostname}>"
    return plain_notice(_fields(notice, message_id), _readable(notice), message_id, not notice.recipient.isascii())


def _fields(notice: WaitingNotice, message_id: str) -> Iterator[tuple[str, str]]:
    words = WAITING_WORDS[notice.language]
    first = notice.messages[0]
    yield "From", f"{header_text(words.sender_name)} <postmaster@{notice.hostname}>"
    yield "To", f"<{notice.recipient}>"
    if not notice.is_digest and first.release_address:
        yield "Reply-To", f"<{first.release_address}>"
    count = len(notice.messages) + notice.more
    subject = words.digest_subject.format(count=count) if notice.is_digest else words.subject
    if notice.asked_by:
        subject = words.asked_subject.format(asker=one_line(notice.asked_by, PATH_LIMIT))
    yield "Subject", header_text(subject)
    yield "Date", formatdate(notice.now)
    yield "Message-ID", message_id
    yield "Auto-Submitted", "auto-generated"
    yield "Content-Language", notice.language
    yield "MIME-Version", "1.0"


def _readable(notice: WaitingNotice) -> str:
    """Lines end in CR LF."""
    words = WAITING_WORDS[notice.language]
    opening = words.digest_opening if notice.is_digest else words.opening
    if notice.asked_by:
        opening = words.asked_opening.format(asker=one_line(notice.asked_by, PATH_LIMIT))
    lines = [*paragraph(words.greeting.format(hostname=notice.hostname)), "", *paragraph(opening), ""]
    for message in notice.messages:
        lines += [*_about(message, notice), ""]
    if notice.more:
        lines += [*paragraph(words.more.format(count=notice.more)), ""]
    lines += _what_to_do(notice)
    return "".join(f"{line}\r\n" for line in lines)


def _about(message: Withheld, notice: WaitingNotice) -> Iterator[str]:
    words = WAITING_WORDS[notice.language]
    yield f"  {words.sender}: {_sender(message.reverse_path) or words.no_sender}"
    yield f"  {words.recipient}: {one_line(message.forward_path, PATH_LIMIT)}"
    yield f"  {words.received}: {moment(message.received_at, words)}"
    yield from paragraph(f"{words.reason}: {one_line(message.reason, REASON_LIMIT)}", "  ")
    yield f"  {words.queue_id}: {message.queue_id}"
    yield f"  {words.deleted}: {moment(message.deleted_at, words)}"
    if notice.is_digest and message.release_address:
        yield f"  {words.ask_at if message.is_to_be_asked else words.release}: {message.release_address}"


def _sender(path: str) -> str:
    """A long local part is made by a program, for one message or one recipient (VERP, BATV): its beginning and the
    domain are what a person can tell a sender by."""
    local, at, domain = path.rpartition("@")
    short = local if len(local) <= LOCAL_SHOWN else f"{local[: LOCAL_SHOWN // 2]}..."
    return one_line(f"{short}{at}{domain}", PATH_LIMIT)


def _what_to_do(notice: WaitingNotice) -> list[str]:
    words = WAITING_WORDS[notice.language]
    if notice.asked_by:
        return [*paragraph(words.asked_how), "", *paragraph(words.asked_closing)]
    releasable = [each for each in notice.messages if each.release_address and not each.is_to_be_asked]
    to_ask = [each for each in notice.messages if each.is_to_be_asked]
    lines: list[str] = []
    if releasable:
        how = words.how_to_release_one if notice.is_digest else words.how_to_release
        until = moment(min(message.release_until for message in releasable), words)
        lines += [*paragraph(how.format(until=until)), ""]
    if to_ask:
        lines += [*paragraph(words.how_to_ask_one if notice.is_digest else words.how_to_ask), ""]
    if len(releasable) + len(to_ask) < len(notice.messages):
        lines += [*paragraph(words.ask_for_others if releasable or to_ask else words.ask), ""]
    return [*lines, *paragraph(words.closing)]
