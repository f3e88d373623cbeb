"""Machine-readable reports to other domains, as mail: a text for people and the report (RFC 9990 section 3.5, RFC 8460
section 5.3)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

from mailgate.dsn.compose import Composed, text_part
from mailgate.dsn.lines import field, paragraph
from mailgate.dsn.returned import Part


@dataclass(frozen=True, slots=True)
class ReportMail:
    """`sender` and `recipient` are addresses, `media_type` and `filename` are of `report`, the bytes to be attached.
    `container` is the media type of the whole, without its boundary. `fields` are header fields of this kind of report;
    `now` in seconds since 1970."""

    sender: str
    recipient: str
    subject: str
    text: str
    container: str
    media_type: str
    filename: str
    report: bytes
    report_id: str
    boundary: str
    now: float
    fields: tuple[tuple[str, str], ...] = ()


def compose_report(mail: ReportMail) -> Composed:
    """Pure. The Message-ID is the report's id, so that one that comes twice is recognised."""
    message_id = f"<{mail.report_id}>"
    header = "".join(field(name, value) for name, value in _fields(mail, message_id))
    parts = (text_part("".join(f"{line}\r\n" for line in paragraph(mail.text))), _attached(mail))
    return Composed(header.encode() + b"\r\n" + _body(mail, parts), message_id, False, not mail.recipient.isascii())


def _fields(mail: ReportMail, message_id: str) -> Iterator[tuple[str, str]]:
    yield "From", f"<{mail.sender}>"
    yield "To", f"<{mail.recipient}>"
    yield "Subject", mail.subject
    yield "Date", formatdate(mail.now)
    yield "Message-ID", message_id
    yield from mail.fields
    yield "Auto-Submitted", "auto-generated"
    yield "MIME-Version", "1.0"
    yield "Content-Type", f'{mail.container}; boundary="{mail.boundary}"'


def _attached(mail: ReportMail) -> Part:
    encoded = base64.encodebytes(mail.report).replace(b"\n", b"\r\n")
    kind = f'{mail.media_type}; name="{mail.filename}"\r\nContent-Disposition: attachment; filename="{mail.filename}"'
    return Part(kind, "base64", encoded)


def _body(mail: ReportMail, parts: tuple[Part, ...]) -> bytes:
    boundary = mail.boundary.encode()
    blocks = [
        b"--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n"
        % (boundary, part.media_type.encode(), part.encoding.encode(), part.body)
        for part in parts
    ]
    return b"".join(blocks) + b"--" + boundary + b"--\r\n"
