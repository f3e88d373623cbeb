"""Public keys from the DNS, each name asked for once a message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailgate.senderauth import dkim_key
from mailgate.senderauth.dkim_key import LEAST_RSA_BITS, MOST_RSA_BITS, RSA, KeyRecord, KeyRecordError
from mailgate.senderauth.dns import LookupFailed, Resolver, is_name, records
from mailgate.senderauth.outcome import Outcome


@dataclass(frozen=True, slots=True)
class NoKey:
    """Why there is no key to verify with, and what that makes of the signature."""

    outcome: Outcome
    reason: str


Keys = Mapping[str, KeyRecord | NoKey]


async def fetch(resolver: Resolver, names: Iterable[str]) -> Keys:
    """By name (`selector._domainkey.domain`), all at the same time."""
    wanted = tuple(dict.fromkeys(names))
    found = await asyncio.gather(*(_fetch(resolver, name) for name in wanted))
    return dict(zip(wanted, found, strict=True))


async def _fetch(resolver: Resolver, name: str) -> KeyRecord | NoKey:
    if not is_name(name):
        return NoKey(Outcome.PERMERROR, "no key can be published at this name")
    try:
        texts = await records(resolver.txt(name))
    except LookupFailed as error:
        return NoKey(Outcome.TEMPERROR, f"the key can't be looked up: {error}")
    return choose(texts)


def choose(texts: tuple[str, ...]) -> KeyRecord | NoKey:
    """The first valid record of a name (there should be one only, RFC 6376 section 3.6.2.2)."""
    reason = "no key is published"
    for text in filter(dkim_key.is_key_record, texts):
        try:
            # blanks behind the last semicolon are not in the grammar, but in many a zone
            record = dkim_key.parse(text.rstrip())
        except KeyRecordError as error:
            reason = f"the key record is not valid: {error}"
            continue
        return record if record.key is not None else NoKey(Outcome.PERMERROR, "the key was revoked")
    return NoKey(Outcome.PERMERROR, reason)


def objection(record: KeyRecord, algorithm: str) -> NoKey | None:
    """Why this key may not be used with this algorithm for mail, if so."""
    if record.kind != algorithm.partition("-")[0]:
        return NoKey(Outcome.PERMERROR, "the key is of another kind than the signature")
    if not record.allows_sha256:
        return NoKey(Outcome.PERMERROR, "the key is not for SHA-256")
    if not record.is_for_mail:
        return NoKey(Outcome.PERMERROR, "the key is not for mail")
    if record.kind == RSA and not LEAST_RSA_BITS <= record.bits <= MOST_RSA_BITS:
        return NoKey(Outcome.POLICY, f"an RSA key of {record.bits} bits")
    return None
