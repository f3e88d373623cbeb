"""Puts a notice together: multipart/report with three parts (RFC 3464, RFC 6522; RFC 6533 where addresses need it)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.header import Header
from email.utils import formatdate

from mailgate.dsn.lines import field
from mailgate.dsn.notice import Notice
from mailgate.dsn.returned import Part, quoted, returned_part
from mailgate.dsn.status import delivery_status
from mailgate.dsn.words import WORDS, readable, subject

_MESSAGE_ID = re.compile(r"<[!-;=?-~]{3,250}>")


@dataclass(frozen=True, slots=True)
class Composed:
    """The bytes of the notice, and what its transaction needs: `is_8bit` BODY=8BITMIME, `smtputf8` SMTPUTF8."""

    content: bytes
    message_id: str
    is_8bit: bool
    smtputf8: bool


def compose(notice: Notice) -> Composed:
    """Pure. All but a message that is returned whole is 7-bit, and only the sender's own address asks for SMTPUTF8, so
    that a notice reaches whomever it must reach."""
    returned = returned_part(notice.returned, notice.envelope.smtputf8)
    parts = (text_part(readable(notice)), _status_part(notice), returned)
    is_global = parts[1].media_type != "message/delivery-status"
    message_id = f"<{notice.queue_id}.{notice.envelope.queue_id}@{notice.hostname}>"
    header = "".join(field(name, value) for name, value in _fields(notice, message_id, is_global))
    return Composed(
        content=header.encode() + b"\r\n" + multipart_body(parts, notice.boundary),
        message_id=message_id,
        is_8bit=any(part.encoding == "8bit" for part in parts),
        smtputf8=not notice.reader.isascii(),
    )


def _fields(notice: Notice, message_id: str, is_global: bool) -> Iterator[tuple[str, str]]:
    words = WORDS[notice.language]
    yield "From", f"{words.sender_name} <postmaster@{notice.hostname}>"
    yield "To", f"<{notice.reader}>"
    if notice.answer_to:
        yield "Reply-To", f"<{notice.answer_to}>"
    yield "Subject", header_text(subject(notice))
    yield "Date", formatdate(notice.now)
    yield "Message-ID", message_id
    if _MESSAGE_ID.fullmatch(notice.envelope.message_id):
        yield "In-Reply-To", notice.envelope.message_id
        yield "References", notice.envelope.message_id
    yield "Auto-Submitted", "auto-replied"
    yield "Content-Language", notice.language
    yield "MIME-Version", "1.0"
    report_type = "global-delivery-status" if is_global else "delivery-status"
    yield "Content-Type", f'multipart/report; report-type={report_type}; boundary="{notice.boundary}"'


def plain_notice(fields: Iterable[tuple[str, str]], text: str, message_id: str, smtputf8: bool) -> Composed:
    """A notice of nothing but text for people. 7-bit; an address beyond ASCII needs SMTPUTF8."""
    part = text_part(text)
    header = "".join(field(name, value) for name, value in fields)
    header += field("Content-Type", part.media_type) + field("Content-Transfer-Encoding", part.encoding)
    return Composed(header.encode() + b"\r\n" + part.body, message_id, False, smtputf8)


def header_text(text: str) -> str:
    """As it is, or as encoded words on one line: `field` does the folding."""
    return text if text.isascii() else Header(text, "utf-8", header_name="Subject").encode(linesep="")


def text_part(text: str) -> Part:
    """Text for people whose lines end in CR LF."""
    if text.isascii():
        return Part("text/plain; charset=us-ascii", "7bit", text.encode())
    return Part("text/plain; charset=utf-8", "quoted-printable", quoted(text.encode()))


def _status_part(notice: Notice) -> Part:
    status = delivery_status(notice)
    if status.isascii():
        return Part("message/delivery-status", "7bit", status.encode())
    return Part("message/global-delivery-status", "quoted-printable", quoted(status.encode()))


def multipart_body(parts: Sequence[Part], boundary: str) -> bytes:
    """The parts between their boundaries (RFC 2046 section 5.1)."""
    blocks = [
        b"--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n"
        % (boundary.encode(), part.media_type.encode(), part.encoding.encode(), part.body)
        for part in parts
    ]
    return b"".join(blocks) + b"--" + boundary.encode() + b"--\r\n"
