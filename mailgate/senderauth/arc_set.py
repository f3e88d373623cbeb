"""The ARC sets of a message: which fields belong together, and what their tags say (RFC 8617 section 4). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailgate.senderauth import tags
from mailgate.senderauth.body import RELAXED
from mailgate.senderauth.dkim_signature import (
    ED25519_SHA256,
    RSA_SHA256,
    Signature,
    domain_name,
    field_names,
    forms,
    parse_tags,
    selector_name,
    time_tag,
)
from mailgate.senderauth.header import Field, Header
from mailgate.senderauth.tags import TagError

MOST_SETS = 50  # RFC 8617 section 4.2.1
AAR = b"arc-authentication-results"
AMS = b"arc-message-signature"
SEAL = b"arc-seal"
NAMES = (AAR, AMS, SEAL)
_INSTANCE = re.compile(r"0*([1-9][0-9]{0,2})")
_AAR_INSTANCE = re.compile(r"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,6})[ \t\r\n]*;")
_ALGORITHMS = (RSA_SHA256, ED25519_SHA256)
_CHAIN_STATES = ("none", "pass", "fail")


class ArcError(ValueError):
    """The chain is broken; the text says where."""


@dataclass(frozen=True, slots=True)
class ArcSet:
    """What one hop added. `message` covers header and body, `seal` the ARC fields; `state` is the seal's tag cv=."""

    instance: int
    results: Field
    message_field: Field
    message: Signature
    seal_field: Field
    seal: Signature
    state: str


def sets(header: Header) -> tuple[ArcSet, ...]:
    """All sets in the order in which they were added, none where the message has no ARC field. Raises ArcError where
    they are not 1, 2, 3, … with one field of each kind, or one can't be read."""
    by_instance: dict[int, dict[bytes, Field]] = {}
    for field in header.named(*NAMES):
        if len(by_instance) > MOST_SETS:
            raise ArcError("too many sets")
        instance = _instance(field)
        if field.name in by_instance.setdefault(instance, {}):
            raise ArcError(f"set {instance} has a field twice")
        by_instance[instance][field.name] = field
    if sorted(by_instance) != list(range(1, len(by_instance) + 1)) or len(by_instance) > MOST_SETS:
        raise ArcError("a set is missing")
    for instance, fields in by_instance.items():
        if len(fields) != len(NAMES):
            raise ArcError(f"set {instance} is not complete")
    return tuple(
        read_set(instance, fields[AAR], fields[AMS], fields[SEAL]) for instance, fields in sorted(by_instance.items())
    )


def _instance(field: Field) -> int:
    try:
        if field.name == AAR:
            match = _AAR_INSTANCE.match(field.value.decode("utf-8", "replace"))
            text = match[1] if match else ""
        else:
            text = parse_tags(field.value, smtputf8=True).get("i", "")
    except TagError as error:
        raise ArcError(f"a field can't be read: {error}") from None
    number = _INSTANCE.fullmatch(text)
    if number is None or int(number[1]) > MOST_SETS:
        raise ArcError("a field has no valid instance")
    return int(number[1])


def read_set(instance: int, results: Field, message: Field, seal: Field) -> ArcSet:
    """Raises ArcError."""
    try:
        seal_tags = parse_tags(seal.value, smtputf8=True)
        if "h" in seal_tags:
            raise TagError("a seal must not name fields")
        if seal_tags.get("cv", "").lower() not in _CHAIN_STATES:
            raise TagError("a seal says nothing of the chain")
        return ArcSet(
            instance=instance,
            results=results,
            message_field=message,
            message=_message_signature(parse_tags(message.value, smtputf8=True)),
            seal_field=seal,
            seal=_signature(seal_tags, (), (RELAXED, RELAXED), b""),
            state=seal_tags["cv"].lower(),
        )
    except TagError as error:
        raise ArcError(f"set {instance}: {error}") from None


def _message_signature(found: Mapping[str, str]) -> Signature:
    for name in ("h", "bh"):
        if name not in found:
            raise TagError(f"tag {name} is missing")
    # unlike in DKIM nothing has to be covered, so an empty list or item is harmless
    signed = field_names(":".join(filter(None, tags.listed(found["h"])))) if found["h"].strip(":") else ()
    if SEAL in signed:
        raise TagError("a message signature must not cover a seal")
    body_hash = base64.b64decode(tags.base64_text(found["bh"], "bh"))
    return _signature(found, signed, forms(found.get("c", f"{RELAXED}/{RELAXED}")), body_hash)


def _signature(
    found: Mapping[str, str], signed: tuple[bytes, ...], both_forms: tuple[str, str], body_hash: bytes
) -> Signature:
    for name in ("a", "b", "d", "s"):
        if name not in found:
            raise TagError(f"tag {name} is missing")
    algorithm = found["a"].lower()
    if algorithm not in _ALGORITHMS:
        raise TagError("unknown algorithm")
    domain = domain_name(found["d"])
    return Signature(
        algorithm=algorithm,
        domain=domain,
        selector=selector_name(found["s"]),
        identity=f"@{domain}",
        signed_fields=signed,
        header_form=both_forms[0],
        body_form=both_forms[1],
        body_hash=body_hash,
        signature=base64.b64decode(tags.base64_text(found["b"], "b")),
        signed_at=time_tag(found, "t"),
        claims_length="l" in found,
    )
