"""TLS reports of others (RFC 8460) are read, kept by tenant, and shown; nothing that a stranger sends does harm."""

from __future__ import annotations

import gzip
import json
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.inspect.report_xml import ReportError
from mailgate.inspect.reports import read_reports
from mailgate.inspect.tls_report_json import MOST_SESSIONS, read_tls_report
from mailgate.model.received_report import TlsFailure, TlsReport
from mailgate.records.transport_report import reported
from mailgate.spool import tls_received
from mailgate.spool.migrations import migrate

BEGIN = 1_459_468_800
REPORT: dict[str, Any] = {  # RFC 8460 appendix B, shortened
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "Company-Y.example"},
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {"result-type": "starttls-not-supported", "failed-session-count": "203"},
            ],
        }
    ],
}
EXPECTED = TlsReport(
    "Company-X",
    "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "company-y.example",
    BEGIN,
    5326,
    303,
    (
        TlsFailure("certificate-expired", "mx1.mail.company-y.example", 100),
        TlsFailure("starttls-not-supported", "", 203),
    ),
)


def mailed(content: bytes, media_type: str) -> bytes:
    encoded = content.hex().encode()
    quoted = b"".join(b"=" + encoded[at : at + 2].upper() for at in range(0, len(encoded), 2))
    lines = b"=\r\n".join(quoted[at : at + 72] for at in range(0, len(quoted), 72))
    head = f"From: a@b.example\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head.encode() + lines + b"\r\n"


@pytest.mark.parametrize("media_type", ["application/tlsrpt+gzip", "application/gzip", "application/octet-stream"])
def test_a_packed_report(media_type: str) -> None:
    reading = read_reports(mailed(gzip.compress(json.dumps(REPORT).encode()), media_type))
    assert (reading.tls, reading.reports, reading.problem) == ((EXPECTED,), (), "")


def test_a_plain_report() -> None:
    assert read_reports(mailed(json.dumps(REPORT).encode(), "application/tlsrpt+json")).tls == (EXPECTED,)


@pytest.mark.parametrize("content", [b"{", b"{}", b"[]", b'{"policies": 1}', b"{" * 100_000, b"\xff"])
def test_what_is_none(content: bytes) -> None:
    with pytest.raises(ReportError):
        read_tls_report(content)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@given(_JSON, _JSON, _JSON, _JSON)
def test_whatever_stands_in_it_is_bounded(domain: Any, count: Any, kind: Any, name: Any) -> None:
    about = {
        "policy": {"policy-domain": domain},
        "summary": {"total-failure-session-count": count},
        "failure-details": [{"result-type": kind, "failed-session-count": count}] * 3,
    }
    found = REPORT | {"organization-name": name, "policies": [about, REPORT["policies"][0]]}
    try:
        reports = read_tls_report(json.dumps(found).encode())
    except ReportError:
        return
    for report in reports:
        assert 0 <= report.failed <= MOST_SESSIONS
        assert all(0 <= failure.sessions <= MOST_SESSIONS for failure in report.failures)
        assert len(report.reporter) <= 255


def test_each_counts_once_and_for_its_tenant() -> None:
    connection = apsw.Connection(":memory:")
    migrate(connection)
    for tenant in ("acme", "acme", "globex"):
        tls_received.add(connection, tenant, BEGIN + 86_400.0, (EXPECTED,))
    tls_received.add(connection, "acme", BEGIN + 500 * 86_400.0, (EXPECTED,))
    (row,) = reported(tls_received.since(connection, "acme", 0))
    assert row == {
        "domain": "company-y.example",
        "reporter": "Company-X",
        "reports": 1,
        "sessions": 5629,
        "failed": 303,
        "why": "203 starttls-not-supported, 100 certificate-expired at mx1.mail.company-y.example",
    }
    assert len(tls_received.since(connection, "", 0)) == 2
    tls_received.forget(connection, 100_000)
    assert tls_received.since(connection, "", 0) == []
