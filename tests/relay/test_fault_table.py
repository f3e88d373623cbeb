"""The fault table of docs/transport.md, row by row: what becomes of the mail, with which status, and in which words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailgate.ipc.calls import Ended, PolicyChanged
from mailgate.model.dns import Mx, Resolver, Status
from mailgate.model.outcome import State
from mailgate.policy.schema import GatewayPolicy, built_in
from mailgate.policy.snapshot import Snapshot
from mailgate.relay.delivery import MOST_HOSTS_TRIED
from mailgate.route.resolver import DnsResolver
from tests.relay.harness import FakeNames, relay
from tests.relay.test_next_hop_faults import PLAIN, names, run
from tests.relay.test_recode import SIGNED
from tests.support import messages
from tests.support.components import REPOSITORY
from tests.support.dns_server import DnsServer
from tests.support.dns_server import Fault as DnsFault
from tests.support.exim_hop import EximHop
from tests.support.next_hop import PostfixHop
from tests.support.ports import free_port
from tests.support.scripted_hop import Fault, ScriptedHop

WAITS, BOUNCES, LEAVES = "waits", "bounces", "leaves"
STATES = {WAITS: State.QUEUED, BOUNCES: State.BOUNCED, LEAVES: State.RELAYED}
Cause = Callable[[Path], Awaitable[Ended]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the documented table; `status` is an enhanced status code, or `its own` for what the host said."""

    queue: str
    status: str
    words: str


def documented() -> dict[str, Row]:
    text = (REPOSITORY / "docs" / "transport.md").read_text().partition("\n## Faults\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    return {fault: Row(queue, status, words) for fault, queue, status, _, words in lines}


def answers(script: dict[str, Any], recipient: str = "someone@hop.example", **more: Any) -> Cause:
    """A host with this script."""

    async def cause(folder: Path) -> Ended:
        extensions, policy = more.get("extensions", PLAIN), more.get("policy")
        hop = await ScriptedHop(extensions=extensions).listen()
        hop.script = script
        async with hop, relay(folder, hop.port, policy, names()) as running:
            given = {"message": more["message"]} if "message" in more else {}
            [ended] = await running.send(recipient, **given)
            return ended

    return cause


def resolves(resolver: Callable[[], Resolver], port: int = 25) -> Cause:
    """DNS that answers so; no host has to be reached."""

    async def cause(folder: Path) -> Ended:
        async with relay(folder, port, names=resolver()) as running:
            [ended] = await running.send("someone@hop.example")
            return ended

    return cause


def fake(change: Callable[[FakeNames], None]) -> Callable[[], FakeNames]:
    def made() -> FakeNames:
        found = FakeNames()
        change(found)
        return found

    return made


def served(change: Callable[[DnsServer], None]) -> Cause:
    """A DNS server and the resolver of the gateway."""

    async def cause(folder: Path) -> Ended:
        with DnsServer() as server:
            server.host("hop.example", "mx.hop.example", "127.0.0.1")
            change(server)
            return await resolves(lambda: DnsResolver(server.endpoint, True, time.monotonic, seconds=0.3))(folder)

    return cause


def many_hosts(found: FakeNames) -> None:
    found.put("hop.example", "MX", *(Mx(10, f"mx{number}.hop.example") for number in range(10_000)))
    for number in range(10_000):
        found.put(f"mx{number}.hop.example", "A", "127.0.0.1")


def cname_loop(server: DnsServer) -> None:
    del server.records["hop.example", "MX"]
    server.records["hop.example", "CNAME"] = ["two.example."]
    server.records["two.example", "CNAME"] = ["hop.example."]


async def reloaded(folder: Path) -> Ended:
    """The policy names another smarthost while the first one takes its time over the final dot."""
    first, second = await ScriptedHop().listen(), await ScriptedHop().listen()
    routes = [{"routes": [{"domain": "*", "smarthost": f"127.0.0.1:{hop.port}"}]} for hop in (first, second)]
    changed = Snapshot(built_in=built_in(10_000_000), gateway=GatewayPolicy.model_validate(routes[1]), tenants={})
    async with first, second, relay(folder, free_port(), routes[0]) as running:
        first.gate = asyncio.Event()
        [key] = running.store.add("someone@hop.example")
        await first.reached_gate.wait()
        running.store.push(PolicyChanged(changed.encode()))
        [later] = await running.send("someone@hop.example")
        first.gate.set()
        ended = await running.store.outcome(key)
        assert (len(first.transactions), len(second.transactions)) == (1, 1)
        assert later.outcome.state is State.RELAYED
        return ended


AHEAD = ("greeting", "EHLO", "MAIL", "RCPT", "DATA")
STEPS = ("MAIL", "RCPT", "DATA", "end")
CAUSES: dict[str, list[Cause]] = {
    "no answer, at any step before the final dot": [answers({step: Fault.HANG}) for step in AHEAD],
    "the connection is cut or reset, at any step before the final dot": [
        answers({step: fault}) for step in AHEAD for fault in (Fault.CUT, Fault.RESET)
    ],
    "no answer, cut or reset after the final dot": [
        answers({"end": fault}) for fault in (Fault.HANG, Fault.CUT, Fault.RESET)
    ],
    "what is no SMTP reply, at any step": [answers({step: Fault.GARBAGE}) for step in (*AHEAD, "end")],
    "4yz to MAIL, RCPT, DATA or the end": [answers({step: "451 4.3.0 not now"}) for step in STEPS],
    "5yz to MAIL, RCPT, DATA or the end": [answers({step: "550 5.7.1 not ever"}) for step in STEPS],
    "552 to RCPT": [answers({"RCPT": "552 too many recipients"})],
    "no connection": [resolves(fake(lambda found: found.host("hop.example", "mx.hop.example")), free_port())],
    "too many connections": [answers({"greeting": "421 too many connections from you"})],
    "a greeting that refuses for now": [answers({"greeting": "554 no"}), answers({"greeting": "421 later"})],
    "a greeting that says: never any mail": [answers({"greeting": f"{code} no mail here"}) for code in (521, 556)],
    "less private than demanded": [answers({}, policy={"transport": {"minimum": "encrypted"}})],
    "larger than SIZE allows": [answers({}, extensions=["SIZE 20"])],
    "too large after all": [answers({"end": "552 5.3.4 too big for me"})],
    "8-bit mail that is signed, no 8BITMIME": [answers({}, extensions=["SIZE"], message=SIGNED)],
    "an address beyond ASCII, no SMTPUTF8": [answers({}, "kîm@hop.example", extensions=["8BITMIME"])],
    "DNS is dead or too slow": [served(lambda server: server.faults.update({"hop.example": DnsFault.SILENT}))],
    "DNS can't find out": [
        served(lambda server: server.faults.update({"hop.example": DnsFault.SERVFAIL})),
        resolves(fake(lambda found: found.fail("hop.example", "MX"))),
    ],
    "DNS lies (DNSSEC does not hold)": [
        served(lambda server: server.faults.update({"hop.example": DnsFault.BOGUS})),
        resolves(fake(lambda found: found.fail("hop.example", "MX", Status.BOGUS))),
    ],
    "a loop of CNAMEs": [served(cname_loop)],
    "10,000 MX records of dead hosts": [resolves(fake(many_hosts), free_port())],
    "no such domain": [resolves(FakeNames)],
    "null MX": [resolves(fake(lambda found: found.put("hop.example", "MX", Mx(0, ""))))],
    "an MX without any address": [resolves(fake(lambda found: found.put("hop.example", "MX", Mx(1, "mx.no.example"))))],
    "an MX that is this gateway": [resolves(fake(lambda found: found.host("hop.example", "gateway.example")))],
    "an MX with a loopback or private address": [
        resolves(fake(lambda found, at=address: found.host("hop.example", "mx.hop.example", address=at)))  # type: ignore[misc]
        for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.1.1")
    ],
    "a reload in mid-attempt": [reloaded],
}


def test_every_row_is_tested_and_every_test_is_a_row() -> None:
    assert list(documented()) == list(CAUSES)


@pytest.mark.parametrize(
    ("fault", "number"), [(name, at) for name, causes in CAUSES.items() for at in range(len(causes))]
)
def test_row(tmp_path: Path, fault: str, number: int) -> None:
    row = documented()[fault]

    async def scenario() -> None:
        ended = await CAUSES[fault][number](tmp_path)
        assert ended.outcome.state is STATES[row.queue], ended.outcome
        if row.status == "its own":
            assert ended.outcome.code and ended.outcome.enhanced in ended.outcome.text, ended.outcome
        else:
            assert ended.outcome.enhanced == row.status, ended.outcome
        assert row.words.strip("`") in ended.outcome.text, ended.outcome
        assert len(ended.facts.get("tried_before", ())) < MOST_HOSTS_TRIED

    run(scenario())


def to_real(folder: Path, port: int, recipients: list[str], message: bytes, **policy: Any) -> list[Ended]:
    async def scenario() -> list[Ended]:
        async with relay(folder, port, policy, names()) as running:
            return await running.send(*recipients, message=message)

    return asyncio.run(scenario())


@pytest.mark.component("postfix", "root")
def test_postfix_with_a_mix_by_recipient(tmp_path: Path, postfix_hop: PostfixHop) -> None:
    check_mix(tmp_path, postfix_hop)


@pytest.mark.component("exim", "root")
def test_exim_with_a_mix_by_recipient(tmp_path: Path, exim_hop: EximHop) -> None:
    check_mix(tmp_path, exim_hop)


def check_mix(folder: Path, hop: PostfixHop | EximHop) -> None:
    name = messages.token()
    people = ["someone@hop.example", "nobody@hop.example"]
    good, gone = to_real(folder, hop.offered, people, messages.clean(name))
    assert (good.outcome.state, gone.outcome.state) == (State.RELAYED, State.BOUNCED)
    assert (gone.outcome.code, gone.outcome.enhanced) == (550, "5.1.1")
    assert name.encode() in hop.received(name)


@pytest.mark.component("exim", "root")
def test_exim_says_how_much_it_takes(tmp_path: Path, exim_hop: EximHop) -> None:
    too_large = messages.of_size(messages.token(), exim_hop.size_limit * 11 // 10)
    [ended] = to_real(tmp_path, exim_hop.offered, ["someone@hop.example"], too_large)
    assert (ended.outcome.state, ended.outcome.enhanced) == (State.BOUNCED, "5.3.4")
