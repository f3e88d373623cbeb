"""Reports of others that come by mail: read, and delivered like any other mail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mailgate.model.event import Event
from mailgate.policy.schema import Authentication, DmarcReports, GatewayPolicy
from tests.edge.dialogue import Client, Stage
from tests.edge.test_edge_sender import run
from tests.reports.samples import OLD, compressed, mailed
from tests.senderauth.zones import Zone

READS = GatewayPolicy(dmarc_reports=DmarcReports(send=True, address="Bob@ACME.example"))
RECORDS = {
    "provider.example TXT": ["v=spf1 ip4:127.0.0.1 -all"],
    "_dmarc.provider.example TXT": ["v=DMARC1; p=none; rua=mailto:r@provider.example"],
}


def deliver(
    folder: Path,
    raw: bytes,
    policy: GatewayPolicy = READS,
    sender: str = "dmarc@provider.example",
    to: str = "bob@acme.example",
    records: Mapping[str, list[str]] = RECORDS,
) -> Stage:
    async def part(on: Stage, client: Client) -> None:
        await client.mail(raw, 250, sender=sender, to=to)

    return run(folder, Zone(records), part, policy)


def reported(on: Stage) -> Event:
    (event,) = [event for event in on.store.kept[0].events if event.kind == "reported"]
    return event


def test_a_report_is_read_and_delivered(tmp_path: Path) -> None:
    raw = mailed(compressed(OLD))
    on = deliver(tmp_path, raw)
    (entry,) = on.store.kept
    (report,) = entry.reports
    assert (report.domain, report.reporter, len(report.mails)) == ("acme.example", "provider.example", 2)
    assert reported(on).facts["reports"] == ["1234567890 of provider.example about acme.example"]
    assert on.store.bodies == [raw] and entry.seen == (), "reports on reports would go on for ever"


def test_one_of_a_domain_below(tmp_path: Path) -> None:
    below = OLD.replace(b"<domain>acme.example</domain><adkim>", b"<domain>a.b.acme.example</domain><adkim>")
    assert [each.domain for each in deliver(tmp_path, mailed(compressed(below))).store.kept[0].reports] == [
        "a.b.acme.example"
    ]


@pytest.mark.parametrize(
    ("raw", "sender", "problem"),
    [
        (mailed(compressed(OLD), sender="x@other.example"), "dmarc@provider.example", "nothing proves who sent it"),
        (mailed(b"hello"), "dmarc@provider.example", "holds no report"),
        (mailed(compressed(OLD[:500])), "dmarc@provider.example", "can't be read"),
        (mailed(compressed(OLD)), "x@evil.example", "nothing proves who sent it"),
        (mailed(compressed(OLD), sender="x@evil.example"), "dmarc@evil.example", "nothing proves who sent it"),
        (mailed(compressed(OLD.replace(b"acme", b"other"))), "dmarc@provider.example", "not the tenant's"),
        (mailed(compressed(OLD.replace(b"acme", b"foreign"))), "dmarc@provider.example", "not the tenant's"),
    ],
)
def test_a_bad_report_is_delivered_too(tmp_path: Path, raw: bytes, sender: str, problem: str) -> None:
    on = deliver(tmp_path, raw, sender=sender)
    assert on.store.kept[0].reports == () and on.store.bodies == [raw]
    assert problem in reported(on).facts["problem"]


def test_without_checks_there_is_nothing_to_go_by(tmp_path: Path) -> None:
    policy = READS.model_copy(update={"authentication": Authentication(check=False)})
    on = deliver(tmp_path, mailed(compressed(OLD)), policy, sender="x@evil.example")
    assert [each.reporter for each in on.store.kept[0].reports] == ["Large Provider"]


def test_without_a_policy_the_author_is_proven_by_an_aligned_result(tmp_path: Path) -> None:
    raw = mailed(compressed(OLD), sender="dmarc@sub.provider.example")
    on = deliver(tmp_path, raw, records={"provider.example TXT": RECORDS["provider.example TXT"]})
    assert [each.reporter for each in on.store.kept[0].reports] == ["sub.provider.example"]


@pytest.mark.parametrize(("policy", "to"), [(GatewayPolicy(), "bob@acme.example"), (READS, "eve@acme.example")])
def test_mail_to_others_is_not_read(tmp_path: Path, policy: GatewayPolicy, to: str) -> None:
    (entry,) = deliver(tmp_path, mailed(compressed(OLD)), policy, to=to).store.kept
    assert entry.reports == () and not any(event.kind == "reported" for event in entry.events)
