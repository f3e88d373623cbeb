"""Every fault of a next hop, at every step of the dialogue: what the queue and the sender learn of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mailgate.ipc.calls import Ended
from mailgate.model.envelope import Recipient
from mailgate.model.outcome import State
from tests.relay.harness import MESSAGE, FakeNames, relay
from tests.support.scripted_hop import ALL, Fault, ScriptedHop

PLAIN = [extension for extension in ALL if extension != "CHUNKING"]
SLOW = [extension for extension in PLAIN if extension != "PIPELINING"]
KINDS = {"chunking": ALL, "pipelining": PLAIN, "one by one": SLOW}
WAYS = pytest.mark.parametrize("extensions", [ALL, PLAIN, SLOW], ids=["chunking", "pipelining", "one by one"])


def steps(*names: str) -> pytest.MarkDecorator:
    """Every step in every way of sending; with CHUNKING there is no DATA."""
    pairs = [(kind, step) for kind in KINDS for step in names if (kind, step) != ("chunking", "DATA")]
    return pytest.mark.parametrize(("kind", "step"), pairs)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def names(*hosts: str) -> FakeNames:
    found = FakeNames()
    found.host("hop.example", *(hosts or ("mx.hop.example",)))
    return found


async def sent(
    folder: Path, script: dict[str, Any], *recipients: str | Recipient, extensions: Any = ALL, **more: Any
) -> tuple[list[Ended], ScriptedHop]:
    """One message to a hop with this script: the outcomes."""
    hop = await ScriptedHop(extensions=extensions).listen()
    hop.script = script
    async with hop, relay(folder, hop.port, names=names()) as running:
        return await running.send(*(recipients or ("someone@hop.example",)), **more), hop


@WAYS
def test_a_message_is_taken_byte_for_byte(tmp_path: Path, extensions: list[str]) -> None:
    async def scenario() -> None:
        [ended], hop = await sent(tmp_path, {}, extensions=extensions)
        assert ended.outcome.state is State.RELAYED
        assert (ended.outcome.code, ended.outcome.enhanced) == (250, "2.0.0")
        [transaction] = hop.transactions
        assert transaction.message == MESSAGE
        assert transaction.mail.startswith("MAIL FROM:<bob@acme.example>")
        assert transaction.rcpt == ["RCPT TO:<someone@hop.example>"]

    run(scenario())


@steps("greeting", "EHLO", "MAIL", "RCPT", "DATA", "end")
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_defers(tmp_path: Path, kind: str, step: str, fault: Fault) -> None:
    async def scenario() -> None:
        [ended], _ = await sent(tmp_path, {step: fault}, extensions=KINDS[kind])
        assert ended.outcome.state is State.QUEUED, ended.outcome
        assert ended.outcome.code == 0
        assert ended.outcome.enhanced.startswith("4.")
        assert "mx.hop.example" in ended.outcome.text

    run(scenario())


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET, Fault.HANG])
def test_a_cut_after_the_final_dot_says_that_it_may_have_arrived(tmp_path: Path, fault: Fault) -> None:
    async def scenario() -> None:
        [ended], hop = await sent(tmp_path, {"end": fault}, extensions=PLAIN)
        assert ended.outcome.state is State.QUEUED
        assert "may have taken" in ended.outcome.text
        assert len(hop.transactions) == 1, "no second try while nobody knows"

    run(scenario())


@steps("MAIL", "RCPT", "DATA", "end")
@pytest.mark.parametrize(("reply", "state"), [("451 4.3.0 not now", State.QUEUED), ("550 5.7.1 never", State.BOUNCED)])
def test_a_refusal_is_told_as_it_is(tmp_path: Path, kind: str, step: str, reply: str, state: State) -> None:
    async def scenario() -> None:
        [ended], _ = await sent(tmp_path, {step: reply}, extensions=KINDS[kind])
        code, enhanced, text = reply.split(" ", 2)
        assert ended.outcome.state is state
        assert (ended.outcome.code, ended.outcome.enhanced) == (int(code), enhanced)
        assert text in ended.outcome.text

    run(scenario())


@WAYS
@pytest.mark.parametrize("end", ["250 2.0.0 taken", "451 4.3.0 disk full", "554 5.6.0 bad content", Fault.CUT])
def test_each_recipient_keeps_its_own_reply(tmp_path: Path, end: Any, extensions: list[str]) -> None:
    async def scenario() -> None:
        script = {"RCPT gone": "550 5.1.1 no such user", "RCPT busy": "450 4.2.1 mailbox busy", "end": end}
        people = ["good@hop.example", "gone@hop.example", "busy@hop.example", "fine@hop.example"]
        ended, hop = await sent(tmp_path, script, *people, extensions=extensions)
        good, gone, busy, fine = (each.outcome for each in ended)
        assert (gone.state, gone.code, gone.enhanced) == (State.BOUNCED, 550, "5.1.1")
        assert (busy.state, busy.code, busy.enhanced) == (State.QUEUED, 450, "4.2.1")
        expected = {"2": State.RELAYED, "4": State.QUEUED, "5": State.BOUNCED}
        wanted = expected[end[0]] if isinstance(end, str) else State.QUEUED
        assert good.state is fine.state is wanted
        assert len(hop.transactions) == 1

    run(scenario())


@WAYS
def test_no_message_is_sent_where_every_recipient_is_refused(tmp_path: Path, extensions: list[str]) -> None:
    async def scenario() -> None:
        ended, hop = await sent(
            tmp_path, {"RCPT": "550 5.1.1 unknown"}, "a@hop.example", "b@hop.example", extensions=extensions
        )
        assert [each.outcome.enhanced for each in ended] == ["5.1.1", "5.1.1"]
        assert hop.transactions == []

    run(scenario())


def test_too_many_recipients_is_no_refusal_for_good(tmp_path: Path) -> None:
    async def scenario() -> None:
        [ended], _ = await sent(tmp_path, {"RCPT": "552 too many recipients"})
        assert (ended.outcome.state, ended.outcome.enhanced) == (State.QUEUED, "4.5.3")

    run(scenario())


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL"])
def test_421_closes_the_session_and_defers(tmp_path: Path, step: str) -> None:
    async def scenario() -> None:
        [ended], _ = await sent(tmp_path, {step: "421 4.3.2 shutting down"})
        assert (ended.outcome.state, ended.outcome.code) == (State.QUEUED, 421)

    run(scenario())


def test_a_host_that_takes_no_mail_at_all_bounces(tmp_path: Path) -> None:
    async def scenario() -> None:
        [ended], _ = await sent(tmp_path, {"greeting": "521 5.3.2 this host takes no mail"})
        assert (ended.outcome.state, ended.outcome.enhanced) == (State.BOUNCED, "5.3.2")

    run(scenario())


def test_helo_where_ehlo_is_not_known(tmp_path: Path) -> None:
    async def scenario() -> None:
        [ended], hop = await sent(tmp_path, {"EHLO": "502 5.5.1 not implemented"})
        assert ended.outcome.state is State.RELAYED
        assert "HELO gateway.example" in hop.commands
        assert hop.transactions[0].mail == "MAIL FROM:<bob@acme.example>", "no parameters without EHLO"

    run(scenario())


@pytest.mark.parametrize("script", [{"greeting": Fault.CUT}, {"greeting": "554 no"}, {"EHLO": Fault.HANG}])
def test_the_next_host_is_tried(tmp_path: Path, script: dict[str, Any]) -> None:
    async def scenario() -> None:
        first = await ScriptedHop().listen("127.0.0.1")
        first.script = script
        second = await ScriptedHop().listen("127.0.0.2", first.port)
        found = names("mx1.hop.example", "mx2.hop.example")
        found.put("mx2.hop.example", "A", "127.0.0.2")
        async with first, second, relay(tmp_path, first.port, names=found) as running:
            [ended] = await running.send("someone@hop.example")
        assert ended.outcome.state is State.RELAYED
        assert ended.facts["host"] == "mx2.hop.example"
        assert [tried["host"] for tried in ended.facts["tried_before"]] == ["mx1.hop.example"]

    run(scenario())


def test_a_refused_connection_leads_to_the_next_host(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen("127.0.0.2")
        found = names("mx1.hop.example", "mx2.hop.example")
        found.put("mx2.hop.example", "A", "127.0.0.2")
        async with hop, relay(tmp_path, hop.port, names=found) as running:
            [ended] = await running.send("someone@hop.example")
        assert ended.outcome.state is State.RELAYED
        assert "refuses connections" in ended.facts["tried_before"][0]["text"]

    run(scenario())


def test_a_dead_address_costs_a_moment_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen("127.0.0.1")
        found = names()
        found.put("mx.hop.example", "AAAA", "2001:db8::1")
        async with hop, relay(tmp_path, hop.port, names=found) as running:
            [ended] = await running.send("someone@hop.example")
        assert ended.outcome.state is State.RELAYED
        assert ended.facts["address"] == "127.0.0.1"

    run(scenario())


def test_sessions_are_used_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        async with hop, relay(tmp_path, hop.port, names=names()) as running:
            for _ in range(5):
                [ended] = await running.send("someone@hop.example")
                assert ended.outcome.state is State.RELAYED
        assert hop.connections == 1
        assert ended.facts["reused"] is True
        assert len(hop.transactions) == 5

    run(scenario())


def test_a_session_that_was_closed_meanwhile_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        hop.script["MAIL"] = ["250 ok", Fault.CUT]
        async with hop, relay(tmp_path, hop.port, names=names()) as running:
            for _ in range(2):
                [ended] = await running.send("someone@hop.example")
                assert ended.outcome.state is State.RELAYED
        assert hop.connections == 2

    run(scenario())


def test_a_refused_message_does_not_spoil_the_session(tmp_path: Path) -> None:
    async def scenario() -> None:
        hop = await ScriptedHop().listen()
        hop.script["end"] = ["554 5.6.0 no"]
        async with hop, relay(tmp_path, hop.port, names=names()) as running:
            [first] = await running.send("someone@hop.example")
            [second] = await running.send("someone@hop.example")
        assert (first.outcome.state, second.outcome.state) == (State.BOUNCED, State.RELAYED)
        assert hop.connections == 1
        assert "RSET" in hop.commands

    run(scenario())


def test_a_content_that_is_gone_is_no_error_inside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """After a restart of the store another attempt may have ended it; where not, the queue hands it out again."""

    async def scenario() -> None:
        async with await ScriptedHop().listen() as hop, relay(tmp_path, hop.port, names=names()) as running:
            [key] = running.store.add("someone@hop.example")
            running.store.works = [replace(work, inline=None, file="/gone") for work in running.store.works]
            ended = await running.store.outcome(key)
            assert (ended.outcome.state, ended.outcome.text) == (State.QUEUED, "hop.example: the content is gone")

    run(scenario())
    assert "Traceback" not in capfd.readouterr().err
