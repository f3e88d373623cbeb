"""ARC chains: sealed here, verified here, broken in every way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from mailgate.senderauth import arc, arc_seal, body, header, signing_key
from mailgate.senderauth.arc import ArcResult
from mailgate.senderauth.arc_seal import Sealer
from mailgate.senderauth.outcome import Outcome
from tests.senderauth.zones import NOW, Zone, message

KEY = signing_key.new_rsa()
ZONE = Zone({f"s._domainkey.{name}.example TXT": [KEY.record] for name in ("one", "two", "three")})
PLAIN = message("From: bob@example.org", "To: list@one.example", "Subject: x", text="Hello  \r\n")


def verify(raw: bytes, zone: Zone = ZONE) -> ArcResult:
    async def run() -> ArcResult:
        found = header.read(raw)
        chain = arc.read(found)

        async def digests() -> Mapping[str, bytes]:
            return body.body_hashes(chain.body_forms, raw[found.size :])

        waiting = asyncio.ensure_future(digests())
        return await arc.verify(found, chain, waiting, zone)

    return asyncio.run(run())


def sealed(raw: bytes, name: str, state: Outcome | None = None, results: str = "dmarc=pass header.from=x.y") -> bytes:
    found = header.read(raw)
    sealer = Sealer(f"mx.{name}.example", f"{name}.example", "s", KEY)
    hashes = body.body_hashes([body.RELAXED], raw[found.size :])
    return b"".join(arc_seal.seal(found, hashes, sealer, results, state or verify(raw).outcome, NOW)) + raw


def test_a_message_without_a_chain() -> None:
    assert verify(PLAIN) == ArcResult(Outcome.NONE)


def test_a_chain_of_three_names_its_sealers() -> None:
    result = verify(sealed(sealed(sealed(PLAIN, "one"), "two"), "three"))
    assert (result.outcome, result.sealers) == (Outcome.PASS, ("three.example", "two.example", "one.example"))
    assert b"dmarc=pass" in result.results[-1]


def test_what_a_list_changes_before_it_seals_is_its_own_affair() -> None:
    once = sealed(PLAIN, "one")
    assert verify(once + b"footer\r\n").reason == "the body was changed after the last hop"
    assert verify(sealed(once + b"footer\r\n", "two", Outcome.PASS)).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: x", b"Subject: y"),
        (b"dmarc=pass", b"dmarc=fail"),
        (b"i=1;", b"i=3;"),
        (b"cv=none", b"cv=pass"),
        (b"ARC-Seal:", b"X-Seal:"),
        (b"ARC-Authentication-Results:", b"X-Results:"),
        (b"a=rsa-sha256", b"a=rsa-sha1"),
        (b"d=one.example", b"d=two.example"),
    ],
)
def test_a_broken_chain_fails(old: bytes, new: bytes) -> None:
    raw = sealed(PLAIN, "one")
    assert old in raw
    assert verify(raw.replace(old, new, 1)).outcome is Outcome.FAIL


def test_a_field_twice_and_a_seal_with_a_list_fail() -> None:
    raw = sealed(PLAIN, "one")
    seal, _, rest = raw.partition(b"ARC-Message-Signature")
    assert verify(seal + raw).outcome is Outcome.FAIL
    assert verify(seal.replace(b"i=1;", b"i=1; h=from;") + b"ARC-Message-Signature" + rest).outcome is Outcome.FAIL


def test_a_chain_that_was_found_broken_has_ended() -> None:
    ended = sealed(sealed(PLAIN, "one") + b"changed\r\n", "two")
    result = verify(ended)
    assert (result.outcome, result.has_ended) == (Outcome.FAIL, True)
    assert sealed(ended, "three") == ended, "nothing is added to it"


def test_a_dns_failure_is_temporary_and_a_missing_key_is_not() -> None:
    raw = sealed(PLAIN, "one")
    assert verify(raw, Zone(failing=frozenset({"s._domainkey.one.example"}))).outcome is Outcome.TEMPERROR
    assert verify(raw, Zone()).outcome is Outcome.FAIL


def test_many_sets_take_no_lookups() -> None:
    zone = Zone(ZONE.data)
    fields = b"".join(b"ARC-Seal: i=%d; cv=pass\r\n" % number for number in range(1, 5_000))
    assert verify(fields + PLAIN, zone).outcome is Outcome.FAIL
    assert zone.asked == []


def test_what_is_no_tag_list_fails() -> None:
    assert verify(b"ARC-Seal: \xff\r\n" + PLAIN).outcome is Outcome.FAIL
    assert verify(b"ARC-Seal: i=99999999999999\r\n" + PLAIN).outcome is Outcome.FAIL
