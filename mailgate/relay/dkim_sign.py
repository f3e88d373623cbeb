"""DKIM signatures over the bytes that go out (RFC 6376 section 5, RFC 8463).

The library's class makes the field, folds it and selects what is signed; the key is ours: in the library RSA is done in
Python integers, and Ed25519 needs another package."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from dkim import DKIM
from dkim.canonicalization import CanonicalizationPolicy

from mailgate.senderauth.header import Header
from mailgate.senderauth.signing_key import SigningKey

OVERSIGNED = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"content-type", b"content-transfer-encoding"),
    *(b"mime-version", b"reply-to", b"sender", b"in-reply-to", b"references"),
)
"""Signed once more than they are there, so that nobody can add one."""
SIGNED = (
    *(b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"list-post", b"list-help", b"list-archive"),
    *(b"resent-from", b"resent-to", b"resent-cc", b"resent-date", b"resent-message-id", b"autocrypt"),
    *(b"auto-submitted", b"content-id", b"content-description", b"tls-required"),
    *(b"tls-report-domain", b"tls-report-submitter"),
)
"""Signed where they are there."""

_FORMS = b"relaxed/relaxed"


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and where its public half is published: `selector._domainkey.domain`."""

    domain: str
    selector: str
    key: SigningKey


@dataclass(frozen=True, slots=True)
class _Signed:
    signature: bytes


@dataclass(frozen=True, slots=True)
class _Pen:
    """What the library takes for a key of PyNaCl: it hands over a digest and wants an object with the signature."""

    key: SigningKey

    def sign(self, digest: bytes) -> _Signed:
        return _Signed(self.key.sign(digest))


class _Signing(DKIM):  # type: ignore[misc]
    """Works on fields that were read already: the library's own reading would change line ends."""

    def __init__(self, header: Header) -> None:
        # this branch of the library leaves every step with the key to the key object; the tag a= is ours
        super().__init__(signature_algorithm=b"ed25519-sha256")
        self.headers = [(field.raw.partition(b":")[0], field.value) for field in header.fields if field.name]
        self.hasher = sha256

    def field(self, identity: Identity, body_hash: bytes, names: Sequence[bytes], now: int) -> bytes:
        domain = identity.domain.encode()
        tags: list[tuple[bytes, bytes]] = [
            (b"v", b"1"),
            (b"a", identity.key.algorithm.encode()),
            (b"c", _FORMS),
            (b"d", domain),
            (b"s", identity.selector.encode()),
            (b"t", str(now).encode()),
            (b"h", b" : ".join(names)),
            (b"bh", base64.b64encode(body_hash)),
            (b"b", b"0" * 60),  # the library folds by it and puts the signature in its place
        ]
        policy = CanonicalizationPolicy.from_c_value(_FORMS)
        value: Any = self.gen_header(tags, list(names), policy, b"DKIM-Signature", _Pen(identity.key))
        return b"DKIM-Signature: " + bytes(value)


def signatures(header: Header, body_hash: bytes, identities: Iterable[Identity], now: int) -> bytes:
    """The fields to be put on top, one for each identity, with their line ends. `body_hash`: SHA-256 of the relaxed
    body; `now` in seconds since 1970."""
    names = signed_names(header)
    signing = _Signing(header)
    return b"".join(signing.field(identity, body_hash, names, now) for identity in identities)


def signed_names(header: Header) -> tuple[bytes, ...]:
    """The list h=: each field that is there, and those of OVERSIGNED once more."""
    present = [field.name for field in header.fields]
    names: list[bytes] = []
    for name in OVERSIGNED:
        names += [name] * (present.count(name) + 1)
    for name in SIGNED:
        names += [name] * present.count(name)
    return tuple(names)
