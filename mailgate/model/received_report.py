"""Aggregate reports of DMARC that others send about our domains (RFC 7489 appendix C, RFC 9990), summed up."""

from __future__ import annotations

from dataclasses import dataclass

from mailgate.model.dmarc import Disposition


@dataclass(frozen=True, slots=True)
class ReportedMail:
    """`messages` from the address `source` that fared alike; `dkim`, `spf`: passed and aligned. With neither of them
    DMARC has failed."""

    source: str
    disposition: Disposition
    dkim: bool
    spf: bool
    messages: int


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """What `reporter` tells of mail in the name of `domain`, from `begin` to `end` in seconds since 1970. `report_id`
    is the reporter's own; `mails` are distinct but for their number. `skipped`: records that could not be read."""

    reporter: str
    report_id: str
    domain: str
    begin: int
    end: int
    mails: tuple[ReportedMail, ...]
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """`sessions` with the mail host `host` (empty: not told) that failed alike: `result` is a type of RFC 8460 section
    4.3."""

    result: str
    host: str
    sessions: int


@dataclass(frozen=True, slots=True)
class TlsReport:
    """What `reporter` tells of TLS with the mail hosts of `domain` on the day of `begin` (seconds since 1970), in
    sessions."""

    reporter: str
    report_id: str
    domain: str
    begin: int
    successes: int
    failed: int
    failures: tuple[TlsFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportReading:
    """What a message to the address for reports held; `problem` says why a report could not be read, if so."""

    reports: tuple[ReceivedReport, ...] = ()
    problem: str = ""
    tls: tuple[TlsReport, ...] = ()
