"""The resolver against a real DNS server on loopback, honest and otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from mailgate.model.dns import Answer, Mx, Status, Tlsa
from mailgate.route.resolver import FAILURE_SECONDS, DnsResolver
from tests.support.clock import ManualClock
from tests.support.dns_server import DnsServer, Fault


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        server.records["hop.example", "MX"] = ["10 mx1.hop.example.", "20 mx2.hop.example."]
        server.records["mx1.hop.example", "A"] = ["192.0.2.1"]
        server.records["alias.example", "CNAME"] = ["mx1.hop.example."]
        server.records["null.example", "MX"] = ["0 ."]
        server.records["_25._tcp.mx1.hop.example", "TLSA"] = ["3 1 1 " + "ab" * 32]
        server.records["text.example", "TXT"] = ['"v=one" "; two"']
        yield server


def ask(
    server: DnsServer, *questions: Callable[[DnsResolver], Awaitable[object]], seconds: float = 10.0
) -> list[object]:
    """The answers, from one resolver."""

    async def run() -> list[object]:
        resolver = DnsResolver(server.endpoint, False, ManualClock(), seconds=seconds)
        return [await question(resolver) for question in questions]

    return asyncio.run(run())


def test_records(dns: DnsServer) -> None:
    mx, a, tlsa, txt = ask(
        dns,
        lambda r: r.mx("hop.example"),
        lambda r: r.a("mx1.hop.example"),
        lambda r: r.tlsa("_25._tcp.mx1.hop.example"),
        lambda r: r.txt("text.example"),
    )
    assert isinstance(mx, Answer)
    assert (mx.status, mx.is_secure) == (Status.FOUND, False)
    assert set(mx.records) == {Mx(10, "mx1.hop.example"), Mx(20, "mx2.hop.example")}  # their order is the server's
    assert isinstance(a, Answer) and a.records == ("192.0.2.1",)
    assert isinstance(tlsa, Answer) and tlsa.records == (Tlsa(3, 1, 1, bytes.fromhex("ab" * 32)),)
    assert isinstance(txt, Answer) and txt.records == ("v=one; two",)


@pytest.mark.parametrize(
    ("name", "fault", "status"),
    [
        ("nowhere.example", None, Status.NXDOMAIN),
        ("mx1.hop.example", None, Status.NO_DATA),
        ("hop.example", Fault.SERVFAIL, Status.FAILED),
        ("hop.example", Fault.SILENT, Status.FAILED),
        ("hop.example", Fault.BOGUS, Status.BOGUS),
        ("hop.example", Fault.TRUNCATED, Status.FOUND),
        ("bad..name", None, Status.NXDOMAIN),
        (f"{'a' * 64}.example", None, Status.NXDOMAIN),
    ],
)
def test_what_went_wrong_is_told_apart(dns: DnsServer, name: str, fault: Fault | None, status: Status) -> None:
    if fault is not None:
        dns.faults[name] = fault
    [answer] = ask(dns, lambda r: r.mx(name), seconds=0.2 if fault is Fault.SILENT else 10.0)
    assert isinstance(answer, Answer)
    assert answer.status is status
    assert answer.is_known is (status not in (Status.FAILED, Status.BOGUS))


def test_null_mx(dns: DnsServer) -> None:
    [answer] = ask(dns, lambda r: r.mx("null.example"))
    assert isinstance(answer, Answer) and answer.records == (Mx(0, ""),)


def test_cnames_are_followed_and_loops_are_failures(dns: DnsServer) -> None:
    dns.records["one.example", "CNAME"] = ["two.example."]
    dns.records["two.example", "CNAME"] = ["one.example."]
    alias, loop = ask(dns, lambda r: r.a("alias.example"), lambda r: r.a("one.example"))
    assert isinstance(alias, Answer) and isinstance(loop, Answer)
    assert (alias.records, alias.name) == (("192.0.2.1",), "mx1.hop.example")
    assert loop.status is Status.FAILED


def test_two_thousand_records_come_by_tcp(dns: DnsServer) -> None:
    dns.records["many.example", "MX"] = [f"10 mx{n}.example." for n in range(2000)]
    [answer] = ask(dns, lambda r: r.mx("many.example"))
    assert isinstance(answer, Answer) and len(answer.records) == 2000
    assert [transport for transport, _, _ in dns.queries] == ["udp", "tcp"]


@pytest.mark.parametrize(("trusted", "is_secure"), [(False, True), (True, True)])
def test_ad_is_believed_on_loopback(dns: DnsServer, trusted: bool, is_secure: bool) -> None:
    dns.secure.add("hop.example")

    async def run() -> tuple[bool, bool]:
        resolver = DnsResolver(dns.endpoint, trusted, ManualClock())
        return (await resolver.mx("hop.example")).is_secure, (await resolver.mx("null.example")).is_secure

    assert asyncio.run(run()) == (is_secure, False)


@pytest.mark.parametrize(("endpoint", "trusted", "believes"), [
    ("192.0.2.53:53", False, False), ("192.0.2.53:53", True, True), ("[::1]:53", False, True),
])  # fmt: skip
def test_ad_of_others_needs_trust(endpoint: str, trusted: bool, believes: bool) -> None:
    assert DnsResolver(endpoint, trusted, ManualClock()).believes_ad is believes


def test_answers_are_kept_for_their_ttl_and_failures_for_a_moment(dns: DnsServer) -> None:
    async def run() -> None:
        clock = ManualClock()
        resolver = DnsResolver(dns.endpoint, False, clock)
        for _ in range(3):
            await resolver.mx("hop.example")
        assert len(dns.queries) == 1
        clock.advance(dns.ttl + 1)
        await resolver.mx("hop.example")
        assert len(dns.queries) == 2
        dns.faults["mx2.hop.example"] = Fault.SERVFAIL
        assert (await resolver.a("mx2.hop.example")).status is Status.FAILED
        del dns.faults["mx2.hop.example"]
        assert (await resolver.a("mx2.hop.example")).status is Status.FAILED
        clock.advance(FAILURE_SECONDS + 1)
        assert (await resolver.a("mx2.hop.example")).status is Status.NXDOMAIN

    asyncio.run(run())


def test_questions_at_the_same_time_are_asked_once(dns: DnsServer) -> None:
    async def run() -> None:
        resolver = DnsResolver(dns.endpoint, False, ManualClock())
        answers = await asyncio.gather(*(resolver.mx("hop.example") for _ in range(20)))
        assert len(set(map(id, answers))) == 1
        assert len(dns.queries) == 1

    asyncio.run(run())


def test_a_resolver_that_is_away_is_a_failure() -> None:
    async def run() -> Answer[Mx]:
        return await DnsResolver("127.0.0.1:9", False, ManualClock(), seconds=0.2).mx("hop.example")

    assert asyncio.run(run()).status is Status.FAILED
