"""A TLS report as mail (RFC 8460 section 5.3). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote

from mailgate.dsn.report_mail import AttachedReport
from mailgate.model.address import AddressError, parse_address

MOST_RECIPIENTS = 5


def recipients(targets: Iterable[SplitResult]) -> tuple[str, ...]:
    """The addresses of mailto: URIs; what is no address is passed over."""
    found: list[str] = []
    for target in targets:
        try:
            found.append(str(parse_address(unquote(target.path))))
        except AddressError:
            continue
    return tuple(dict.fromkeys(found))[:MOST_RECIPIENTS]


def attached(domain: str, day: datetime.date, submitter: str, sender: str, report: bytes) -> AttachedReport:
    """`report` is the JSON, compressed; `submitter` our own host name. Its way may be less private than others: trouble
    with the policies of `domain` is what it tells of (section 5.3.1, RFC 8689 section 3)."""
    begin = int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())
    report_id = f"{day}.{domain}@{submitter}"
    return AttachedReport(
        sender=sender,
        subject=f"Report Domain: {domain} Submitter: {submitter} Report-ID: <{report_id}>",
        text=f"This is an aggregate TLS report of {submitter} about mail that it sent to {domain}.",
        container="multipart/report; report-type=tlsrpt",
        media_type="application/tlsrpt+gzip",
        filename=f"{submitter}!{domain}!{begin}!{begin + 86_399}!001.json.gz",
        content=report,
        report_id=report_id,
        fields=(("TLS-Report-Domain", domain), ("TLS-Report-Submitter", submitter), ("TLS-Required", "No")),
    )
