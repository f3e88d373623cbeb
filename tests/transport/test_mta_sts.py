"""MTA-STS: own cases of records and policies, beside the published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.transport import mta_sts
from mailgate.transport.fields import RecordError
from mailgate.transport.mta_sts import LONGEST_AGE, Mode, PolicyError, parse_policy, parse_record

GOOD = "version: STSv1\nmode: enforce\nmx: mail.example.net\nmx: *.example.org\nmax_age: 604800\n"


@pytest.mark.parametrize(
    "text", ["v=STSv1; id=1; id=", "v=STSv1; ID=1", "V=STSv1; id=1", " v=STSv1; id=1", "v=STSv1 id=1", "id=1"]
)
def test_wrong_records(text: str) -> None:
    with pytest.raises(RecordError):
        parse_record(text)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=STSv1; id=a"], "a"),
        (["v=spf1 -all", "v=STSv1; id=a"], "a"),
        (["v=STSv1; id=a; id=b"], "a"),
        (["v=STSv1; id=a", "v=STSv1; id=b"], ""),
        (["v=STSv1; id="], ""),
        ([], ""),
    ],
)
def test_exactly_one_record_counts(texts: list[str], found: str) -> None:
    assert mta_sts.id_of(texts) == found


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mail.example.net", True),
        ("MAIL.Example.NET.", True),
        ("mx.example.org", True),
        ("a.b.example.org", False),
        ("example.org", False),
        ("evil-example.org", False),
        ("mail.example.net.evil.example", False),
    ],
)
def test_hosts_that_a_policy_allows(host: str, allowed: bool) -> None:
    assert parse_policy(GOOD).allows(host) is allowed


def test_of_fields_that_stand_twice_the_first_counts() -> None:
    policy = parse_policy(GOOD + "mode: none\nmax_age: 1\n")
    assert (policy.mode, policy.max_age) == (Mode.ENFORCE, 604800)


@pytest.mark.parametrize("age", ["-1", "1.5", "", "1e3", "99999999999", str(LONGEST_AGE + 1)])
def test_wrong_ages(age: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(GOOD.replace("604800", age))


@pytest.mark.parametrize("mx", ["[192.0.2.1]", "*", "*.", "mx..example", "-mx.example", "a*.example", "mx.*.example"])
def test_wrong_hosts(mx: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(GOOD.replace("mail.example.net", mx))


@given(st.text(max_size=300))
def test_any_text_is_a_policy_or_an_error(text: str) -> None:
    try:
        policy = parse_policy(text)
    except PolicyError:
        return
    assert 0 <= policy.max_age <= LONGEST_AGE
    assert policy.mx or policy.mode is Mode.NONE


@pytest.mark.parametrize(
    ("next_hop", "domain"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("[example.org]:25", "example.org"),
        ("example.org:submission", "example.org"),
        ("[192.0.2.1]", ""),
        ("[IPv6:2001:db8::1]", ""),
        ("192.0.2.1", ""),
        (".example.org", ""),
        ("", ""),
    ],
)
def test_the_policy_domain_of_a_next_hop(next_hop: str, domain: str) -> None:
    assert mta_sts.policy_domain(next_hop) == domain
