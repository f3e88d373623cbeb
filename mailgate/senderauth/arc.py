"""Verification of ARC chains (RFC 8617 section 5.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

from mailgate.senderauth import keys
from mailgate.senderauth.arc_set import ArcError, ArcSet, sets
from mailgate.senderauth.dkim_signature import Signature
from mailgate.senderauth.dns import Resolver
from mailgate.senderauth.header import Header
from mailgate.senderauth.keys import Keys, NoKey
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.signed_header import HeaderHash, without_signature


@dataclass(frozen=True, slots=True)
class Chain:
    """The ARC sets of a message as far as they can be read. `problem` says what is wrong with them."""

    sets: tuple[ArcSet, ...] = ()
    problem: str = ""

    @property
    def body_forms(self) -> set[str]:
        """The canonicalizations in which the body has to be hashed: only the newest set must still match."""
        return {self.sets[-1].message.body_form} if self.sets else set()


@dataclass(frozen=True, slots=True)
class ArcResult:
    """`outcome` is NONE, PASS, FAIL or TEMPERROR. `sealers`: the domains that sealed, the newest first; of a chain that
    passes each is vouched for by the one before it; `results` their Authentication-Results. `has_ended`: a hop sealed
    the chain as broken, so nothing is to be added to it."""

    outcome: Outcome
    reason: str = ""
    sealers: tuple[str, ...] = ()
    results: tuple[bytes, ...] = ()
    has_ended: bool = False


def read(header: Header) -> Chain:
    """Never raises: what is wrong is part of the answer."""
    try:
        found = sets(header)
    except ArcError as error:
        return Chain(problem=str(error))
    return Chain(found, _state_problem(found))


def _state_problem(found: Sequence[ArcSet]) -> str:
    """RFC 8617 section 5.2, steps 2 and 3.C."""
    if found and found[-1].state == "fail":
        return "the last hop found the chain broken"
    for each in found:
        if each.state != ("none" if each.instance == 1 else "pass"):
            return f"seal {each.instance} says cv={each.state}"
    return ""


async def verify(
    header: Header, chain: Chain, body_hashes: Awaitable[Mapping[str, bytes]], resolver: Resolver
) -> ArcResult:
    """`body_hashes`: SHA-256 by canonicalization, at least those of `chain.body_forms`."""
    if chain.problem:
        return ArcResult(Outcome.FAIL, chain.problem, has_ended=any(each.state == "fail" for each in chain.sets))
    if not chain.sets:
        return ArcResult(Outcome.NONE)
    newest = chain.sets[-1]
    names = [newest.message.key_name, *(each.seal.key_name for each in chain.sets)]
    fetched = await keys.fetch(resolver, names)
    digests = await body_hashes
    if digests[newest.message.body_form] != newest.message.body_hash:
        return ArcResult(Outcome.FAIL, "the body was changed after the last hop")
    hashes = HeaderHash(header.fields)
    digest = hashes.digest(newest.message.signed_fields, newest.message.header_form, newest.message_field)
    problem = _mismatch(newest.message, digest, fetched)
    if problem is not None:
        return ArcResult(problem.outcome, f"message signature {newest.instance}: {problem.reason}")
    for number in range(len(chain.sets), 0, -1):
        problem = _mismatch(chain.sets[number - 1].seal, seal_digest(chain.sets[:number]), fetched)
        if problem is not None:
            return ArcResult(problem.outcome, f"seal {number}: {problem.reason}")
    newest_first = chain.sets[::-1]
    return ArcResult(
        Outcome.PASS,
        sealers=tuple(each.seal.domain for each in newest_first),
        results=tuple(each.results.value for each in newest_first),
    )


def seal_digest(covered: Sequence[ArcSet]) -> bytes:
    """SHA-256 of what the last of these sets seals (RFC 8617 section 5.1.1)."""
    hasher = hashlib.sha256()
    for each in covered:
        hasher.update(each.results.relaxed)
        hasher.update(each.message_field.relaxed)
        if each is covered[-1]:
            hasher.update(without_signature(each.seal_field).relaxed.removesuffix(b"\r\n"))
        else:
            hasher.update(each.seal_field.relaxed)
    return hasher.digest()


def _mismatch(signature: Signature, digest: bytes, fetched: Keys) -> NoKey | None:
    """Why the signature does not hold; whatever is wrong with a key makes the chain fail but a DNS failure."""
    record = fetched[signature.key_name]
    unusable = record if isinstance(record, NoKey) else keys.objection(record, signature.algorithm)
    if unusable is not None or isinstance(record, NoKey):
        assert unusable is not None
        outcome = Outcome.TEMPERROR if unusable.outcome is Outcome.TEMPERROR else Outcome.FAIL
        return NoKey(outcome, unusable.reason)
    if not record.verifies(signature.signature, digest):
        return NoKey(Outcome.FAIL, "the signature does not match")
    return None
