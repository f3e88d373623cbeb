"""TLS reports: the TXT record, results counted by day, and the aggregate report (RFC 8460). Pure but for the clock."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mailgate.transport.fields import RecordError, check_extension, fields_after

_VERSION = "v=TLSRPTv1"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@$&'()*+=-]|%[0-9A-Fa-f]{2})+")


class ResultType(enum.StrEnum):
    """RFC 8460 section 4.3."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


def parse_record(text: str) -> tuple[str, ...]:
    """The report URIs of one TXT record; RecordError."""
    uris: list[str] = []
    for name, value in fields_after(_VERSION, text):
        if name != "rua":
            check_extension(name, value)
            continue
        for uri in value.split(","):
            if not _URI.fullmatch(uri.strip(" \t")):
                raise RecordError(f"{uri.strip()!r} is not a URI")
            uris.append(uri.strip(" \t"))
    if not uris:
        raise RecordError("rua is missing")
    return tuple(uris)


def uris_of(texts: Sequence[str]) -> tuple[str, ...]:
    """From all TXT records of `_smtp._tls.<domain>`; none where it is not exactly one valid record (section 3)."""
    ours = [text for text in texts if re.match(rf"{_VERSION}[ \t]*;", text)]
    try:
        return parse_record(ours[0]) if len(ours) == 1 else ()
    except RecordError:
        return ()


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """What was applied: `kind` is `sts`, `tlsa` or `no-policy-found`; `strings` the policy's lines or TLSA records."""

    kind: str
    domain: str
    strings: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailureDetail:
    """One kind of failure with one host. `reason` is for people."""

    result: ResultType
    sending_address: str = ""
    host: str = ""
    address: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Count:
    successes: int = 0
    failures: dict[FailureDetail, int] = field(default_factory=dict)


MOST_DETAILS = 100
"""Kinds of failures that one report of a policy names; the total stays exact."""


class DayCount:
    """The sessions of one UTC day, by policy domain and policy applied."""

    def __init__(self, day: datetime.date) -> None:
        self.day = day
        self._counts: dict[AppliedPolicy, _Count] = {}

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(policy.domain for policy in self._counts))

    def add(self, policy: AppliedPolicy, failure: FailureDetail | None = None, sessions: int = 1) -> None:
        """One session that came to TLS under `policy`, or failed so."""
        count = self._counts.setdefault(policy, _Count())
        if failure is None:
            count.successes += sessions
            return
        known = failure in count.failures or len(count.failures) < MOST_DETAILS
        detail = failure if known else FailureDetail(failure.result)
        count.failures[detail] = count.failures.get(detail, 0) + sessions

    def report(self, domain: str, organization: str, contact: str, identifier: str) -> dict[str, Any]:
        """The report for one domain as JSON values (RFC 8460 section 4.4)."""
        return {
            "organization-name": organization,
            "date-range": {
                "start-datetime": f"{self.day}T00:00:00Z",
                "end-datetime": f"{self.day}T23:59:59Z",
            },
            "contact-info": contact,
            "report-id": identifier,
            "policies": [
                _policy_report(policy, count) for policy, count in self._counts.items() if policy.domain == domain
            ],
        }

    def dump(self) -> list[dict[str, Any]]:
        """Plain values from which `load` makes the same counts again."""
        return [
            {
                "policy": [policy.kind, policy.domain, list(policy.strings), list(policy.mx)],
                "successes": count.successes,
                "failures": [
                    [d.result.value, d.sending_address, d.host, d.address, d.reason, number]
                    for d, number in count.failures.items()
                ],
            }
            for policy, count in self._counts.items()
        ]

    @classmethod
    def load(cls, day: datetime.date, dumped: list[dict[str, Any]]) -> DayCount:
        counts = cls(day)
        for item in dumped:
            kind, domain, strings, mx = item["policy"]
            policy = AppliedPolicy(kind, domain, tuple(strings), tuple(mx))
            if item["successes"]:
                counts.add(policy, sessions=item["successes"])
            for result, *rest, number in item["failures"]:
                counts.add(policy, FailureDetail(ResultType(result), *rest), number)
        return counts


def _policy_report(policy: AppliedPolicy, count: _Count) -> dict[str, Any]:
    described: dict[str, Any] = {"policy-type": policy.kind, "policy-domain": policy.domain}
    if policy.strings:
        described["policy-string"] = list(policy.strings)
    if policy.mx:
        described["mx-host"] = list(policy.mx)
    return {
        "policy": described,
        "summary": {
            "total-successful-session-count": count.successes,
            "total-failure-session-count": sum(count.failures.values()),
        },
        "failure-details": [_failure_report(detail, number) for detail, number in count.failures.items()],
    }


def _failure_report(detail: FailureDetail, number: int) -> dict[str, Any]:
    told = {
        "result-type": detail.result.value,
        "sending-mta-ip": detail.sending_address,
        "receiving-mx-hostname": detail.host,
        "receiving-ip": detail.address,
        "failed-session-count": number,
        "failure-reason-code": detail.reason,
    }
    return {name: value for name, value in told.items() if value != ""}
