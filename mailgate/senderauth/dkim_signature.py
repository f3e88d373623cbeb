"""The tags of a DKIM-Signature field (RFC 6376 section 3.5, RFC 8463, RFC 8616). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailgate.model.address import AddressError, parse_domain
from mailgate.senderauth import tags
from mailgate.senderauth.body import RELAXED, SIMPLE
from mailgate.senderauth.tags import TagError

RSA_SHA256 = "rsa-sha256"
ED25519_SHA256 = "ed25519-sha256"
RSA_SHA1 = "rsa-sha1"
_DIGEST_BYTES = {RSA_SHA256: 32, ED25519_SHA256: 32, RSA_SHA1: 20}
_REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")
_NUMBER = re.compile(r"[0-9]{1,76}")
_TIME = re.compile(r"[0-9]{1,12}")
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*")
_FOLD = re.compile(r"(?:(?<![ \t])[ \t]++)?\r\n[ \t]++")
_FIELD_NAME = re.compile(r"[\x21-\x39\x3c-\x7e]+")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD_LOCAL = re.compile(r"[^\s\"(),:;<>@\[\\\]]+")


class SignatureError(ValueError):
    """The field is no signature that could be verified; the text says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`domain` and `selector` as A-labels in lower case; `signed_fields` names in lower case, in their order;
    `signed_at` and `expires_at` seconds since 1970. `claims_length`: a tag l= is there, which is never honoured."""

    algorithm: str
    domain: str
    selector: str
    identity: str
    signed_fields: tuple[bytes, ...]
    header_form: str
    body_form: str
    body_hash: bytes
    signature: bytes
    signed_at: int | None = None
    expires_at: int | None = None
    claims_length: bool = False

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def identity_domain(self) -> str:
        return self.identity.rpartition("@")[2]


def parse(field: bytes, smtputf8: bool = True) -> Signature:
    """The whole field, from its name to its line end. Raises SignatureError."""
    if not field.endswith(b"\r\n"):
        raise SignatureError("the field has no line end")
    name, _, value = field.partition(b":")
    if name.strip(b" \t").lower() != b"dkim-signature":
        raise SignatureError("not a DKIM-Signature field")
    try:
        found = parse_tags(value, smtputf8)
        if found.get("v", "1") != "1":
            raise TagError("unknown version")
        missing = [name for name in _REQUIRED if name not in found]
        if missing:
            raise TagError(f"tag {missing[0]} is missing")
        return _signature(found)
    except TagError as error:
        raise SignatureError(str(error)) from None


def parse_tags(value: bytes, smtputf8: bool) -> dict[str, str]:
    """The tag list of a field; raises TagError."""
    try:
        text = value.removesuffix(b"\r\n").decode("utf-8" if smtputf8 else "ascii")
    except UnicodeDecodeError:
        raise TagError("the field is not ASCII" if not smtputf8 else "the field is not UTF-8") from None
    # a folded end after the last semicolon is common and harmless, an empty tag in between is not
    stripped = text.rstrip(" \t\r\n")
    return tags.parse(stripped if stripped.endswith(";") and "=" in stripped else text, is_wide=True)


def _signature(found: Mapping[str, str]) -> Signature:
    algorithm = found["a"].lower()
    if algorithm not in _DIGEST_BYTES:
        raise TagError("unknown algorithm")
    domain = domain_name(found["d"])
    header_form, body_form = forms(found.get("c", f"{SIMPLE}/{SIMPLE}"))
    signed_at, expires_at = time_tag(found, "t"), time_tag(found, "x")
    if signed_at is not None and expires_at is not None and expires_at <= signed_at:
        raise TagError("expires before it was signed")
    if "l" in found and not _NUMBER.fullmatch(found["l"]):
        raise TagError("tag l is not a number")
    if "q" in found and "dns/txt" not in (method.lower() for method in tags.listed(found["q"])):
        raise TagError("no known way to the key")
    body_hash = base64.b64decode(tags.base64_text(found["bh"], "bh"))
    if len(body_hash) != _DIGEST_BYTES[algorithm]:
        raise TagError("tag bh has the wrong length")
    return Signature(
        algorithm=algorithm,
        domain=domain,
        selector=selector_name(found["s"]),
        identity=_identity(found.get("i", f"@{domain}"), domain),
        signed_fields=field_names(found["h"]),
        header_form=header_form,
        body_form=body_form,
        body_hash=body_hash,
        signature=base64.b64decode(tags.base64_text(found["b"], "b")),
        signed_at=signed_at,
        expires_at=expires_at,
        claims_length="l" in found,
    )


def domain_name(text: str) -> str:
    """As A-labels in lower case; raises TagError. Underscores are taken: such names exist in the DNS."""
    try:
        parse_domain(text.replace("_", "x")) if text.isascii() else None
        return text.lower() if text.isascii() else parse_domain(text)
    except AddressError:
        raise TagError(f"tag d is not a domain: {text[:80]!r}") from None


def selector_name(text: str) -> str:
    """As A-labels in lower case; raises TagError."""
    if not text.isascii():
        try:
            return parse_domain(text)
        except AddressError:
            raise TagError("tag s is not a selector") from None
    if len(text) > 253 or not _SELECTOR.fullmatch(text):
        raise TagError("tag s is not a selector")
    return text.lower()


def field_names(text: str) -> tuple[bytes, ...]:
    """The list h=; raises TagError."""
    names = tuple(name.lower() for name in tags.listed(text))
    if not all(_FIELD_NAME.fullmatch(name) for name in names):
        raise TagError("tag h is not a list of field names")
    return tuple(name.encode() for name in names)


def forms(text: str) -> tuple[str, str]:
    """Canonicalization of header and body; raises TagError."""
    header_form, _, body_form = text.lower().partition("/")
    body_form = body_form or SIMPLE
    if {header_form, body_form} - {SIMPLE, RELAXED}:
        raise TagError("unknown canonicalization")
    return header_form, body_form


def time_tag(found: Mapping[str, str], name: str) -> int | None:
    if name not in found:
        return None
    if not _TIME.fullmatch(found[name]):
        raise TagError(f"tag {name} is not a time")
    return int(found[name])


def _identity(text: str, domain: str) -> str:
    """`[local]@domain`, the domain being `domain` or below it, folded anywhere (RFC 6376 section 3.5, i=); raises
    TagError."""
    local, at, of = (part.strip(" \t") for part in _FOLD.sub("", text).rpartition("@"))
    if not at:
        raise TagError("tag i holds no @")
    if local and not (_QUOTED_LOCAL.fullmatch(local) or _WORD_LOCAL.fullmatch(local)):
        raise TagError("tag i is not an address")
    name = domain_name(of)
    if name != domain and not name.endswith(f".{domain}"):
        raise TagError("tag i lies outside tag d")
    return f"{local}@{name}"
