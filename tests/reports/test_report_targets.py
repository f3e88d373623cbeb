"""Who gets the reports of a domain: its own addresses, and others that say they want them."""

from __future__ import annotations

import asyncio

import pytest

from mailgate.senderauth import dmarc, report_targets
from mailgate.senderauth.dmarc_record import ReportTarget
from mailgate.senderauth.dmarc_record import report_targets as targets_of
from mailgate.senderauth.dns import LookupFailed
from tests.senderauth.zones import Zone

CONSENT = "a.example._report._dmarc.reports.example TXT"


def verified(rua: str, failing: str = "", consent: str = "") -> list[str]:
    record = f"v=DMARC1; p=none; rua={rua}"
    zone = Zone({"_dmarc.a.example TXT": [record], CONSENT: [consent]}, failing=frozenset({failing}))

    async def run() -> list[str]:
        found = await dmarc.published(zone, "a.example")
        assert found is not None
        return [each.address for each in await report_targets.verified(zone, "a.example", found)]

    return asyncio.run(run())


def test_own_addresses_need_no_consent() -> None:
    assert verified("mailto:r@a.example,mailto:r@sub.a.example") == ["r@a.example", "r@sub.a.example"]


@pytest.mark.parametrize(
    ("consent", "expected"),
    [
        ("v=DMARC1", ["r@reports.example"]),
        ("v=DMARC1; rua=mailto:other@reports.example", ["other@reports.example"]),
        ("v=DMARC1; rua=mailto:victim@elsewhere.example", []),
        ("v=spf1 -all", []),
    ],
)
def test_an_address_elsewhere_must_want_them(consent: str, expected: list[str]) -> None:
    assert verified("mailto:r@reports.example", consent=consent) == expected


def test_without_consent_none_are_sent() -> None:
    assert verified("mailto:r@reports.example,mailto:r@a.example") == ["r@a.example"]


def test_a_dns_that_fails_is_no_refusal() -> None:
    with pytest.raises(LookupFailed):
        verified("mailto:r@reports.example", failing=CONSENT.partition(" ")[0])


@pytest.mark.parametrize("domain", ["a" * 64 + ".example", f"{'a.' * 115}example"])
def test_what_is_no_name_is_not_asked_for(domain: str) -> None:
    assert verified(f"mailto:r@{domain}", consent="v=DMARC1") == []


def test_only_some_of_many() -> None:
    many = ",".join(f"mailto:r{number}@a.example" for number in range(20))
    assert len(verified(many)) == report_targets.MOST_TARGETS


@pytest.mark.parametrize(
    ("uri", "size"),
    [("r@a.example", 0), ("r@a.example!500", 500), ("r@a.example!10m", 10 << 20), ("r@a.example!1K", 1024)],
)
def test_sizes(uri: str, size: int) -> None:
    assert targets_of(f"mailto:{uri}") == (ReportTarget("r@a.example", size),)
