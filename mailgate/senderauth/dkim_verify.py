"""Verification of DKIM signatures under strict rules (RFC 6376 section 6, RFC 8301).

At most MOST_SIGNATURES are looked at, in their order. RSA with SHA-1, short keys and signatures that leave a From field
out never pass; l= is ignored, so that nothing can be appended. The library's own verifier is not used: it takes bare
LF, honours l=, hashes the body again for each signature and takes quadratic time on long runs of spaces."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from mailgate.senderauth import dkim_signature, keys
from mailgate.senderauth.dkim_signature import RSA_SHA1, Signature, SignatureError
from mailgate.senderauth.dns import Resolver
from mailgate.senderauth.header import Field, Header
from mailgate.senderauth.keys import Keys, NoKey
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.signed_header import HeaderHash

MOST_SIGNATURES = 10
CLOCK_SKEW = 3600  # seconds that clocks may differ


@dataclass(frozen=True, slots=True)
class Candidate:
    """A DKIM-Signature field before its key is known; `problem` says why it is no signature."""

    field: Field
    signature: Signature | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DkimResult:
    """What came of one signature; `bits` of its key, 0 where there was none; `is_testing`: the key says t=y."""

    outcome: Outcome
    reason: str = ""
    signature: Signature | None = None
    bits: int = 0
    is_testing: bool = False

    @property
    def domain(self) -> str:
        return self.signature.domain if self.signature else ""


def candidates(header: Header) -> tuple[Candidate, ...]:
    """The signatures that will be looked at; the rest is passed over."""
    return tuple(map(_candidate, header.named(b"dkim-signature")[:MOST_SIGNATURES]))


def _candidate(field: Field) -> Candidate:
    try:
        return Candidate(field, dkim_signature.parse(field.raw))
    except SignatureError as error:
        return Candidate(field, None, str(error))


def body_forms(found: tuple[Candidate, ...]) -> set[str]:
    """The canonicalizations in which the body has to be hashed."""
    return {candidate.signature.body_form for candidate in found if candidate.signature}


async def verify(
    header: Header,
    found: tuple[Candidate, ...],
    body_hashes: Awaitable[Mapping[str, bytes]],
    resolver: Resolver,
    now: float,
) -> tuple[DkimResult, ...]:
    """One result for each of `found`. `body_hashes`: SHA-256 by canonicalization; `now` in seconds since 1970."""
    names = [each.signature.key_name for each in found if each.signature and not _objection(each, header, now)]
    fetched = await keys.fetch(resolver, names)
    digests = await body_hashes
    hashes = HeaderHash(header.fields)
    return tuple(_judge(candidate, header, hashes, digests, fetched, now) for candidate in found)


def _objection(candidate: Candidate, header: Header, now: float) -> NoKey | None:
    """What can be said without a key."""
    signature = candidate.signature
    if signature is None:
        return NoKey(Outcome.NEUTRAL, candidate.problem)
    if signature.algorithm == RSA_SHA1:
        return NoKey(Outcome.POLICY, "SHA-1 is not accepted")
    from_fields = len(header.named(b"from"))
    if signature.signed_fields.count(b"from") < max(1, from_fields):
        return NoKey(Outcome.PERMERROR, "not every From field is signed")
    if signature.expires_at is not None and signature.expires_at < now:
        return NoKey(Outcome.FAIL, "the signature has expired")
    if signature.signed_at is not None and signature.signed_at > now + CLOCK_SKEW:
        return NoKey(Outcome.FAIL, "the signature was made in the future")
    return None


def _judge(
    candidate: Candidate,
    header: Header,
    hashes: HeaderHash,
    digests: Mapping[str, bytes],
    fetched: Keys,
    now: float,
) -> DkimResult:
    signature = candidate.signature
    objection = _objection(candidate, header, now)
    if objection is not None or signature is None:
        assert objection is not None
        return DkimResult(objection.outcome, objection.reason, signature)
    record = fetched[signature.key_name]
    unusable = record if isinstance(record, NoKey) else keys.objection(record, signature.algorithm)
    if unusable is not None or isinstance(record, NoKey):
        assert unusable is not None
        return DkimResult(unusable.outcome, unusable.reason, signature)
    if record.is_strict and signature.identity_domain != signature.domain:
        return DkimResult(Outcome.PERMERROR, "the key is not for subdomains", signature, record.bits)
    if digests[signature.body_form] != signature.body_hash:
        return DkimResult(Outcome.FAIL, "the body was changed", signature, record.bits, record.is_testing)
    digest = hashes.digest(signature.signed_fields, signature.header_form, candidate.field)
    if not record.verifies(signature.signature, digest):
        return DkimResult(Outcome.FAIL, "the signature does not match", signature, record.bits, record.is_testing)
    return DkimResult(Outcome.PASS, "", signature, record.bits, record.is_testing)
