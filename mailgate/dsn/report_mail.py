"""Machine-readable reports to other domains, as mail: a text for people and the report (RFC 9990 section 3.5, RFC 8460
section 5.3)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from email.utils import formatdate

from mailgate.dsn.compose import Composed, multipart_body, text_part
from mailgate.dsn.lines import field, paragraph
from mailgate.dsn.returned import Part


@dataclass(frozen=True, slots=True)
class AttachedReport:
    """`sender` is an address; `media_type` and `filename` are of `content`, the bytes to be attached; `container` is
    the media type of the whole, without its boundary. `fields` are header fields of this kind of report."""

    sender: str
    subject: str
    text: str
    container: str
    media_type: str
    filename: str
    content: bytes
    report_id: str
    fields: tuple[tuple[str, str], ...] = ()


def compose_report(report: AttachedReport, recipient: str, boundary: str, now: float) -> Composed:
    """Pure; `now` in seconds since 1970. The Message-ID is the report's id, so that one that comes twice is
    recognised."""
    message_id = f"<{report.report_id}>"
    header = "".join(
        field(name, value)
        for name, value in (
            ("From", f"<{report.sender}>"),
            ("To", f"<{recipient}>"),
            ("Subject", report.subject),
            ("Date", formatdate(now)),
            ("Message-ID", message_id),
            *report.fields,
            ("Auto-Submitted", "auto-generated"),
            ("MIME-Version", "1.0"),
            ("Content-Type", f'{report.container}; boundary="{boundary}"'),
        )
    )
    parts = (text_part("".join(f"{line}\r\n" for line in paragraph(report.text))), _attached(report))
    content = header.encode() + b"\r\n" + multipart_body(parts, boundary)
    return Composed(content, message_id, is_8bit=False, smtputf8=not recipient.isascii())


def _attached(report: AttachedReport) -> Part:
    name = report.filename
    encoded = base64.encodebytes(report.content).replace(b"\n", b"\r\n")
    fields = f'{report.media_type}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"'
    return Part(fields, "base64", encoded)
