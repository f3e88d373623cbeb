"""What aggregate reports tell of a message, and the XML that says it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.model.decision import Action
from mailgate.model.dmarc import Counted, PublishedPolicy, Seen
from mailgate.senderauth import aggregate
from mailgate.senderauth.aggregate_xml import NAMESPACE, AggregateReport, Reporter
from tests.reports.making import POLICY, seen
from tests.senderauth.test_check import KEY, SPOOF, check, signed
from tests.senderauth.zones import Zone

RUA = "; rua=mailto:r@bank.example"
NAMES = {"d": NAMESPACE}


def told(policy: str, action: Action, raw: bytes = SPOOF) -> tuple[Seen, ...]:
    zone = Zone(
        {
            "_dmarc.bank.example TXT": [policy],
            "s._domainkey.bank.example TXT": [KEY.record],
            "evil.example TXT": ["v=spf1 ~all"],
        }
    )
    return aggregate.seen(check(raw, zone), action)


def test_a_rejected_message() -> None:
    (found,) = told("v=DMARC1; p=reject; sp=none; aspf=s" + RUA, Action.REJECT)
    assert found.policy == PublishedPolicy("bank.example", "reject", sp="none", aspf="s")
    assert (found.source, found.header_from, found.envelope_from) == ("192.0.2.1", "bank.example", "evil.example")
    assert (found.disposition, found.override, found.dkim, found.spf) == ("reject", "", False, False)
    assert (found.spf_domain, found.spf_result) == ("evil.example", "softfail")


def test_a_message_that_passes() -> None:
    (found,) = told("v=DMARC1; p=reject" + RUA, Action.ACCEPT, signed(b"bank.example"))
    assert (found.disposition, found.dkim, found.spf) == ("pass", True, False)
    assert [(each.domain, each.selector, each.result) for each in found.dkim_results] == [("bank.example", "s", "pass")]


@pytest.mark.parametrize(
    ("policy", "action", "disposition", "override"),
    [
        ("p=reject", Action.QUARANTINE, "quarantine", "local_policy"),
        ("p=reject", Action.ACCEPT, "none", "local_policy"),
        ("p=quarantine", Action.REJECT, "reject", "local_policy"),
        ("p=quarantine", Action.HOLD, "quarantine", ""),
        ("p=none", Action.ACCEPT, "none", ""),
        ("p=none", Action.REJECT, "none", ""),  # for another reason
        ("p=quarantine; t=y", Action.ACCEPT, "none", "policy_test_mode"),
    ],
)
def test_what_was_done_against_the_policy(policy: str, action: Action, disposition: str, override: str) -> None:
    (found,) = told(f"v=DMARC1; {policy}{RUA}", action)
    assert (found.disposition, found.override) == (disposition, override)


@pytest.mark.parametrize("policy", ["v=DMARC1; p=reject", "v=DMARC1; p=reject; rua=https://x.example/", "nothing"])
def test_who_wants_no_reports_is_not_counted(policy: str) -> None:
    assert told(policy, Action.REJECT) == ()


def report(*counted: Counted) -> ET.Element:
    reporter = Reporter("acme.example", "postmaster@acme.example", "mailgate 1")
    made = AggregateReport(reporter, "1.author.example@acme.example", 86_400, 172_799, POLICY, counted)
    return ET.fromstring(made.xml())


def texts(element: ET.Element, path: str) -> list[str]:
    return [each.text or "" for each in element.findall("/".join(f"d:{name}" for name in path.split("/")), NAMES)]


def test_the_xml() -> None:
    found = report(Counted(seen(), 7), Counted(seen(source="2001:db8::1", disposition="none", override="other"), 1))
    assert found.tag == f"{{{NAMESPACE}}}feedback"
    assert texts(found, "report_metadata/org_name") == ["acme.example"]
    assert texts(found, "report_metadata/date_range/end") == ["172799"]
    assert [texts(found, f"policy_published/{name}") for name in ("domain", "p", "sp", "np", "adkim", "testing")] == [
        ["author.example"],
        ["reject"],
        ["reject"],
        ["reject"],
        ["s"],
        ["n"],
    ]
    assert texts(found, "record/row/source_ip") == ["192.0.2.1", "2001:db8::1"]
    assert texts(found, "record/row/count") == ["7", "1"]
    assert texts(found, "record/row/policy_evaluated/disposition") == ["reject", "none"]
    assert texts(found, "record/row/policy_evaluated/reason/type") == ["other"]
    assert texts(found, "record/auth_results/dkim/result") == ["pass", "pass"]
    assert texts(found, "record/auth_results/spf/result") == ["softfail", "softfail"]


@given(st.text(max_size=50))
def test_whatever_a_stranger_calls_himself_it_is_xml(name: str) -> None:
    found = report(Counted(seen(header_from=name, spf_domain=name or "x"), 1))
    (told_name,) = texts(found, "record/identifiers/header_from")
    assert told_name == "".join(char if char.isprintable() else "?" for char in name)
