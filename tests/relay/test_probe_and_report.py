"""`mailgate transport probe|report` and `mailgate dns records`: what people see."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailgate.cli.transport import show
from mailgate.policy.schema import GatewayPolicy, built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.records.transport_report import AttemptLine, report
from mailgate.relay.probe import Probed, ProbedHost, probe
from mailgate.settings import Settings
from mailgate.transport.mta_sts import parse_policy
from mailgate.transport.published import records, sts_policy
from tests.relay.harness import QUICK, FakeNames
from tests.support.scripted_hop import Fault, ScriptedHop


def test_the_probe_tells_each_host_apart_and_sends_nothing(tmp_path: Path) -> None:
    async def scenario() -> tuple[Probed, ScriptedHop]:
        good = await ScriptedHop().listen("127.0.0.1")
        bad = await ScriptedHop().listen("127.0.0.2", good.port)
        bad.script["greeting"] = Fault.HANG
        names = FakeNames()
        names.host("hop.example", "mx1.hop.example", "mx2.hop.example")
        names.put("mx2.hop.example", "A", "127.0.0.2")
        settings = Settings(data_dir=tmp_path, hostname="gateway.example", relay_port=good.port)
        policy = Snapshot(built_in=built_in(10**7), gateway=GatewayPolicy(), tenants={}).for_gateway
        async with good, bad:
            return await probe(settings, policy, "hop.example", names, QUICK), good

    found, good = asyncio.run(scenario())
    first, second = found.hosts
    assert (first.level, first.facts["steps_down"]) == (
        "plaintext",
        ["forward-secret: mx1.hop.example does not offer STARTTLS"],
    )
    assert "no answer in time" in second.error and not second.level
    assert good.commands[-1] == "QUIT" and not any(line.startswith("MAIL") for line in good.commands)


def test_a_domain_without_hosts(tmp_path: Path) -> None:
    policy = Snapshot(built_in=built_in(10**7), gateway=GatewayPolicy(), tenants={}).for_gateway
    settings = Settings(data_dir=tmp_path, hostname="gateway.example")
    found = asyncio.run(probe(settings, policy, "nowhere.example", FakeNames(), QUICK))
    assert found.hosts == () and "does not exist" in found.outcome


def line(kind: str, level: str = "", destination: str = "hop.example", **facts: object) -> AttemptLine:
    return AttemptLine(kind, destination, {"host": f"mx.{destination}", **({"level": level} if level else {}), **facts})


def test_the_report() -> None:
    old = line("relayed", "encrypted", "old.example", steps_down=["forward-secret: no common suite (learned before)"])
    found = report(
        [
            *[line("relayed", "forward-secret") for _ in range(6)],
            line("relayed", "authenticated"),
            line("relayed", "plaintext", "bare.example", steps_down=["forward-secret: no STARTTLS"]),
            old,
            old,
            line("deferred", text="mx: too low", fault="below-floor"),
            line("deferred", "forward-secret", text="busy"),
            AttemptLine("delivered", "acme.example", {}),
        ]
    )
    assert found["relayed"] == 10
    assert {name: each["messages"] for name, each in found["levels"].items()} == {
        "authenticated": 1,
        "forward-secret": 6,
        "encrypted": 2,
        "plaintext": 1,
    }
    assert found["levels"]["forward-secret"]["share"] == 0.6
    assert [row["destination"] for row in found["below_forward_secrecy"]] == ["old.example", "bare.example"]
    assert found["downgrades"][0] == {"why": "forward-secret: no common suite", "messages": 2}
    assert [row["why"] for row in found["held_back"]] == ["mx: too low"]


def test_an_empty_report_has_no_shares() -> None:
    assert report([])["levels"]["plaintext"] == {"messages": 0, "share": 0.0}


def test_what_a_domain_publishes_is_what_we_would_accept() -> None:
    policy = sts_policy(["mx.gateway.example"], "enforce", 604_800)
    listed = {record.name: record for record in records("acme.example", "mx.gateway.example", b"key", policy)}
    assert listed["acme.example"].line == "acme.example. IN MX 10 mx.gateway.example."
    assert listed["_25._tcp.mx.gateway.example"].value.startswith("3 1 1 ")
    assert listed["_mta-sts.acme.example"].kind == "TXT"
    assert "rua=mailto:" in listed["_smtp._tls.acme.example"].value
    assert parse_policy(policy).allows("mx.gateway.example")
    assert not [each for each in records("acme.example", "mx.gateway.example", b"key", "") if "mta-sts" in each.name]


def test_the_probe_is_told_in_a_table_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    agreed = {"address": "192.0.2.1", "level": "encrypted", "floor": "encrypted", "floor_by": ["the policy"]}
    agreed |= {"tls": "TLSv1.2", "cipher": "AES128-GCM-SHA256", "verification": "certificate not checked"}
    good = ProbedHost("mx1.hop.example", 10, "", {**agreed, "steps_down": ["forward-secret: no common suite"]})
    show(Probed("hop.example", "MX", "none", (good, ProbedHost("mx2.hop.example", 20, "no answer in time"))))
    told = capsys.readouterr().out
    assert "mx1.hop.example\tencrypted\tencrypted\tTLSv1.2 AES128-GCM-SHA256" in told
    for note in ("192.0.2.1, certificate not checked", "at least encrypted, demanded by the policy"):
        assert f"mx1.hop.example: {note}\n" in told
    assert "mx1.hop.example: not better since forward-secret: no common suite\n" in told
    assert "mx2.hop.example\tnone" in told and "mx2.hop.example: no mail would leave: no answer in time\n" in told
