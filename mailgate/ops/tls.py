"""The certificate that clients see: the configured one, or a self-signed one made in DATA_DIR/tls."""

from __future__ import annotations

import datetime
import os
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailgate.model.errors import UserError
from mailgate.ops.site_tls import SiteTls, without_tickets
from mailgate.records import log
from mailgate.settings import Settings

_logger = log.get(__name__)

SELF_SIGNED_DAYS = 397
RENEW_DAYS = 30

_FORWARD_SECRET = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!eNULL:!PSK:!SRP"  # noqa: S105 (not a password)
# the last resorts of old senders, whose next step would be no TLS at all
_MX_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:RSA+AESGCM:!aNULL:!eNULL:!PSK:!SRP"
_OLD_CIPHERS = (
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:ECDHE+3DES:RSA+3DES"
    ":!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"  # OpenSSL has TLS 1.0 and 1.1 at this level only
)
_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_GROUP = Path(__file__).with_name("ffdhe2048.pem")  # RFC 7919 appendix A.1


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: the chain, leaf first, and its private key."""

    chain: Path
    key: Path

    def check(self) -> None:
        """UserError says which file is missing or wrong, or that the two do not belong together."""
        for name, path in (("MAILGATE_TLS_CERT", self.chain), ("MAILGATE_TLS_KEY", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise UserError(
                    f"{name} {path}: {error.strerror}. Give a PEM file that this account may read"
                ) from None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.chain, self.key, password=_no_passphrase)
        except (ssl.SSLError, ValueError) as error:
            why = getattr(error, "reason", None) or str(error)
            raise UserError(f"MAILGATE_TLS_CERT {self.chain} with MAILGATE_TLS_KEY {self.key}: {why}") from None

    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.chain.read_bytes())[0]


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase; give one without")


def certificate(settings: Settings, now: datetime.datetime | None = None) -> Certificate:
    """The configured certificate, checked; else the self-signed one, made anew where it is missing, near its end or for
    another host name."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        configured = Certificate(settings.tls_cert, settings.tls_key)
        configured.check()
        return configured
    folder = settings.data_dir / "tls"
    own = Certificate(folder / "self-signed.pem", folder / "self-signed.key")
    moment = now or datetime.datetime.now(datetime.UTC)
    if not _is_fit(own, settings.hostname, moment):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(own, settings.hostname, moment)
    return own


def _is_fit(own: Certificate, hostname: str, now: datetime.datetime) -> bool:
    try:
        own.check()
        leaf = own.leaf()
    except (UserError, ValueError):
        return False
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    return hostname in names and leaf.not_valid_after_utc - now > datetime.timedelta(days=RENEW_DAYS)


def _make(own: Certificate, hostname: str, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # a common name holds 64 characters at most (X.520); clients read the alternative names
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname), x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(own.key, secret)
    _replace(own.chain, leaf.public_bytes(serialization.Encoding.PEM))


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)


class ServerTls:
    """The contexts of the public listeners, by name, and how their certificate is read again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        pair = certificate(settings)
        is_old = settings.mx_tls_minimum in ("1.0", "1.1")
        submission = _context(pair, _FORWARD_SECRET, settings.submission_tls_minimum)
        self._mail = (_context(pair, _OLD_CIPHERS if is_old else _MX_CIPHERS, settings.mx_tls_minimum), submission)
        self.contexts = {"mx": self._mail[0], "submission": submission, "submissions": submission}
        self._site = SiteTls(settings.sts_certs) if settings.sts_certs is not None else None
        if self._site is not None:
            self.contexts["sts"] = self._site.context

    def reload(self) -> None:
        """New connections get the files' present content; where it is wrong the old one stays, and the log says so."""
        if self._site is not None:
            self._site.reload()
        try:
            pair = certificate(self._settings)
        except UserError as error:
            _logger.error("the certificate was not taken up; the one before stays", reason=str(error))
            return
        for context in self._mail:
            context.load_cert_chain(pair.chain, pair.key)
        _logger.info("certificate read", ends=pair.leaf().not_valid_after_utc.isoformat())


def _context(pair: Certificate, ciphers: str, minimum: str) -> ssl.SSLContext:
    """Forward-secret suites first, or only (RFC 8314 section 4 for mail programs). No session tickets: their key would
    live as long as the process, and whoever gets it reads what was recorded (RFC 8446 section 8.1)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[minimum]
    context.set_ciphers(ciphers)
    context.load_dh_params(str(_GROUP))
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    without_tickets(context)
    context.load_cert_chain(pair.chain, pair.key)
    return context
