"""RFC 9989: records, tree walk, alignment, what the owner asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.senderauth import dmarc, dmarc_record
from mailgate.senderauth.dmarc import DmarcResult
from mailgate.senderauth.dmarc_record import DmarcPolicy, RecordError
from mailgate.senderauth.outcome import Outcome
from tests.senderauth.zones import Zone, run

NONE, QUARANTINE, REJECT = DmarcPolicy


def evaluate(zone: Zone, author: str, spf: str = "", dkim: tuple[str, ...] = ()) -> DmarcResult:
    result: DmarcResult = run(dmarc.evaluate(zone, author, spf, dkim))
    return result


def zone(**records: str) -> Zone:
    """`example_org` stands for `_dmarc.example.org`."""
    return Zone({f"_dmarc.{name.replace('_', '.')} TXT": [text] for name, text in records.items()})


@pytest.mark.parametrize(
    ("text", "policies"),
    [
        ("v=DMARC1; p=reject", (REJECT, None, None)),
        ("v=DMARC1;p=reject;sp=quarantine;np=none;", (REJECT, QUARANTINE, NONE)),
        ("V = DMARC1 ; P = Reject ; unknown=what ever ", (REJECT, None, None)),
        ("v=DMARC1; sp=none; p=reject", (REJECT, NONE, None)),
        ("v=DMARC1; p=reject; adkim=x; ri=no; pct=many", (REJECT, None, None)),
        ("v=DMARC1; rua=mailto:d@example.org", (NONE, None, None)),
        ("v=DMARC1; p=maybe; rua=mailto:d@example.org", (NONE, None, None)),
        ("v=DMARC1; p=reject; np=maybe; rua=https://example.org/in", (NONE, None, None)),
        ("v=DMARC1;; p=reject;;", (REJECT, None, None)),
        ("v=DMARC1; p=reject; bogus; =x; \u00fc=x; sp=none", (REJECT, NONE, None)),
        ("v=DMARC1; sp=reject; rua=mailto:d@example.org", (NONE, None, None)),
    ],
)
def test_records(text: str, policies: tuple[DmarcPolicy | None, ...]) -> None:
    record = dmarc_record.parse(text)
    assert (record.policy, record.subdomains, record.nonexistent) == policies


@pytest.mark.parametrize(
    "text",
    [
        *("", "v=DMARC1", "v=DMARC1;", "v=DMARC2; p=none", "v=dmarc1; p=none", "p=none; v=DMARC1", "v=DMARC1 p=none"),
        *("v=DMARC1; p=none; p=reject", "v=DMARC1; p=none; P=none", "v=DMARC1; p=maybe", "v=DMARC1; rua=bogus"),
        *("v=DMARC1; p=reject; sp=maybe", " v=DMARC1; p=none", "v=DMARC1; bogus"),
    ],
)
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(RecordError):
        dmarc_record.parse(text)


@given(st.text(max_size=100))
def test_nothing_breaks_the_parser(text: str) -> None:
    for record in (text, f"v=DMARC1; {text}", f"v=DMARC1; p=none; {text}"):
        try:
            dmarc_record.parse(record)
        except RecordError:
            continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=DMARC1; p=reject; t=y", QUARANTINE),
        ("v=DMARC1; p=quarantine; t=y", NONE),
        ("v=DMARC1; p=reject; t=n", REJECT),
        ("v=DMARC1; p=reject; pct=0", QUARANTINE),
        ("v=DMARC1; p=reject; pct=50", REJECT),
        ("v=DMARC1; p=reject; pct=0; t=n", REJECT),
    ],
)
def test_a_policy_under_test_counts_one_step_less(text: str, expected: DmarcPolicy) -> None:
    assert evaluate(zone(example_org=text), "example.org").policy is expected


def test_report_addresses() -> None:
    found = dmarc_record.parse("v=DMARC1; p=none; rua=mailto:a@x.example!9m, https://x/, mailto:b%2Bc@y.example ,z")
    assert found.reports == ("a@x.example", "b+c@y.example")


ORG = "v=DMARC1; p=reject; sp=quarantine; np=none"


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("example.org", REJECT),
        ("there.example.org", QUARANTINE),
        ("mx.example.org", QUARANTINE),
        ("text.example.org", QUARANTINE),
        ("ghost.example.org", NONE),
    ],
)
def test_own_sub_and_missing_domains(author: str, expected: DmarcPolicy) -> None:
    records = {"_dmarc.example.org TXT": [ORG], "there.example.org AAAA": ["::1"], "mx.example.org MX": ["1 x.y"]}
    zone = Zone(records, without_data=frozenset({"text.example.org"}))
    assert evaluate(zone, author).policy is expected


def test_a_record_without_a_valid_policy_keeps_its_other_tags() -> None:
    text = "v=DMARC1; p=maybe; adkim=s; rua=mailto:d@example.org"
    assert evaluate(zone(example_org=text), "example.org", dkim=["mail.example.org"]).outcome is Outcome.FAIL


def test_the_walk_asks_eight_times_at_most() -> None:
    found = zone(example_com="v=DMARC1; p=reject")
    assert evaluate(found, "a.b.c.d.e.f.g.h.i.j.mail.example.com").policy is REJECT
    asked = [name for name in found.asked if name.startswith("_dmarc.")]
    assert asked[:3] == [
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com TXT",
        "_dmarc.g.h.i.j.mail.example.com TXT",
        "_dmarc.h.i.j.mail.example.com TXT",
    ]
    assert len(asked) == 8 and asked[-1] == "_dmarc.com TXT"


@pytest.mark.parametrize(
    ("records", "author", "signer", "is_aligned"),
    [
        ({"example_org": "v=DMARC1; p=reject"}, "example.org", "example.org", True),
        ({"example_org": "v=DMARC1; p=reject"}, "example.org", "mail.example.org", True),
        ({"example_org": "v=DMARC1; p=reject"}, "a.example.org", "b.example.org", True),
        ({"example_org": "v=DMARC1; p=reject; adkim=s; aspf=s"}, "example.org", "mail.example.org", False),
        ({"example_org": "v=DMARC1; p=reject"}, "example.org", "badexample.org", False),
        ({"example_org": "v=DMARC1; p=reject"}, "example.org", "org", False),
        ({"example_org": "v=DMARC1; p=reject; psd=n"}, "a.example.org", "b.example.org", True),
        (
            {"a_example_org": "v=DMARC1; p=reject; psd=n", "example_org": "v=DMARC1; p=none"},
            "a.example.org",
            "example.org",
            False,
        ),
        ({"bank": "v=DMARC1; p=reject; psd=y"}, "one.bank", "two.bank", False),
        ({"bank": "v=DMARC1; p=reject; psd=y"}, "one.bank", "mail.one.bank", True),
        ({"bank": "v=DMARC1; p=reject; psd=y", "one_bank": "v=DMARC1; p=reject"}, "mail.one.bank", "one.bank", True),
    ],
)
def test_alignment(records: dict[str, str], author: str, signer: str, is_aligned: bool) -> None:
    by_dkim, by_spf = evaluate(zone(**records), author, "", (signer,)), evaluate(zone(**records), author, signer)
    expected = Outcome.PASS if is_aligned else Outcome.FAIL
    assert (by_dkim.outcome, by_spf.outcome) == (expected, expected)
    assert (bool(by_dkim.dkim_aligned), by_spf.spf_aligned) == (is_aligned, is_aligned)


def test_the_record_of_a_public_suffix_holds_where_there_is_no_other() -> None:
    result = evaluate(zone(bank="v=DMARC1; p=reject; np=quarantine; psd=y"), "ghost.bank")
    assert (result.policy, result.record_domain) == (QUARANTINE, "bank")


def test_without_a_record_dmarc_says_nothing() -> None:
    assert evaluate(Zone(), "example.org", "example.org").outcome is Outcome.NONE


def test_several_records_are_none() -> None:
    both = Zone({"_dmarc.example.org TXT": ["v=DMARC1; p=reject", "v=DMARC1; p=none"]})
    assert evaluate(both, "example.org").outcome is Outcome.NONE


def test_a_dns_failure_is_temporary() -> None:
    assert evaluate(Zone(failing=frozenset({"_dmarc.example.org"})), "a.example.org").outcome is Outcome.TEMPERROR
