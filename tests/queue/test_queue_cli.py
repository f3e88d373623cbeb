"""`mailgate queue` and `mailgate quarantine` as people call them, with and without a running gateway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailgate.ipc.calls import Answer, Commit, Hello, NewEntry
from mailgate.ipc.frames import Calls, converse
from mailgate.model.decision import Action
from mailgate.model.envelope import Recipient
from mailgate.settings import Settings
from mailgate.spool.sqlite import SqliteSpool
from tests.queue.making import submission
from tests.spool.making import NOW, entry, keep, outside
from tests.support.gateway import Gateway
from tests.support.messages import EICAR
from tests.support.store_key import key_of

New = Callable[..., Gateway]


def waiting() -> list[NewEntry]:
    """Two destinations, three senders, two tenants, three states."""
    return [
        submission(Recipient("kim@far.example"), Recipient("lee@far.example")),
        entry(outside("max@else.example"), tenant="globex"),
        entry(outside("ned@else.example"), reverse_path=""),
        entry(outside("pat@else.example"), action=Action.QUARANTINE, body=b"Subject: s\r\n\r\nsecret words\r\n"),
        submission(Recipient("sue@far.example"), action=Action.HOLD),
    ]


@pytest.fixture
def stopped(new_gateway: New) -> Gateway:
    """A gateway that does not run, with mail in its spool."""
    gateway = new_gateway("unix:/nonexistent")
    (gateway.data_dir / "spool").mkdir(exist_ok=True)
    spool = SqliteSpool(gateway.data_dir / "spool" / "spool.db")
    keep(spool, *waiting())
    spool.close()
    return gateway


def paths(gateway: Gateway, *options: str) -> list[str]:
    return [row["forward_path"].partition("@")[0] for row in gateway.json("queue", "list", *options)]


def test_lists_without_a_gateway(stopped: Gateway) -> None:
    assert paths(stopped) == ["kim", "lee", "max", "ned", "pat", "sue"]
    assert paths(stopped, "--tenant", "globex") == ["max"]
    assert paths(stopped, "--destination", "far.example", "--state", "queued") == ["kim", "lee"]
    assert paths(stopped, "--sender", "") == ["ned"]
    assert paths(stopped, "--recipient", "@else.example", "--why", "BECAUSE") == ["pat"]
    assert paths(stopped, "--limit", "2") == ["kim", "lee"]
    table = stopped.run("queue", "list", "--limit", "2")
    assert [line.split("\t")[4] for line in table.stdout.splitlines()] == ["kim@far.example", "lee@far.example"]
    assert "more than 2" in table.stderr
    wrong = stopped.run("queue", "list", "--older-than", "soon")
    assert (wrong.returncode, "2h" in wrong.stderr) == (2, True)


def test_summary_and_changes_without_a_gateway(stopped: Gateway) -> None:
    rows = stopped.json("queue", "summary")["rows"]
    counts = {(row["destination"], row["state"]): row["recipients"] for row in rows}
    assert counts[("far.example", "queued")] == counts[("else.example", "queued")] == 2
    assert "4 queued" in stopped.cli("queue", "summary").splitlines()[0]
    assert "held: 2 recipients" in stopped.cli("queue", "hold", "--destination", "far.example", "--reason", "look")
    assert paths(stopped, "--state", "held") == ["kim", "lee", "sue"]
    released = stopped.cli("queue", "release", "--all")
    assert "released: 2 recipients" in released
    assert "not scanned yet, and left as they were: 1" in released
    assert "deleted: 1 recipients" in stopped.cli("queue", "delete", "--sender", "", "--reason", "test")
    assert paths(stopped, "--state", "queued") == ["kim", "lee", "max"]
    for wrong in (["delete"], ["retry", "0" * 16, "--all"], ["hold", "--recipient", "a@b.c", "--recipient", "d@e.f"]):
        assert stopped.run("queue", *wrong).returncode == 2
    assert stopped.run("queue", "retry", "0" * 16).returncode == 1


def test_quarantine_without_a_gateway(stopped: Gateway) -> None:
    (row,) = stopped.json("quarantine", "list", "--tenant", "acme", "--recipient", "pat@else.example")
    shown = stopped.cli("quarantine", "show", row["queue_id"], "--tenant", "acme", "--reason", "look")
    assert "Subject: s" in shown
    assert "secret words" not in shown
    released = stopped.run("quarantine", "release", row["queue_id"], "--tenant", "acme")
    assert (released.returncode, "mailgate serve" in released.stderr) == (3, True)
    assert "deleted: pat@" in stopped.cli("quarantine", "delete", row["queue_id"], "--tenant", "acme", "--reason", "x")
    (timeline,) = stopped.json("trace", row["queue_id"])
    facts = timeline["events"][-1]["facts"]
    assert (facts["reason"], bool(facts["by"])) == ("x", True)
    assert stopped.run("quarantine", "show", row["queue_id"], "--tenant", "acme").returncode == 1


@pytest.mark.component("clamd")
def test_with_a_gateway_and_a_real_scanner(new_gateway: New, clamd: object) -> None:
    gateway = new_gateway(clamd.endpoint)  # type: ignore[attr-defined]
    gateway.start()
    bob = Recipient("bob@acme.example", (mailbox_of(gateway, "bob@acme.example"),))
    bad = entry(bob, action=Action.QUARANTINE, body=b"Subject: s\r\n\r\n" + EICAR + b"\r\n", at=NOW)
    good = entry(bob, action=Action.QUARANTINE, body=b"Subject: s\r\n\r\nharmless words\r\n", at=NOW)

    async def commit(calls: Calls) -> Answer:
        await calls.call(Hello("edge", key_of(gateway.pid, "edge")))
        return await calls.call(Commit((bad, good)))

    converse(Settings(data_dir=gateway.data_dir).store_path, commit)
    tenant = ("--tenant", "acme")
    assert len(gateway.json("quarantine", "list", *tenant)) == 2
    refused = gateway.run("quarantine", "release", bad.envelope.queue_id, *tenant, "--reason", "why not")
    assert (refused.returncode, "--confirm-infected" in refused.stderr) == (1, True)
    signature = refused.stderr.partition("--confirm-signature ")[2].partition(")")[0]
    released = gateway.cli("quarantine", "release", good.envelope.queue_id, *tenant)
    assert "scanned again: clean; released: bob@acme.example" in released
    assert gateway.delivered("bob@acme.example", "harmless words").endswith(b"harmless words\r\n")
    words = ("--reason", "a sample for the lab", "--confirm-infected", "--confirm-signature", signature)
    assert "infected" in gateway.cli("quarantine", "release", bad.envelope.queue_id, *tenant, *words)
    assert EICAR in gateway.delivered("bob@acme.example", EICAR.decode()[:40])
    gateway.stop()


def mailbox_of(gateway: Gateway, address: str) -> str:
    return Path(gateway.maildir(address)).name
