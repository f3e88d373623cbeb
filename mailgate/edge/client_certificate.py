"""Certificates that clients of MX show in STARTTLS: asked for where a tenant's policy names one, never required.

The handshake takes any certificate: whoever shows one proves that it holds the key, and the policy says which ones let
in what (pinned, so no authority is asked). Large providers show certificates to everybody that asks; to refuse those in
the handshake would turn away their mail, or make it come in plaintext.
"""

from __future__ import annotations

import ctypes
import datetime
import hashlib
import ssl
import sys
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailgate.model.errors import MailgateError

_Verdict = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_TAKE_ANY = _Verdict(lambda preverified, context: 1)  # kept alive: OpenSSL holds its address
_SSL_VERIFY_PEER = 1


class NotPossibleError(MailgateError):
    """This Python does not let us ask for a certificate without judging it."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """`sha256` of the whole, `public_key` of its SubjectPublicKeyInfo, both in hexadecimal; times in seconds since
    1970."""

    sha256: str
    public_key: str
    begins: float
    ends: float


def shown(connection: ssl.SSLObject | ssl.SSLSocket | None) -> ClientCertificate | None:
    """What the client showed on this connection; None where that was nothing, or nothing that can be read."""
    der = connection.getpeercert(binary_form=True) if connection is not None else None
    return parse(der) if der else None


def parse(der: bytes) -> ClientCertificate | None:
    """None for bytes that are no certificate."""
    try:
        read = x509.load_der_x509_certificate(der)
        key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        begins, ends = read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()
    except ValueError:
        return None
    return ClientCertificate(hashlib.sha256(der).hexdigest(), hashlib.sha256(key).hexdigest(), begins, ends)


def day_of(moment: float) -> str:
    """`2027-03-31`, in UTC."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).date().isoformat()


def ask(context: ssl.SSLContext, is_wanted: bool) -> None:
    """Makes new connections of `context` ask, or not ask any more; NotPossibleError."""
    if not is_wanted:
        context.verify_mode = ssl.CERT_NONE
    elif context.verify_mode is ssl.CERT_NONE:
        _take_any(context)


def _take_any(context: ssl.SSLContext) -> None:
    """The ssl module has no hook for the verdict on a certificate, OpenSSL does (SSL_CTX_set_verify(3)); setting
    `verify_mode` again takes it away (from Python 3.13 on). The SSL_CTX is the first member of CPython's SSLContext:
    whether that is so is tried out before anything is written."""
    if sys.implementation.name != "cpython":
        raise NotPossibleError("client certificates need CPython")
    try:
        import _ssl

        library = ctypes.CDLL(_ssl.__file__)
        mode_of, set_verify = library.SSL_CTX_get_verify_mode, library.SSL_CTX_set_verify
    except (ImportError, AttributeError, OSError) as error:
        raise NotPossibleError(
            f"client certificates need an OpenSSL of its own, not one inside Python: {error}"
        ) from None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    mode_of.argtypes, mode_of.restype = [ctypes.c_void_p], ctypes.c_int
    set_verify.argtypes, set_verify.restype = [ctypes.c_void_p, ctypes.c_int, _Verdict], None
    for mode, expected in ((ssl.CERT_NONE, 0), (ssl.CERT_OPTIONAL, _SSL_VERIFY_PEER)):
        context.verify_mode = mode
        if mode_of(pointer) != expected:
            context.verify_mode = ssl.CERT_NONE
            raise NotPossibleError("client certificates can't be asked for with this version of Python")
    set_verify(pointer, _SSL_VERIFY_PEER, _TAKE_ANY)
