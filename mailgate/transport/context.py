"""TLS as a client: one context for each offer of the ladder, and what came of a handshake."""

from __future__ import annotations

import functools
import ssl
import warnings
from dataclasses import dataclass

from mailgate.model.level import TransportLevel
from mailgate.transport.ladder import Failure, Offer, Step

_FORWARD_SECRET = "ECDHE:DHE:!aNULL:!eNULL:!PSK:!SRP:!MD5:!3DES"  # noqa: S105 (not a password)
_CIPHERS = {
    Offer.FORWARD_SECRET: _FORWARD_SECRET,
    Offer.STATIC_RSA: "ECDHE:DHE:kRSA+AESGCM:kRSA+AES:!aNULL:!eNULL",
    # weak by today's measure, and better than plaintext: that is what comes next
    Offer.LEGACY: "ALL:!aNULL:!eNULL:!EXP:@SECLEVEL=0",
}
_LEGACY_SERVERS = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT: servers without secure renegotiation


@functools.cache
def client_context(step: Step) -> ssl.SSLContext:
    """The context of one TLS step. Unverified ones accept every certificate: DANE judges it afterwards, and without any
    policy there is no name to prove."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = step.verifies
    context.verify_mode = ssl.CERT_REQUIRED if step.verifies else ssl.CERT_NONE
    if step.verifies:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    is_legacy = step.offer is Offer.LEGACY
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1 if is_legacy else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS[step.offer])
    if is_legacy:
        context.options |= _LEGACY_SERVERS
    return context


def failure_of(error: BaseException) -> Failure:
    """The kind of failure that an exception of a handshake stands for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure.CERTIFICATE
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure.HANDSHAKE
    return Failure.CONNECTION


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a handshake agreed on: `version` such as `TLSv1.3`, `cipher` in OpenSSL's name, `key_exchange`."""

    version: str
    cipher: str
    key_exchange: str

    @property
    def is_forward_secret(self) -> bool:
        return self.key_exchange in ("ECDHE", "DHE", "(EC)DHE")

    @property
    def level(self) -> TransportLevel:
        """Without regard to the certificate. TLS 1.0 and 1.1 count as encrypted, whatever the key exchange: their
        handshakes are signed with SHA-1 and MD5."""
        is_modern = self.version in ("TLSv1.2", "TLSv1.3")
        return TransportLevel.FORWARD_SECRET if is_modern and self.is_forward_secret else TransportLevel.ENCRYPTED


def agreed(tls: ssl.SSLObject) -> Agreed:
    cipher = tls.cipher()
    version = tls.version() or "unknown"
    name = cipher[0] if cipher else "unknown"
    return Agreed(version, name, key_exchange(version, name))


def key_exchange(version: str, cipher: str) -> str:
    """From OpenSSL's cipher name; TLS 1.3 knows ephemeral Diffie-Hellman only."""
    if version == "TLSv1.3":
        return "(EC)DHE"
    prefix = cipher.partition("-")[0]
    if prefix in ("ECDHE", "DHE"):
        return prefix
    return "DHE" if prefix == "EDH" else "RSA"
