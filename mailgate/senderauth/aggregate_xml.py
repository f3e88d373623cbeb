"""Aggregate reports as XML (RFC 9990 section 3.1 and appendix A). Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailgate.model.dmarc import Counted, DkimSeen, PublishedPolicy, Seen

NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"
LONGEST_TEXT = 1_000  # characters of one element

_SPF_RESULTS = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports: `organization` and `email` are how to reach it; `generator` is our name and version."""

    organization: str
    email: str
    generator: str


@dataclass(frozen=True, slots=True)
class AggregateReport:
    """One domain's report of the time from `begin` to `end`, both included, in seconds since 1970."""

    reporter: Reporter
    report_id: str
    begin: int
    end: int
    policy: PublishedPolicy
    counted: Sequence[Counted]

    def xml(self) -> bytes:
        return "".join(
            (
                '<?xml version="1.0" encoding="UTF-8"?>\n',
                f'<feedback xmlns="{NAMESPACE}">\n',
                _leaf("version", "1.0"),
                _element("report_metadata", _metadata(self)),
                _element("policy_published", _policy(self.policy)),
                *(_element("record", _record(each)) for each in self.counted),
                "</feedback>\n",
            )
        ).encode()


def _metadata(report: AggregateReport) -> Iterator[str]:
    yield _leaf("org_name", report.reporter.organization)
    yield _leaf("email", report.reporter.email)
    yield _leaf("report_id", report.report_id)
    yield _element("date_range", (_leaf("begin", str(report.begin)), _leaf("end", str(report.end))))
    yield _leaf("generator", report.reporter.generator)


def _policy(policy: PublishedPolicy) -> Iterator[str]:
    yield _leaf("domain", policy.domain)
    yield _leaf("p", policy.p)
    # where sp or np is not given, what they default to is part of what was published
    yield _leaf("sp", policy.sp or policy.p)
    yield _leaf("np", policy.np or policy.sp or policy.p)
    yield _leaf("adkim", policy.adkim)
    yield _leaf("aspf", policy.aspf)
    yield _leaf("discovery_method", "treewalk")
    yield _leaf("testing", "y" if policy.is_testing else "n")


def _record(counted: Counted) -> Iterator[str]:
    seen = counted.seen
    evaluated = _element("policy_evaluated", _evaluated(seen))
    yield _element("row", (_leaf("source_ip", seen.source), _leaf("count", str(counted.messages)), evaluated))
    yield _element("identifiers", _identifiers(seen))
    yield _element("auth_results", _results(seen))


def _evaluated(seen: Seen) -> Iterator[str]:
    yield _leaf("disposition", seen.disposition)
    yield _leaf("dkim", "pass" if seen.dkim else "fail")
    yield _leaf("spf", "pass" if seen.spf else "fail")
    if seen.override:
        yield _element("reason", (_leaf("type", seen.override),))


def _identifiers(seen: Seen) -> Iterator[str]:
    yield _leaf("header_from", seen.header_from)
    yield _leaf("envelope_from", seen.envelope_from)


def _results(seen: Seen) -> Iterator[str]:
    yield from (_element("dkim", _dkim(each)) for each in seen.dkim_results)
    if seen.spf_domain:
        result = seen.spf_result if seen.spf_result in _SPF_RESULTS else "none"
        values = (("domain", seen.spf_domain), ("scope", "mfrom"), ("result", result))
        yield _element("spf", (_leaf(name, value) for name, value in values))


def _dkim(seen: DkimSeen) -> Iterator[str]:
    yield _leaf("domain", seen.domain)
    yield _leaf("selector", seen.selector)
    yield _leaf("result", seen.result)


def _element(name: str, inner: Iterable[str]) -> str:
    return f"<{name}>\n{''.join(inner)}</{name}>\n"


def _leaf(name: str, text: str) -> str:
    """Domains and selectors are a stranger's words: what XML does not know is left out."""
    plain = "".join(char if char.isprintable() else "?" for char in text[:LONGEST_TEXT])
    return f"<{name}>{html.escape(plain, quote=False)}</{name}>\n"
