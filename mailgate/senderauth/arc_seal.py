"""Sealing: the ARC set that a forwarding gateway adds on top of a message (RFC 8617 section 5.1)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailgate.senderauth.arc import seal_digest
from mailgate.senderauth.arc_set import MOST_SETS, SEAL, ArcError, ArcSet, read_set, sets
from mailgate.senderauth.body import RELAXED
from mailgate.senderauth.dkim_signature import RSA_SHA256
from mailgate.senderauth.header import Field, Header
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.signed_header import HeaderHash
from mailgate.senderauth.signing_key import SigningKey

SIGNED = (
    *("from", "to", "cc", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"),
    *("content-transfer-encoding", "in-reply-to", "references", "list-id", "dkim-signature"),
)


@dataclass(frozen=True, slots=True)
class Sealer:
    """Who seals: its authserv-id, and the RSA key that is published for `selector` of `domain`."""

    authserv_id: str
    domain: str
    selector: str
    key: SigningKey


def seal(
    header: Header,
    body_hashes: Mapping[str, bytes],
    sealer: Sealer,
    results: str,
    state: Outcome,
    now: int,
    signed: Iterable[str] = SIGNED,
) -> tuple[bytes, ...]:
    """The fields to be put on top, the seal first, each with its line end; none where a hop before us ended the chain
    as broken, since nothing is added to such a one. `results` is what our Authentication-Results says after the
    authserv-id; `state` what verification of the chain found (NONE, PASS, FAIL); `body_hashes` holds the relaxed one;
    `signed` are the fields that are covered. Raises ArcError where the chain can't be continued."""
    earlier = _sets_before(header)
    if any(each.state == "fail" for each in earlier):
        return ()
    instance = len(earlier or header.named(SEAL)) + 1
    if instance > MOST_SETS:
        raise ArcError("too many sets")
    aar = _field("ARC-Authentication-Results", f"i={instance}; {sealer.authserv_id}; {results}")
    common = {"a": RSA_SHA256, "d": sealer.domain, "i": str(instance), "s": sealer.selector, "t": str(now)}
    names = tuple(signed)
    message_tags = common | {
        "bh": base64.b64encode(body_hashes[RELAXED]).decode(),
        "c": f"{RELAXED}/{RELAXED}",
        "h": ":".join(names),
    }
    draft = _tagged("ARC-Message-Signature", message_tags)
    hashes = HeaderHash((aar, *header.fields))
    digest = hashes.digest([name.lower().encode() for name in names], RELAXED, draft)
    message = _tagged("ARC-Message-Signature", message_tags, sealer.key.sign(digest))
    seal_tags = common | {"cv": state.value}
    new = read_set(instance, aar, message, _tagged("ARC-Seal", seal_tags, bytes(1)))
    # of a chain that is broken only the own set is sealed (RFC 8617 section 5.1.2)
    sealed = _tagged(
        "ARC-Seal", seal_tags, sealer.key.sign(seal_digest((new,) if state is Outcome.FAIL else (*earlier, new)))
    )
    return sealed.raw, message.raw, aar.raw


def _sets_before(header: Header) -> tuple[ArcSet, ...]:
    """None where they can't be read: then the chain is sealed as broken."""
    try:
        return sets(header)
    except ArcError:
        return ()


def _tagged(name: str, tags: Mapping[str, str], signature: bytes = b"") -> Field:
    """Tags in the order of their names, folded between them only: a signature that is folded inside would mean other
    bytes to who seals the field after us."""
    values = dict(tags) | {"b": base64.b64encode(signature).decode()}
    return _field(name, "; ".join(f"{tag}={values[tag]}" for tag in sorted(values)))


def _field(name: str, value: str) -> Field:
    # with a space: dkimpy finds the field by " i=1;" and fails on a tab
    folded = value.replace("; ", ";\r\n ")
    return Field(name.lower().encode(), f"{name}: {folded}\r\n".encode())
