"""RFC 7208: evaluation with all its limits."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.senderauth import spf, spf_macro, spf_record
from mailgate.senderauth.outcome import Outcome
from mailgate.senderauth.spf import Client, SpfResult
from mailgate.senderauth.spf_macro import MacroError, Values
from tests.senderauth.zones import Zone, run
from tests.support.hostile import seconds

IP4 = "192.0.2.5"
IP6 = "2001:db8::5"


def check(
    records: dict[str, list[str]], sender: str = "bob@example.org", ip: str = IP4, **more: frozenset[str]
) -> SpfResult:
    zone = Zone(records, **more)
    result: SpfResult = run(spf.check_mail_from(zone, Client(spf.client_ip(ip), "mail.example.net"), sender))
    return result


@pytest.mark.parametrize(
    ("record", "ip", "expected"),
    [
        ("v=spf1 -all", IP4, Outcome.FAIL),
        ("v=spf1 ~all", IP4, Outcome.SOFTFAIL),
        ("v=spf1 ?all", IP4, Outcome.NEUTRAL),
        ("v=spf1 all", IP4, Outcome.PASS),
        ("v=spf1", IP4, Outcome.NEUTRAL),
        ("V=SPF1 IP4:192.0.2.0/24 -ALL", IP4, Outcome.PASS),
        ("v=spf1 ip4:192.0.2.0/30 -all", IP4, Outcome.FAIL),
        ("v=spf1 ip6:2001:db8::/32 -all", IP6, Outcome.PASS),
        ("v=spf1 ip4:192.0.2.5 -all", f"::ffff:{IP4}", Outcome.PASS),
        ("v=spf1 ip6:::/0 -all", IP4, Outcome.FAIL),
        ("v=spf1 a -all", IP4, Outcome.PASS),
        ("v=spf1 a//64 -all", IP6, Outcome.PASS),
        ("v=spf1 a:host.example.org/24 -all", IP4, Outcome.PASS),
        ("v=spf1 mx -all", IP4, Outcome.PASS),
        ("v=spf1 ptr -all", IP4, Outcome.PASS),
        ("v=spf1 ptr:example.net -all", IP4, Outcome.FAIL),
        ("v=spf1 exists:%{ir}.list.example.org -all", IP4, Outcome.PASS),
        ("v=spf1 exists:%{l}.%{d2}.who.example.org -all", IP4, Outcome.PASS),
        ("v=spf1 include:soft.example.org -all", IP4, Outcome.FAIL),
        ("v=spf1 include:yes.example.org -all", IP4, Outcome.PASS),
        ("v=spf1 redirect=yes.example.org", IP4, Outcome.PASS),
        ("v=spf1 include:nothing.example.org all", IP4, Outcome.PERMERROR),
        ("v=spf1 redirect=nothing.example.org", IP4, Outcome.PERMERROR),
        ("v=spf1 include:loop.example.org -all", IP4, Outcome.PERMERROR),
        ("v=spf1 include:example.org -all", IP4, Outcome.PERMERROR),
        ("v=spf1 a:single -all", IP4, Outcome.PERMERROR),
        ("v=spf1 nonsense -all", IP4, Outcome.PERMERROR),
        ("v=spf1 ip4:192.0.2.5 nonsense", IP4, Outcome.PERMERROR),
        ("v=spf1 -all \u00fcber", IP4, Outcome.PERMERROR),
        ("v=spf10 -all", IP4, Outcome.NONE),
    ],
)
def test_records(record: str, ip: str, expected: Outcome) -> None:
    records = {
        "example.org TXT": ["other text", record],
        "example.org A": [IP4],
        "example.org AAAA": ["2001:db8::9"],
        "host.example.org A": ["192.0.2.77"],
        "example.org MX": ["10 mx.example.org"],
        "mx.example.org A": [IP4],
        "5.2.0.192.in-addr.arpa PTR": ["mx.example.org"],
        "5.2.0.192.list.example.org A": ["127.0.0.2"],
        "bob.example.org.who.example.org A": ["127.0.0.2"],
        "soft.example.org TXT": ["v=spf1 ~all"],
        "yes.example.org TXT": ["v=spf1 +all"],
        "loop.example.org TXT": ["v=spf1 include:loop.example.org"],
    }
    assert check(records, ip=ip).outcome is expected


@pytest.mark.parametrize("term", ["include:" + "a" * 62_000 + "!", "include:" + "A1" * 200 + "_", "x=" + "a" * 600])
def test_a_term_or_record_too_long_is_an_error_and_takes_no_time(term: str) -> None:
    found: list[SpfResult] = []
    records = {"example.org TXT": [f"v=spf1 {term} -all"]}
    assert seconds(lambda: found.append(check(records))) < 0.5
    assert found[0].outcome is Outcome.PERMERROR


def test_the_longest_record_that_is_read() -> None:
    def outcome(length: int) -> Outcome:
        filled = ("ip4:192.0.2.5/32 " * 300)[: length - len("v=spf1  -all")].rpartition(" ")[0]
        return check({"example.org TXT": [f"v=spf1 {filled} -all".ljust(length)]}, ip="198.51.100.1").outcome

    assert outcome(spf_record.LONGEST_RECORD) is Outcome.FAIL
    assert outcome(spf_record.LONGEST_RECORD + 1) is Outcome.PERMERROR


_OLD_LABEL = r"(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])"
_GRAMMAR = re.compile(rf"(?:.*\.)?{_OLD_LABEL}\.?|.*(?:%\{{[^}}]*\}}|%%|%_|%-)")


@given(st.text("aA1-._!%{sd}", max_size=12))
def test_how_a_domain_may_end_is_what_the_grammar_says(spec: str) -> None:
    assert spf_record._ends_well(spec) is (_GRAMMAR.fullmatch(spec) is not None)


@given(st.lists(st.text("ab", max_size=70), min_size=1, max_size=30))
def test_a_long_name_loses_its_first_labels(labels: list[str]) -> None:
    values = Values("l", "d.example", "d.example", spf.client_ip(IP4), "h")
    name = expected = ".".join(labels).removesuffix(".")
    while len(expected) > 253 and "." in expected:
        expected = expected.partition(".")[2]
    assert spf_macro.expand_domain(name, values) == expected.removesuffix(".")


def test_a_number_of_labels_may_have_any_length() -> None:
    values = Values("l", "a.b.example", "a.b.example", spf.client_ip(IP4), "h")
    assert spf_macro.expand("%{d" + "9" * 5000 + "}", values) == "a.b.example"
    assert spf_macro.expand("%{d" + "0" * 5000 + "2}", values) == "b.example"
    with pytest.raises(MacroError):
        spf_macro.expand("%{d" + "0" * 5000 + "}", values)


def test_two_records_are_an_error() -> None:
    assert check({"example.org TXT": ["v=spf1 all", "v=spf1 -all"]}).outcome is Outcome.PERMERROR


@pytest.mark.parametrize(
    "domain", ["localhost", "[192.0.2.1]", "a..example.org", f"{'a' * 64}.example.org", "\u00fc.org"]
)
def test_what_is_no_domain_has_no_policy(domain: str) -> None:
    assert check({}, f"bob@{domain}").outcome is Outcome.NONE


def test_the_null_path_stands_for_the_helo_name() -> None:
    result = check(
        {"mail.example.net TXT": ["v=spf1 exists:%{l}.%{o} -all"], "postmaster.mail.example.net A": ["127.0.0.1"]}, ""
    )
    assert (result.outcome, result.domain) == (Outcome.PASS, "mail.example.net")


def test_ten_lookups_are_allowed_and_not_one_more() -> None:
    hosts = {f"h{n}.example.org A": ["192.0.2.200"] for n in range(11)}
    ten = " ".join(f"a:h{n}.example.org" for n in range(10))
    assert check({"example.org TXT": [f"v=spf1 {ten} -all"], **hosts}).outcome is Outcome.FAIL
    assert check({"example.org TXT": [f"v=spf1 {ten} a:h10.example.org -all"], **hosts}).outcome is Outcome.PERMERROR


def test_two_lookups_may_find_nothing_and_not_one_more() -> None:
    assert check({"example.org TXT": ["v=spf1 a:x.example.org mx:y.example.org -all"]}).outcome is Outcome.FAIL
    three = "v=spf1 a:x.example.org mx:y.example.org exists:z.example.org -all"
    assert check({"example.org TXT": [three]}).outcome is Outcome.PERMERROR


def test_more_than_ten_mx_hosts_are_an_error() -> None:
    hosts = {f"mx{n}.example.org A": ["192.0.2.200"] for n in range(11)}
    records = {"example.org TXT": ["v=spf1 mx -all"], **hosts}
    assert check(records | {"example.org MX": [f"1 mx{n}.example.org" for n in range(10)]}).outcome is Outcome.FAIL
    assert check(records | {"example.org MX": [f"1 mx{n}.example.org" for n in range(11)]}).outcome is Outcome.PERMERROR


@pytest.mark.parametrize("failing", ["example.org", "other.example.org"])
def test_a_dns_failure_is_temporary(failing: str) -> None:
    records = {"example.org TXT": ["v=spf1 include:other.example.org -all"]}
    assert check(records, failing=frozenset({failing})).outcome is Outcome.TEMPERROR


def test_a_lookup_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spf, "SECONDS", 0.01)
    assert check({}, hanging=frozenset({"example.org"})).outcome is Outcome.TEMPERROR


def test_explanation_of_the_domain_that_said_fail() -> None:
    records = {
        "example.org TXT": ["v=spf1 include:other.example.org redirect=last.example.org"],
        "other.example.org TXT": ["v=spf1 -all exp=wrong.example.org"],
        "last.example.org TXT": ["v=spf1 -all exp=why.%{d}"],
        "why.last.example.org TXT": ["%{i} may not send as %{s} (%{L}); see http://%{d}/?s=%{S} %%"],
        "wrong.example.org TXT": ["not this"],
    }
    assert check(records, "a+b@example.org").explanation == (
        "192.0.2.5 may not send as a+b@example.org (a%2Bb); see http://last.example.org/?s=a%2Bb%40example.org %"
    )


@pytest.mark.parametrize("texts", [[], ["one", "two"], ["caf\u00e9"], ["%{x}"], ["100%"]])
def test_a_bad_explanation_is_none(texts: list[str]) -> None:
    records = {"example.org TXT": ["v=spf1 -all exp=why.example.org"], "why.example.org TXT": texts}
    result = check(records)
    assert (result.outcome, result.explanation) == (Outcome.FAIL, "")


@pytest.mark.parametrize(
    "record",
    [
        *("v=spf1 all:x", "v=spf1 include", "v=spf1 include:", "v=spf1 a:", "v=spf1 ip4:192.0.2.1/33", "v=spf1 ip4"),
        *("v=spf1 ip4:192.0.2.1/024", "v=spf1 ip6:2001:db8::1%eth0", "v=spf1 a/33", "v=spf1 a//129", "v=spf1 a///64"),
        *(
            "v=spf1 include:a.example/24",
            "v=spf1 redirect=a.b redirect=c.d",
            "v=spf1 exp=a.b exp=a.b",
            "v=spf1 ?exp=a.b",
        ),
        *("v=spf1 exists:%{d", "v=spf1 exists:%{d0}", "v=spf1 exists:%d.example", "v=spf1 exists:%{c}.example.org"),
        *("v=spf1\t-all", "v=spf1 a:example.123", "v=spf1 a:example.-org", "v=spf1 a:exa mple.org", "v=spf1 1=x"),
    ],
)
def test_syntax_errors(record: str) -> None:
    with pytest.raises(spf_record.RecordError):
        spf_record.parse(record)


def test_long_expansions_lose_labels_from_the_left() -> None:
    local = "a." * 31 + "a"
    records = {"example.org TXT": ["v=spf1 exists:%{l}.%{l}.%{l}.%{l}.%{l}.example.org all"]}
    zone = Zone(records)
    run(spf.check_mail_from(zone, Client(spf.client_ip(IP4), "x.example"), f"{local}@example.org"))
    asked = zone.asked[-1].removesuffix(" A")
    assert len(asked) <= 253 and asked.endswith(".a.example.org")


NAMED = {"5.2.0.192.in-addr.arpa PTR": ["host.example.net"], "host.example.net A": [IP4]}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1 exists:%{p}.a.example.org ptr -all", Outcome.FAIL),
        ("v=spf1 ptr exists:%{p}.b.example.org -all", Outcome.PASS),
        ("v=spf1 exists:%{p}.b.example.org -all", Outcome.PASS),
    ],
)
def test_the_name_in_a_macro_and_the_mechanism_ptr_are_not_mixed_up(record: str, expected: Outcome) -> None:
    """The client's name is not below the domain: good for %{p}, but no match of ptr."""
    zone = {"example.org TXT": [record], "host.example.net.b.example.org A": ["127.0.0.2"]}
    assert check(zone | NAMED).outcome is expected
