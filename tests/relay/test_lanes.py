"""How the relay treats its lanes: who shares a fate, what is leased, what stays inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailgate.model.envelope import Recipient
from mailgate.model.outcome import State
from mailgate.relay.dispatcher import FIRST_WINDOW
from mailgate.relay.timeouts import Timeouts
from mailgate.settings import Listen
from tests.relay.harness import FakeNames, relay
from tests.relay.test_next_hop_faults import names, run, sent
from tests.support.scripted_hop import ALL, Fault, ScriptedHop


def test_what_waits_for_a_dead_host_shares_its_fate(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        hop.script["greeting"] = Fault.HANG
        async with hop, relay(tmp_path, hop.port, names=names()) as running:
            keys = [key for _ in range(30) for key in running.store.add("someone@hop.example")]
            ended = [await running.store.outcome(key) for key in keys]
        assert {each.outcome.state for each in ended} == {State.QUEUED}
        assert hop.connections < 15
        assert "met by other mail" in ended[-1].outcome.text

    run(scenario())


def test_a_message_that_breaks_the_dialogue_takes_no_other_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        hop.script["RCPT poison"] = Fault.CUT
        async with hop, relay(tmp_path, hop.port, names=names()) as running:
            [poison] = running.store.add("poison@hop.example")
            keys = [key for _ in range(10) for key in running.store.add("someone@hop.example")]
            assert {(await running.store.outcome(key)).outcome.state for key in keys} == {State.RELAYED}
            assert (await running.store.outcome(poison)).outcome.state is State.QUEUED

    run(scenario())


def test_a_host_with_enough_connections_gets_the_rest_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        hop.script["greeting"] = ["220 hello", "421 4.7.0 Too many connections from you"]
        async with hop, relay(tmp_path, hop.port, names=names()) as running:
            keys = [key for _ in range(3) for key in running.store.add("someone@hop.example")]
            ended = [await running.store.outcome(key) for key in keys]
        states = [each.outcome.state for each in ended]
        assert states.count(State.RELAYED) >= 2
        assert all(each.outcome.enhanced[0] == "4" for each in ended if each.outcome.state is State.QUEUED)

    run(scenario())


def test_hosted_domains_are_handed_over_to_our_own_mx(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        listen = [Listen("127.0.0.1", hop.port)]
        async with hop, relay(tmp_path, 25, hosted=["hosted.example"], mx_listen=listen) as running:
            [ended] = await running.send("someone@hosted.example")
        assert ended.outcome.state is State.RELAYED
        assert hop.transactions[0].rcpt == ["RCPT TO:<someone@hosted.example>"]

    run(scenario())


def test_dns_that_leads_to_ourselves_or_inside_is_not_followed(tmp_path: Path) -> None:
    async def scenario() -> None:
        found = FakeNames()
        found.host("inside.example", "mx.inside.example", address="10.0.0.1")
        found.host("loop.example", "mx.loop.example", address="127.0.0.1")
        found.host("us.example", "gateway.example")
        async with relay(tmp_path, 25, names=found) as running:
            for domain in ("inside.example", "loop.example", "us.example"):
                [ended] = await running.send(f"someone@{domain}")
                assert (ended.outcome.state, ended.outcome.enhanced) == (State.BOUNCED, "5.4.6"), ended.outcome

    run(scenario())


@pytest.mark.parametrize("reverse_path", ["", "bob@acme.example"])
def test_dsn_parameters_go_with_the_message(tmp_path: Path, reverse_path: str) -> None:
    async def scenario() -> None:
        asked = Recipient("someone@hop.example", notify=("SUCCESS", "DELAY"), orcpt="rfc822;x@hop.example")
        [ended], hop = await sent(tmp_path, {}, asked, reverse_path=reverse_path, ret="HDRS", envid="QQ314159")
        [transaction] = hop.transactions
        assert transaction.mail.startswith(f"MAIL FROM:<{reverse_path}> ")
        assert {"RET=HDRS", "ENVID=QQ314159"} <= set(transaction.mail.split())
        assert transaction.rcpt[0].split()[2:] == ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;x@hop.example"]
        assert ended.outcome.takes_dsn

    run(scenario())


@pytest.mark.parametrize(
    ("extensions", "orcpt"),
    [(ALL, "ORCPT=utf-8;kîm@hop.example"), (set(ALL) - {"SMTPUTF8"}, r"ORCPT=utf-8;k\x{EE}m@hop.example")],
    ids=["SMTPUTF8", "ASCII only"],
)
def test_orcpt_beyond_ascii(tmp_path: Path, extensions: list[str], orcpt: str) -> None:
    async def scenario() -> None:
        asked = Recipient("kim@hop.example", orcpt="utf-8;kîm@hop.example")
        [ended], hop = await sent(tmp_path, {}, asked, extensions=sorted(extensions), smtputf8=True)
        assert ended.outcome.state is State.RELAYED
        assert hop.transactions[0].rcpt[0].split()[2:] == [orcpt]

    run(scenario())


def test_leases_are_asked_for_in_groups(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        async with hop, relay(tmp_path, hop.port, names=names()) as running:
            keys = [key for _ in range(200) for key in running.store.add("someone@hop.example")]
            assert {(await running.store.outcome(key)).outcome.state for key in keys} == {State.RELAYED}
            assert running.store.leases < 40

    run(scenario())


def test_a_host_that_hangs_delays_nobody_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        slow = await ScriptedHop().listen("127.0.0.2")
        slow.script["greeting"] = Fault.HANG
        good = await ScriptedHop().listen("127.0.0.1", slow.port)
        found = names()
        found.host("slow.example", "mx.slow.example", address="127.0.0.2")
        async with slow, good, relay(tmp_path, good.port, names=found, timeouts=Timeouts()) as running:
            for _ in range(100):
                running.store.add("someone@slow.example")
            keys = [key for _ in range(50) for key in running.store.add("someone@hop.example", tenant="other")]
            for key in keys:
                assert (await running.store.outcome(key)).outcome.state is State.RELAYED
            assert slow.most_open <= FIRST_WINDOW
            slow.script.clear()
            await slow.hang_up()

    run(scenario())
