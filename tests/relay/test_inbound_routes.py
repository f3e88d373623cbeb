"""Mail for a tenant's domain goes to the tenant's own server, by SMTP or by LMTP with a reply for each recipient."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mailgate.ipc.calls import Ended
from mailgate.model.outcome import State
from mailgate.settings import Listen
from tests.relay.harness import MESSAGE, relay
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.scripted_hop import ALL, Fault, ScriptedHop

BOB, JOE, ANN = "bob@acme.example", "joe@acme.example", "ann@acme.example"
SLOW = [extension for extension in ALL if extension not in ("CHUNKING", "PIPELINING")]


def sent(
    folder: Path,
    *messages: Sequence[str],
    script: dict[str, Any] | None = None,
    extensions: Sequence[str] = ALL,
    owner: str = "acme",
    mx: ScriptedHop | None = None,
    **route: Any,
) -> tuple[list[list[Ended]], ScriptedHop]:
    """Messages of the tenant acme, one after the other; `owner` has the domain acme.example, `mx` is our own MX."""

    async def run() -> tuple[list[list[Ended]], ScriptedHop]:
        server = await ScriptedHop(extensions=extensions).listen()
        server.script = script or {}
        listen = ()
        if mx is not None:
            await mx.listen()
            listen = (Listen("127.0.0.1", mx.port),)
        policy = {"inbound": [{"domain": "acme.example", "server": f"127.0.0.1:{server.port}", **route}]}
        routed = {"acme.example": owner} if owner else {}
        async with server, relay(folder, free_port(), policy, routed=routed, mx_listen=listen) as running:
            return [await running.send(*recipients) for recipients in messages], server

    return asyncio.run(run())


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("extensions", [ALL, SLOW], ids=["pipelining", "one by one"])
def test_the_tenants_server_takes_it_byte_for_byte(tmp_path: Path, protocol: str, extensions: list[str]) -> None:
    ended, server = sent(tmp_path, [BOB, JOE], [BOB], protocol=protocol, extensions=extensions)
    assert {each.outcome.state for each in (*ended[0], *ended[1])} == {State.RELAYED}
    assert [transaction.message for transaction in server.transactions] == [MESSAGE, MESSAGE]
    assert server.commands[0] == f"{'LHLO' if protocol == 'lmtp' else 'EHLO'} gateway.example"
    assert server.connections == 1


@pytest.mark.parametrize("extensions", [ALL, SLOW], ids=["pipelining", "one by one"])
def test_lmtp_gives_a_status_for_each_recipient(tmp_path: Path, extensions: list[str]) -> None:
    script = {"RCPT joe": "550 5.1.1 unknown", "end ann": "452 4.2.2 full", "end bob": "250 2.0.0 delivered"}
    [ended, again], server = sent(
        tmp_path, [ANN, JOE, BOB], [BOB], script=script, protocol="lmtp", extensions=extensions
    )
    assert [(each.outcome.state, each.outcome.enhanced) for each in ended] == [
        (State.QUEUED, "4.2.2"),
        (State.BOUNCED, "5.1.1"),
        (State.RELAYED, "2.0.0"),
    ]
    assert again[0].outcome.state is State.RELAYED
    assert server.connections == 1


def at_a_socket(folder: Path, path: Path, server: ScriptedHop, listens_at: Path) -> Ended:
    async def run() -> Ended:
        await server.listen_at(listens_at)
        policy = {"inbound": [{"domain": "acme.example", "server": f"unix:{path}", "protocol": "lmtp"}]}
        async with server, relay(folder, free_port(), policy, routed={"acme.example": "acme"}) as running:
            [ended] = await running.send(BOB)
            return ended

    return asyncio.run(run())


def test_a_socket_of_this_machine_needs_no_tls(tmp_path: Path, authority: Authority) -> None:
    issued = authority.issue("lmtp.acme.example", label="socket")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.chain, issued.key)
    server = ScriptedHop(tls=context)
    path = tmp_path / "lmtp.sock"
    ended = at_a_socket(tmp_path, path, server, path)
    assert (ended.outcome.state, ended.facts["level"]) == (State.RELAYED, "plaintext"), ended.outcome.text
    assert (ended.facts["address"], ended.facts["steps_down"]) == (str(path), [])
    assert server.transactions[0].message == MESSAGE


def test_a_socket_where_nobody_listens(tmp_path: Path) -> None:
    ended = at_a_socket(tmp_path, tmp_path / "nothing.sock", ScriptedHop(), tmp_path / "elsewhere.sock")
    assert ended.outcome.state is State.QUEUED
    assert f"{tmp_path}/nothing.sock can't be reached: No such file or directory" in ended.outcome.text


def test_lmtp_that_ends_between_two_replies(tmp_path: Path) -> None:
    [ended], _ = sent(tmp_path, [BOB, ANN], script={"end ann": Fault.CUT}, protocol="lmtp")
    assert [each.outcome.state for each in ended] == [State.RELAYED, State.QUEUED]
    assert "may have taken" in ended[1].outcome.text


def test_lmtp_that_takes_nobody(tmp_path: Path) -> None:
    [ended, again], server = sent(
        tmp_path, [BOB, ANN], [JOE], script={"RCPT ann": "550 5.1.1 no", "RCPT bob": "550 5.1.1 no"}, protocol="lmtp"
    )
    assert [each.outcome.state for each in ended] == [State.BOUNCED, State.BOUNCED]
    assert again[0].outcome.state is State.RELAYED
    assert len(server.transactions) == 1


def test_below_the_minimum_of_the_route_mail_waits(tmp_path: Path) -> None:
    [[ended]], server = sent(tmp_path, [BOB], minimum="encrypted")
    assert ended.outcome.state is State.QUEUED
    assert "the inbound route of acme.example" in ended.outcome.text
    assert not server.transactions


def test_mail_for_another_tenants_domain_goes_by_our_own_mx(tmp_path: Path) -> None:
    mx = ScriptedHop()
    [[ended]], server = sent(tmp_path, [BOB], owner="other", mx=mx)
    assert ended.outcome.state is State.RELAYED
    assert (len(mx.transactions), server.connections) == (1, 0)


def test_a_route_for_a_domain_that_is_not_hosted_here_counts_for_nothing(tmp_path: Path) -> None:
    [[ended]], server = sent(tmp_path, [BOB], owner="")
    assert ended.outcome.state is State.BOUNCED
    assert ended.outcome.enhanced == "5.1.2"
    assert not server.connections


def test_while_the_store_stops_mail_waits_and_nothing_looks_like_a_bug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> Ended:
        async with relay(tmp_path, free_port()) as running:
            running.store.is_stopping = True
            [ended] = await running.send(BOB)
            return ended

    assert asyncio.run(run()).outcome.state is State.QUEUED
    told = capsys.readouterr()
    assert "the store is stopping" in told.out + told.err
    assert "Traceback" not in told.out + told.err
