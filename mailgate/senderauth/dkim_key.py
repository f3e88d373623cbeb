"""The key record of DKIM (RFC 6376 section 3.6.1, RFC 8301, RFC 8463), and the key in it. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailgate.senderauth import tags
from mailgate.senderauth.tags import TagError

RSA = "rsa"
ED25519 = "ed25519"
LEAST_RSA_BITS = 1024  # RFC 8301 section 3.2
MOST_RSA_BITS = 8192  # what is larger only costs time
_PADDING = PKCS1v15()
_HASH = Prehashed(SHA256())


class KeyRecordError(ValueError):
    """No key record that could be used; the text says why."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """`key` is None where it was revoked (an empty p=). `bits` of an RSA modulus, 256 for Ed25519."""

    kind: str
    key: RSAPublicKey | Ed25519PublicKey | None
    bits: int
    hashes: tuple[str, ...] = ()
    services: tuple[str, ...] = ("*",)
    is_testing: bool = False
    is_strict: bool = False

    @property
    def is_for_mail(self) -> bool:
        return bool({"*", "email"} & set(self.services))

    @property
    def allows_sha256(self) -> bool:
        return not self.hashes or "sha256" in self.hashes

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """Is it a signature of the SHA-256 `digest` by this key?"""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, digest, _PADDING, _HASH)
            elif isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, digest)
            else:
                return False
        except (InvalidSignature, ValueError):
            return False
        return True


def parse(text: str) -> KeyRecord:
    """The text of one TXT record. Raises KeyRecordError."""
    try:
        found = tags.parse(text, is_wide=True)
        if "v" in found and (found["v"] != "DKIM1" or next(iter(found)) != "v"):
            raise TagError("not a DKIM1 record")
        if "p" not in found:
            raise TagError("tag p is missing")
        kind = found.get("k", RSA).lower()
        if kind not in (RSA, ED25519):
            raise TagError(f"unknown kind of key {kind[:20]!r}")
        key, bits = _key(kind, found["p"])
    except TagError as error:
        raise KeyRecordError(str(error)) from None
    flags = _lower_list(found.get("t", ""))
    return KeyRecord(
        kind=kind,
        key=key,
        bits=bits,
        hashes=_lower_list(found.get("h", "")),
        services=_lower_list(found.get("s", "*")) or ("*",),
        is_testing="y" in flags,
        is_strict="s" in flags,
    )


def is_key_record(text: str) -> bool:
    """Is the record meant to be one? Other texts at the same name are passed over."""
    return text.lstrip().startswith(("v=", "v ", "k=", "p=", "h=", "g=", "n=", "t=", "s=")) and "p" in text


def is_same_key(text: str, record: str) -> bool:
    """Does the TXT record hold the key of `record`, for mail, however it is written?"""
    try:
        shown, wanted = parse(text), parse(record)
    except KeyRecordError:
        return False
    return shown.key is not None and (shown.kind, shown.key) == (wanted.kind, wanted.key) and shown.is_for_mail


def _lower_list(text: str) -> tuple[str, ...]:
    return tuple(item.lower() for item in tags.listed(text) if item)


def _key(kind: str, text: str) -> tuple[RSAPublicKey | Ed25519PublicKey | None, int]:
    if not tags.compact(text):
        return None, 0
    data = base64.b64decode(tags.base64_text(text, "p"))
    try:
        if kind == ED25519:
            return Ed25519PublicKey.from_public_bytes(data), 256
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise TagError("tag p holds no such key") from None
    if not isinstance(key, RSAPublicKey):
        raise TagError("tag p holds no RSA key")
    return key, key.key_size
