"""DANE for SMTP: what TLSA records demand of a certificate (RFC 6698, RFC 7671, RFC 7672). Pure."""

from __future__ import annotations

import datetime
import enum
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from mailgate.model.dns import Answer, Status, Tlsa
from mailgate.transport import certificate

TRUST_ANCHOR, END_ENTITY = 2, 3
_DIGESTS = {1: hashlib.sha256, 2: hashlib.sha512}
_LENGTHS = {1: 32, 2: 64}


class Standing(enum.StrEnum):
    """What TLSA records mean for a host. USABLE: it must prove itself by one of them. UNUSABLE: there are records, but
    none we can use: TLS is a must, without proof (RFC 7672 section 2.2). NONE: no DANE. FAILED: nobody knows, mail
    waits (RFC 7672 section 2.1.2)."""

    USABLE = "usable"
    UNUSABLE = "unusable"
    NONE = "none"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Dane:
    """The usable records of the TLSA base domain `base`. `names`: those that a certificate below a trust anchor may
    prove (RFC 7672 section 3.2.2): the base domain and the domain of the next hop."""

    base: str
    records: tuple[Tlsa, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """`record` is what the certificate was proven by, None where nothing matched; `reason` says then why."""

    record: Tlsa | None
    reason: str = ""

    @property
    def words(self) -> str:
        record = self.record
        return f"TLSA {record.usage} {record.selector} {record.matching}" if record else self.reason


def owner(base: str, port: int) -> str:
    """Where the TLSA records stand (RFC 6698 section 3)."""
    return f"_{port}._tcp.{base}"


def is_usable(record: Tlsa) -> bool:
    """Usages 2 and 3 only (RFC 7672 section 3.1.3), known selectors, and digests of the right length."""
    if record.usage not in (TRUST_ANCHOR, END_ENTITY) or record.selector not in (0, 1) or not record.data:
        return False
    return record.matching == 0 or len(record.data) == _LENGTHS.get(record.matching)


def standing(answer: Answer[Tlsa]) -> tuple[Standing, tuple[Tlsa, ...]]:
    """Records that DNSSEC does not secure count for nothing."""
    if not answer.is_known:
        return Standing.FAILED, ()
    if answer.status is not Status.FOUND or not answer.is_secure:
        return Standing.NONE, ()
    usable = tuple(record for record in answer.records if is_usable(record))
    return (Standing.USABLE if usable else Standing.UNUSABLE), usable


def match(dane: Dane, chain: Sequence[bytes], now: datetime.datetime) -> Match:
    """Does the chain (DER, the server's own certificate first) match one of the records? For usage 3 neither name nor
    dates count (RFC 7671 section 5.1); for usage 2 all of the chain up to the anchor does."""
    if not chain:
        return Match(None, "the server showed no certificate")
    reasons = []
    try:
        for record in dane.records:
            if record.usage == END_ENTITY:
                if _is_meant(record, chain[0]):
                    return Match(record)
                reasons.append("no TLSA record matches the certificate")
            else:
                reason = _anchored(record, dane.names, chain, now)
                if not reason:
                    return Match(record)
                reasons.append(reason)
    except ValueError:
        return Match(None, "the certificate can't be read")
    return Match(None, "; ".join(dict.fromkeys(reasons)))


def _is_meant(record: Tlsa, der: bytes) -> bool:
    selected = certificate.subject_key(der) if record.selector else der
    digest = _DIGESTS.get(record.matching)
    return (digest(selected).digest() if digest else selected) == record.data


def _anchored(record: Tlsa, names: Sequence[str], chain: Sequence[bytes], now: datetime.datetime) -> str:
    """Why the chain does not lead to the anchor of `record`; empty where it does."""
    anchor = next((at for at, der in enumerate(chain) if _is_meant(record, der)), None)
    certificates = [certificate.load(der) for der in chain]
    if anchor is None:
        trusted = _whole_anchor(record)
        if trusted is None:
            return "no TLSA record matches the certificates of the chain"
        certificates.append(trusted)
        anchor = len(certificates) - 1
    return _broken(certificates[: anchor + 1], names, now)


def _whole_anchor(record: Tlsa) -> x509.Certificate | None:
    """A record with the whole certificate in it needs none in the chain (RFC 7671 section 5.2.2)."""
    if record.selector != 0 or record.matching != 0:
        return None
    try:
        return certificate.load(record.data)
    except ValueError:
        return None


def _broken(path: Sequence[x509.Certificate], names: Sequence[str], now: datetime.datetime) -> str:
    if not all(certificate.is_current(each, now) for each in path):
        return "a certificate of the chain has expired or is not valid yet"
    if not all(certificate.is_issued_by(below, above) for below, above in itertools.pairwise(path)):
        return "the chain does not lead to the trust anchor of the TLSA record"
    if not certificate.proves(path[0], names):
        return f"the certificate is for {', '.join(certificate.names(path[0]))}, not for {' or '.join(names)}"
    return ""
