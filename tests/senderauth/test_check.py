"""All checks of one message together: what is reported, and what an attacker must not reach by breaking one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set

import dkim
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailgate.senderauth import body, header, signing_key, spf
from mailgate.senderauth.check import SenderCheck
from mailgate.senderauth.findings import Findings
from tests.senderauth.zones import NOW, Zone, message

KEY = signing_key.new_rsa()
PEM = KEY.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
RECORDS = {
    "_dmarc.bank.example TXT": ["v=DMARC1; p=reject"],
    "s._domainkey.bank.example TXT": [KEY.record],
    "s._domainkey.evil.example TXT": [KEY.record],
    "bank.example TXT": ["v=spf1 ip4:192.0.2.1 -all"],
}
SPOOF = message("From: Boss <boss@bank.example>")


def check(raw: bytes, zone: Zone, reverse_path: str = "x@evil.example", seconds: float = 5.0) -> Findings:
    async def run() -> Findings:
        client = spf.Client(spf.client_ip("192.0.2.1"), "mail.evil.example", "mx.example", NOW)
        begun = SenderCheck(zone, client, reverse_path)
        found = header.read(raw)

        async def hashes(forms: Set[str]) -> Mapping[str, bytes]:
            return body.body_hashes(forms, raw[found.size :])

        begun.read(found, hashes)
        try:
            return await begun.findings(seconds)
        finally:
            begun.close()

    return asyncio.run(run())


def signed(domain: bytes, raw: bytes = SPOOF) -> bytes:
    line: bytes = dkim.sign(raw, b"s", domain, PEM)
    return line + raw


def test_a_key_that_never_arrives_keeps_no_policy_away() -> None:
    zone = Zone(RECORDS, failing=frozenset({"s._domainkey.evil.example"}))
    sender = check(signed(b"evil.example"), zone).sender
    assert (sender.dmarc, sender.asked_for) == ("fail", "reject")


def test_a_key_of_the_author_that_does_not_arrive_leaves_it_open() -> None:
    zone = Zone(RECORDS, failing=frozenset({"s._domainkey.bank.example"}))
    assert check(signed(b"bank.example"), zone).sender.dmarc == "temperror"


def test_an_spf_failure_of_the_author_leaves_it_open() -> None:
    zone = Zone(RECORDS, failing=frozenset({"bank.example"}))
    assert check(SPOOF, zone, "boss@bank.example").sender.dmarc == "temperror"
    assert check(SPOOF, zone, "boss@evil.example").sender.dmarc == "fail"


def test_spf_of_the_author_is_enough() -> None:
    found = check(SPOOF, Zone(RECORDS), "boss@bank.example")
    assert found.sender.dmarc == "pass"
    assert [each.method for each in found.results] == ["iprev", "spf", "spf", "dkim", "dmarc"]


def test_of_several_authors_the_one_counts_whose_domain_asks_for_most() -> None:
    both = message("From: a@open.example, boss@bank.example")
    assert check(both, Zone(RECORDS)).sender.author == "bank.example"


def test_what_hangs_is_temperror_in_time() -> None:
    zone = Zone(RECORDS, hanging=frozenset({"s._domainkey.bank.example", "evil.example", "1.2.0.192.in-addr.arpa"}))
    found = check(signed(b"bank.example"), zone, seconds=0.05)
    assert {each.method: each.result for each in found.results} == {
        "iprev": "temperror",
        "spf": "none",  # of the HELO name, which comes second
        "dkim": "temperror",
        "dmarc": "temperror",
    }


def test_a_null_path_is_judged_by_the_helo_name() -> None:
    zone = Zone(RECORDS | {"mail.evil.example TXT": ["v=spf1 -all"]})
    found = check(SPOOF, zone, "")
    assert (found.spf.domain, found.sender.spf) == ("mail.evil.example", "fail")


def test_a_huge_header_is_read_in_time() -> None:
    raw = b"".join(b"X-%d: y\r\n" % number for number in range(300_000)) + signed(b"bank.example")
    assert check(raw, Zone(RECORDS)).sender.dmarc == "pass"
