"""The Ed25519 keys of operators: reading them, signing a challenge, checking the signature. Pure."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mailgate.model.errors import UserError

CHALLENGE_BYTES = 32
_CONTEXT = b"mailgate operator login\0"  # so that no signature made for another purpose opens anything here


def is_signed(key: bytes, challenge: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _CONTEXT + challenge)
    except InvalidSignature:
        return False
    return True


def sign(private_key: bytes, challenge: bytes) -> bytes:
    """By a private key as PEM (PKCS #8 or OpenSSH, without a passphrase); raises UserError."""
    try:
        if private_key.startswith(b"-----BEGIN OPENSSH"):
            key: object = serialization.load_ssh_private_key(private_key, None)
        else:
            key = serialization.load_pem_private_key(private_key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UserError(f"the operator key can't be read: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError("the operator key must be an Ed25519 key: ssh-keygen -t ed25519")
    return key.sign(_CONTEXT + challenge)


def read_public(text: str) -> bytes:
    """The 32 octets of an Ed25519 public key; raises UserError."""
    given = text.strip().encode()
    key: object = None
    try:
        if given.startswith(b"ssh-"):
            key = serialization.load_ssh_public_key(given)
        else:
            key = serialization.load_pem_public_key(given)
    except (ValueError, UnsupportedAlgorithm):
        pass  # told below
    if not isinstance(key, Ed25519PublicKey):
        raise UserError("an Ed25519 public key is needed, as PEM or as a line `ssh-ed25519 ...`: ssh-keygen -t ed25519")
    return key.public_bytes_raw()


def fingerprint(key: bytes) -> str:
    """As `ssh-keygen -l` prints it: SHA-256 of the key's wire format (RFC 8709 section 4)."""
    wire = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", key))
    return "SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).decode().rstrip("=")
