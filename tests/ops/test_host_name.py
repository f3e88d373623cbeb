"""Host names with which nobody takes mail, and what the DNS says of the others."""

from __future__ import annotations

import pytest

from mailgate.ops.checks import Status
from mailgate.ops.host_name import fault_of, host_name
from tests.support.dns_server import DnsServer


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "debian",
        "3f2a9c1b7d4e",
        "mail.local",
        "127.0.0.1",
        "[192.0.2.1]",
        "2001:db8::1",
        "localhost.localdomain",
        "mx.internal",
        "MX.LAN",
        "mail.home.arpa",
        "gateway.corp",
        "mx.10",
    ],
)
def test_nobody_takes_mail_of_these(name: str) -> None:
    assert fault_of(name)
    found = host_name(name, "127.0.0.1:1", 0.1)
    assert found.status is Status.FAIL
    assert name in found.text
    assert "MAILGATE_HOSTNAME" in found.advice


@pytest.mark.parametrize("name", ["mx.sender.example", "mail.example.com", "a.b.c.example.org", "local.example.net"])
def test_these_have_the_right_form(name: str) -> None:
    assert fault_of(name) == ""
    assert host_name(name, "127.0.0.1:1", 0.1).status is Status.OK, "a resolver that is away is another check's matter"


def test_the_address_must_be_there_and_lead_back() -> None:
    with DnsServer() as names:
        names.records["mx.good.example", "A"] = ["192.0.2.1"]
        names.records["1.2.0.192.in-addr.arpa", "PTR"] = ["mx.good.example."]
        names.records["mx.astray.example", "A"] = ["192.0.2.2"]
        names.records["2.2.0.192.in-addr.arpa", "PTR"] = ["static.provider.example."]
        names.records["mx.bare.example", "A"] = ["192.0.2.3"]
        found = {
            each: host_name(f"mx.{each}.example", names.endpoint, 5) for each in ("good", "astray", "bare", "missing")
        }
    assert found["good"].status is Status.OK
    assert "lead back" in found["good"].text
    assert found["astray"].status is found["bare"].status is found["missing"].status is Status.WARN
    assert "192.0.2.2" in found["astray"].text
    assert "no address" in found["missing"].text
