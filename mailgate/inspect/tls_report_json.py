"""Reads the TLS report of somebody else (RFC 8460 section 4): what befell connections to our mail hosts. Pure; whatever
the bytes, it returns or raises ReportError. Who sent it decides what it is worth, not what it says of itself."""

from __future__ import annotations

import datetime
import re
from typing import Any

import msgspec

from mailgate.inspect.report_xml import ReportError
from mailgate.model.address import AddressError, parse_domain
from mailgate.model.received_report import TlsFailure, TlsReport

MOST_POLICIES = 100
MOST_FAILURES = 200  # distinct ones about one domain
MOST_SESSIONS = 1 << 40
_TYPE = re.compile(r"[a-z0-9-]{1,64}")
_TEXT_LIMIT = 255


class _Failure(msgspec.Struct, rename="kebab"):
    result_type: Any = ""
    receiving_mx_hostname: Any = ""
    failed_session_count: Any = 0


class _Summary(msgspec.Struct, rename="kebab"):
    total_successful_session_count: Any = 0
    total_failure_session_count: Any = 0


class _Policy(msgspec.Struct, rename="kebab"):
    policy_domain: Any = ""


class _About(msgspec.Struct, rename="kebab"):
    policy: _Policy
    summary: _Summary = msgspec.field(default_factory=_Summary)
    failure_details: list[_Failure] = []


class _Range(msgspec.Struct, rename="kebab"):
    start_datetime: str


class _Report(msgspec.Struct, rename="kebab"):
    organization_name: Any
    date_range: _Range
    report_id: Any
    policies: list[_About]


_decode = msgspec.json.Decoder(_Report).decode


def read_tls_report(content: bytes) -> tuple[TlsReport, ...]:
    """One for each domain that it is about."""
    try:
        found = _decode(content.removeprefix(b"\xef\xbb\xbf"))
        begin = datetime.datetime.fromisoformat(found.date_range.start_datetime)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ReportError(f"it is no TLS report: {error}"[:200]) from None
    begin = begin if begin.tzinfo is not None else begin.replace(tzinfo=datetime.UTC)
    domains: dict[str, list[_About]] = {}
    for about in found.policies[:MOST_POLICIES]:
        domains.setdefault(_domain(about.policy.policy_domain), []).append(about)
    return tuple(
        TlsReport(
            reporter=_text(found.organization_name),
            report_id=_text(found.report_id),
            domain=domain,
            begin=int(begin.timestamp()),
            successes=min(sum(_count(each.summary.total_successful_session_count) for each in abouts), MOST_SESSIONS),
            failed=min(sum(_count(each.summary.total_failure_session_count) for each in abouts), MOST_SESSIONS),
            failures=_failures(abouts),
        )
        for domain, abouts in domains.items()
        if domain
    )


def _failures(abouts: list[_About]) -> tuple[TlsFailure, ...]:
    counted: dict[tuple[str, str], int] = {}
    for failure in (failure for about in abouts for failure in about.failure_details):
        kind = failure.result_type if isinstance(failure.result_type, str) else ""
        key = (kind if _TYPE.fullmatch(kind) else "unknown", _domain(failure.receiving_mx_hostname))
        if key in counted or len(counted) < MOST_FAILURES:
            counted[key] = min(counted.get(key, 0) + _count(failure.failed_session_count), MOST_SESSIONS)
    return tuple(TlsFailure(kind, host, sessions) for (kind, host), sessions in counted.items())


def _domain(name: Any) -> str:
    try:
        return parse_domain(name.strip().rstrip(".")) if isinstance(name, str) else ""
    except AddressError:
        return ""


def _count(number: Any) -> int:
    """Some write numbers as text."""
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 16:
        number = int(number)
    return min(number, MOST_SESSIONS) if isinstance(number, int) and number > 0 else 0


def _text(text: Any) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:_TEXT_LIMIT] if isinstance(text, str) else ""
