"""The certificate that a server showed: a short summary for the record, the names it proves, the checks DANE needs."""

from __future__ import annotations

import datetime
import functools
import hashlib
import ssl
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

_MOST_NAMES = 5


def chain_of(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """All certificates that the server sent, DER, its own first."""
    # the method is public from Python 3.13 on; before, only the object inside has it
    source: Any = tls if hasattr(tls, "get_unverified_chain") else tls._sslobj  # type: ignore[attr-defined]
    listed = source.get_unverified_chain() or ()
    return tuple(item if isinstance(item, bytes) else _der(item) for item in listed)


def _der(item: Any) -> bytes:
    encoded: bytes = item.public_bytes(2)  # _ssl.ENCODING_DER
    return encoded


@functools.lru_cache(1024)
def load(der: bytes) -> x509.Certificate:
    """ValueError for what is no certificate."""
    return x509.load_der_x509_certificate(der)


def subject_key(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo, DER; ValueError for what is no certificate."""
    return load(der).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@functools.lru_cache(1024)
def summary(der: bytes) -> dict[str, Any]:
    """Subject, issuer, first names, end and SHA-256 fingerprint: enough to find it again."""
    fingerprint = hashlib.sha256(der).hexdigest()
    try:
        certificate = load(der)
        listed = names(certificate)
        return {
            "subject": _common_name(certificate.subject),
            "issuer": _common_name(certificate.issuer),
            "names": listed[:_MOST_NAMES],
            "until": certificate.not_valid_after_utc.isoformat(),
            "sha256": fingerprint,
        }
    except ValueError:
        return {"sha256": fingerprint, "unreadable": True}


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def names(certificate: x509.Certificate) -> list[str]:
    """The DNS names of the subject's alternative names; without any, the common name (RFC 7672 section 3.2.3)."""
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert isinstance(found, x509.SubjectAlternativeName)
        listed = found.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        listed = []
    return [str(name) for name in listed] or [_common_name(certificate.subject)]


def proves(certificate: x509.Certificate, wanted: Sequence[str]) -> bool:
    """One of its names is one of `wanted`; `*` stands for the whole first label only (RFC 6125 section 6.4.3)."""
    return any(
        _matches(name.lower().rstrip("."), host.lower().rstrip(".")) for name in names(certificate) for host in wanted
    )


def _matches(name: str, host: str) -> bool:
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:] and "." in name[2:]
    return name == host


def is_current(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """The issuer's signature holds, and it is an authority."""
    try:
        certificate.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca
