"""What `mailgate dns check` says of a domain that is right, and of each thing that can be wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailgate.cli import checks as shown
from mailgate.ops import domain_check
from mailgate.ops.checks import Check, Status
from mailgate.ops.domain_check import HostedDomain, SigningName, Surroundings
from mailgate.route.resolver import DnsResolver
from mailgate.transport.https import HttpsError
from mailgate.transport.mta_sts import StsPolicy, parse_policy
from mailgate.transport.published import records, sts_policy
from tests.support.certificates import Authority, Issued
from tests.support.dns_server import DnsServer, Fault

DOMAIN, HOST, ADDRESS = "acme.example", "mx.gateway.example", "192.0.2.25"
POINTER = "25.2.0.192.in-addr.arpa"
KEY = SigningName(f"mg1._domainkey.{DOMAIN}", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
POLICY = sts_policy([HOST], "enforce", 604_800)
TLSA = f"_25._tcp.{HOST}"


class Site:
    """The domain as it should be; a test spoils one thing."""

    def __init__(self, dns: DnsServer, issued: Issued) -> None:
        self.dns = dns
        self.policy: StsPolicy | HttpsError = parse_policy(POLICY)
        self.domain = HostedDomain(
            name=DOMAIN,
            host=HOST,
            addresses=(ADDRESS,),
            certificate=issued.certificate,
            keys=(KEY,),
            suggested=records(DOMAIN, HOST, issued.public_key, POLICY),
        )
        dns.secure.add(HOST)
        dns.records |= {
            (DOMAIN, "MX"): [f"10 {HOST}."],
            (DOMAIN, "TXT"): ['"v=spf1 a:mx.gateway.example -all"', '"something else"'],
            (HOST, "A"): [ADDRESS],
            (KEY.name, "TXT"): [f'"{KEY.record}"'],
            (f"_dmarc.{DOMAIN}", "TXT"): [f'"v=DMARC1; p=reject; rua=mailto:dmarc@{DOMAIN}"'],
            (f"_mta-sts.{DOMAIN}", "TXT"): ['"v=STSv1; id=1"'],
            (f"_smtp._tls.{DOMAIN}", "TXT"): [f'"v=TLSRPTv1; rua=mailto:tls@{DOMAIN}"'],
            (TLSA, "TLSA"): [issued.tlsa()],
            (POINTER, "PTR"): [f"{HOST}."],
        }

    def txt(self, name: str, *texts: str) -> None:
        self.dns.records[name, "TXT"] = [f'"{text}"' for text in texts]

    async def _fetch(self, domain: str) -> StsPolicy:
        if isinstance(self.policy, HttpsError):
            raise self.policy
        return self.policy

    def checks(self) -> dict[str, Check]:
        async def run() -> list[Check]:
            around = Surroundings(DnsResolver(self.dns.endpoint, False, lambda: 0.0), self._fetch)
            return await domain_check.examine(around, self.domain)

        return {check.name: check for check in asyncio.run(run())}

    def check(self, name: str) -> Check:
        found = self.checks()
        return found[name]


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return Authority(tmp_path_factory.mktemp("ca")).issue(HOST)


@pytest.fixture
def site(issued: Issued) -> Iterator[Site]:
    with DnsServer() as dns:
        yield Site(dns, issued)


def test_a_domain_that_is_right(site: Site) -> None:
    found = site.checks()
    assert list(found) == ["mx", "spf", "dkim", "dmarc", "mta-sts", "tls-reports", "dane", "ptr"]
    assert [check.text for check in found.values() if check.status is not Status.OK] == []
    assert not any("publish" in check.facts for check in found.values())


def test_a_domain_that_publishes_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.dns.records.clear()
    site.domain = replace(site.domain, keys=())
    found = site.checks()
    failing = [name for name, check in found.items() if check.status is Status.FAIL]
    assert failing == ["mx", "spf", "dkim", "dmarc", "ptr"]
    assert all(check.status is not Status.OK and check.advice for check in found.values())
    shown.show(found.values())
    printed = capsys.readouterr().out
    for line in (
        f"{DOMAIN}. IN MX 10 {HOST}.",
        f'{DOMAIN}. IN TXT "v=spf1 a:{HOST} -all"',
        f'_dmarc.{DOMAIN}. IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@{DOMAIN}"',
        f"{POINTER}. IN PTR {HOST}.",
        f"{TLSA}. IN TLSA 3 1 1 ",
        f"mailgate dkim create {DOMAIN}",
    ):
        assert line in printed


@pytest.mark.parametrize("name", ["mx", "spf", "dkim", "dmarc", "mta-sts", "tls-reports", "dane", "ptr"])
def test_who_does_not_answer_has_not_said_no(site: Site, name: str) -> None:
    owners = {
        "mx": DOMAIN,
        "spf": DOMAIN,
        "dkim": KEY.name,
        "dane": TLSA,
        "ptr": POINTER,
        "dmarc": f"_dmarc.{DOMAIN}",
        "mta-sts": f"_mta-sts.{DOMAIN}",
        "tls-reports": f"_smtp._tls.{DOMAIN}",
    }
    site.dns.faults[owners[name]] = Fault.SERVFAIL
    check = site.check(name)
    assert (check.status, "publish" in check.facts) == (Status.WARN, False)
    assert "can't be looked up" in check.text


@pytest.mark.parametrize(
    ("hosts", "status", "said"),
    [
        (["10 mx.other.example."], Status.FAIL, "mail goes to mx.other.example, not here"),
        (["0 ."], Status.FAIL, "the null MX"),
        (["5 mx.other.example.", f"10 {HOST}."], Status.WARN, "mx.other.example gets mail as well"),
        ([f"10 {HOST}.", "20 mx.other.example."], Status.OK, "then to mx.other.example"),
    ],
)
def test_mx(site: Site, hosts: list[str], status: Status, said: str) -> None:
    site.dns.records[DOMAIN, "MX"] = hosts
    check = site.check("mx")
    assert check.status is status
    assert said in check.text


@pytest.mark.parametrize(
    ("texts", "status", "said"),
    [
        (["v=spf1 ip4:192.0.2.99 -all"], Status.FAIL, f"mail from {ADDRESS}, which we send from, gets fail"),
        (["v=spf1 -all", "v=spf1 mx -all"], Status.FAIL, "2 SPF records"),
        (["v=spf1 ipv4:192.0.2.25 -all"], Status.FAIL, "not valid"),
        (["v=spf1 include:nothing.example -all"], Status.FAIL, "can't be evaluated"),
        (["v=spf1 +all"], Status.FAIL, "everybody may send"),
        (["v=spf1 mx ?all"], Status.WARN, "nothing about others"),
        (["v=spf1 mx"], Status.WARN, "nothing about others"),
        (["v=spf1 mx ~all"], Status.OK, "our addresses pass"),
    ],
)
def test_spf(site: Site, texts: list[str], status: Status, said: str) -> None:
    site.txt(DOMAIN, *texts)
    check = site.check("spf")
    assert check.status is status
    assert said in check.text


@pytest.mark.parametrize(
    ("egress", "text", "advised"),
    [
        ("192.0.2.77", f"v=spf1 a:{HOST} -all", f"v=spf1 ip4:192.0.2.77 a:{HOST} -all"),
        ("192.0.2.77", "v=spf1 mx:x.example -all", "v=spf1 ip4:192.0.2.77 mx:x.example -all"),
        ("2001:db8::7", f"v=spf1 +a:{HOST} -all", f"v=spf1 ip6:2001:db8::7 +a:{HOST} -all"),
        (ADDRESS, f"v=spf1 -all a:{HOST}", f"v=spf1 ip4:{ADDRESS} -all a:{HOST}"),
        ("192.0.2.77", "something else", "v=spf1 ip4:192.0.2.77 -all"),
    ],
)
def test_an_egress_address_is_let_in_by_what_leads_to_it(site: Site, egress: str, text: str, advised: str) -> None:
    site.domain = replace(site.domain, addresses=(egress,), host_addresses=(ADDRESS,))
    site.txt(DOMAIN, text)
    assert site.check("spf").facts["publish"] == f'{DOMAIN}. IN TXT "{advised}"'
    site.txt(DOMAIN, advised)
    assert site.check("spf").status is Status.OK or egress == ADDRESS


def test_an_spf_record_is_completed_not_replaced(site: Site) -> None:
    site.txt(DOMAIN, "v=spf1 include:_spf.crm.example -all")
    site.txt("_spf.crm.example", "v=spf1 ip4:198.51.100.0/24 -all")
    expected = f'{DOMAIN}. IN TXT "v=spf1 a:{HOST} include:_spf.crm.example -all"'
    assert site.check("spf").facts["publish"] == expected


def test_the_dns_shows_another_key(site: Site) -> None:
    site.txt(KEY.name, "v=DKIM1; k=ed25519; p=QL6qgx6dZs2+1Fl3dGv0Yv9q7Yz9TqQkqf1n7VJZ3pA=")
    check = site.check("dkim")
    assert (check.status, check.facts["publish"]) == (Status.FAIL, f'{KEY.name}. IN TXT "{KEY.record}"')
    assert "not sign: mg1" in check.text


@pytest.mark.parametrize(
    ("texts", "status", "said"),
    [
        (["v=DMARC1; p=none; rua=mailto:d@acme.example"], Status.WARN, "asked to do nothing"),
        (["v=DMARC1; p=reject; t=y; rua=mailto:d@acme.example"], Status.WARN, "asked to do nothing"),
        (["v=DMARC1; p=reject"], Status.WARN, "nobody gets reports"),
        (["v=DMARC1; p=often"], Status.FAIL, "not valid"),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], Status.FAIL, "2 DMARC records"),
        (["v=DMARC1; p=reject; rua=mailto:d@reports.example"], Status.WARN, "reports.example does not say"),
        (["v=DMARC1; p=reject; rua=mailto:d@mail.acme.example"], Status.OK, "reports to d@mail.acme.example"),
        (["v=DMARC1; p=reject; rua=mailto:d@willing.example"], Status.OK, "reports to d@willing.example"),
    ],
)
def test_dmarc(site: Site, texts: list[str], status: Status, said: str) -> None:
    site.txt(f"_dmarc.{DOMAIN}", *texts)
    site.txt(f"{DOMAIN}._report._dmarc.willing.example", "v=DMARC1")
    check = site.check("dmarc")
    assert check.status is status
    assert said in check.text


def test_dmarc_reports_come_to_where_they_are_read(site: Site) -> None:
    read = f"dmarc@{DOMAIN}"
    site.domain = replace(site.domain, reports_to=read)
    site.txt(f"_dmarc.{DOMAIN}", f"v=DMARC1; p=reject; rua=mailto:x@{DOMAIN},mailto:{read.upper()}!10m")
    assert site.check("dmarc").status is Status.OK
    site.txt(f"_dmarc.{DOMAIN}", f"v=DMARC1; p=reject; rua=mailto:postmaster@{DOMAIN}")
    check = site.check("dmarc")
    assert (check.status, check.advice) == (Status.WARN, f"add mailto:{read} to rua=")
    site.txt(f"_dmarc.{DOMAIN}")
    assert f"rua=mailto:{read}" in str(site.check("dmarc").facts["publish"])


@pytest.mark.parametrize(
    ("policy", "status", "said"),
    [
        (parse_policy(sts_policy([HOST], "testing", 604_800)), Status.WARN, "mode testing"),
        (
            parse_policy(sts_policy(["mx.other.example"], "enforce", 604_800)),
            Status.FAIL,
            f"names mx.other.example, not {HOST}",
        ),
        (HttpsError("the answer has status 404"), Status.FAIL, "can't be had: the answer has status 404"),
    ],
)
def test_mta_sts(site: Site, policy: StsPolicy | HttpsError, status: Status, said: str) -> None:
    site.policy = policy
    check = site.check("mta-sts")
    assert check.status is status
    assert said in check.text


def test_mta_sts_needs_a_certificate_for_the_host(site: Site, tmp_path: Path) -> None:
    site.domain = replace(site.domain, certificate=Authority(tmp_path).issue("mx.other.example").certificate)
    check = site.check("mta-sts")
    assert check.status is Status.FAIL
    assert "MAILGATE_TLS_CERT" in check.advice


def test_tlsa_of_another_certificate(site: Site, tmp_path: Path) -> None:
    site.dns.records[TLSA, "TLSA"] = [Authority(tmp_path).issue(HOST).tlsa()]
    check = site.check("dane")
    assert (check.status, check.facts["publish"]) == (Status.FAIL, site.domain.suggestion(TLSA))


def test_tlsa_without_dnssec_counts_for_nothing(site: Site) -> None:
    site.dns.secure.clear()
    check = site.check("dane")
    assert check.status is Status.WARN
    assert "not secured by DNSSEC" in check.text


def test_names_of_our_addresses(site: Site) -> None:
    site.dns.records[POINTER, "PTR"] = ["www.gateway.example."]
    assert "no name that leads back" in site.check("ptr").text
    site.dns.records["www.gateway.example", "A"] = [ADDRESS]
    assert "is called www.gateway.example" in site.check("ptr").text
    site.domain = replace(site.domain, addresses=())
    assert "has no address" in site.check("ptr").text
