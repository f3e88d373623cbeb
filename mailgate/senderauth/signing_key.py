"""Private keys for DKIM and ARC, through `cryptography`: RSA in Python integers takes ten times as long."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from mailgate.senderauth.dkim_key import ED25519, RSA

RSA_BITS = 2048
_PADDING = PKCS1v15()
_HASH = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`kind` is `rsa` or `ed25519`, as in key records."""

    key: RSAPrivateKey | Ed25519PrivateKey

    @property
    def kind(self) -> str:
        return RSA if isinstance(self.key, RSAPrivateKey) else ED25519

    @property
    def algorithm(self) -> str:
        return f"{self.kind}-sha256"

    def sign(self, digest: bytes) -> bytes:
        """`digest`: SHA-256 of what is signed."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(digest, _PADDING, _HASH)
        return self.key.sign(digest)

    @property
    def record(self) -> str:
        """The text to be published at `selector._domainkey.domain`."""
        public = self.key.public_key()
        if self.kind == RSA:
            data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            data = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k={self.kind}; p={base64.b64encode(data).decode()}"

    def encode(self) -> bytes:
        """PKCS #8 in DER, not encrypted: to be encrypted before it is kept."""
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def new_rsa() -> SigningKey:
    return SigningKey(generate_private_key(65537, RSA_BITS))


def new_ed25519() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.generate())


def decode(data: bytes) -> SigningKey:
    """What `encode` made; raises ValueError for anything else."""
    try:
        key = load_der_private_key(data, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a private key") from error
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("neither an RSA nor an Ed25519 key")
    return SigningKey(key)
